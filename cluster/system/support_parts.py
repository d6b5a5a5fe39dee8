"""Parts of a support bundle: what each is made of on this machine, as texts."""

import importlib.metadata
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from adapters.errors import NacreError, UnavailableError
from cluster.client.client import Client
from cluster.client.documents import DocumentClient
from cluster.client.http_api import connected, headers
from cluster.client.requester import CLI
from cluster.config import Config, home
from cluster.running_config import everything
from cluster.system.doctor import examine
from cluster.system.latest_logs import latest_logs
from cluster.variables import PREFIX, is_key
from cluster.version import this_build
from cluster.webhooks.permitted import shown

PART_S, VERIFY_S = 60.0, 120.0
"""How long a part may take, in seconds; and reading every byte of every version."""
ASKED_S = 15.0
"""How long the HTTP API may take to answer, in seconds."""
MOST_OF_PART = 8 * 2**20
MOST_JOURNALS = 50
"""Submissions whose journals are in it: the latest."""
SHOWN = frozenset(
    {
        *("HOME", "CONFIG", "URL", "DEBUG", "S3_ENDPOINT", "S3_SILENT_S"),
        *("RAY_AUTH_MODE", "RAY_ADDRESS", "RAY_SERVE_ENABLE_HA_PROXY", "RAY_TMPDIR"),
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"),
        *("AWS_ENDPOINT_URL_STS", "AWS_ROLE_ARN", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"),
    }
)
"""Variables whose values are shown, those of nacre without their prefix."""
TOLD = (PREFIX, "AWS_", "RAY_", "SSL_", "HTTP", "NO_PROXY", "ALL_PROXY", "OTEL_", "CUDA_", "OMP_")
Files = Iterator[tuple[str, str]]
"""Names and texts of the files of a part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What the parts are made of.

    Attributes:
        config: The configuration; an error where it cannot be read.
        documents: Gives the queue, journals and versions of the store; raises where it is away.
        ask: Returns what the HTTP API answers at a path, as text.
        logs: Names and folders of logs, or files.
        environment: The variables.
        part_s: How long a part may take, in seconds.
        verify_s: How long every byte may be looked at, in seconds; 0 for not at all.
    """

    config: Config | NacreError
    documents: Callable[[], Any]
    ask: Callable[[str], str]
    logs: Sequence[tuple[str, Path]] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    part_s: float = PART_S
    verify_s: float = VERIFY_S

    def configured(self) -> Config:
        """Return the configuration.

        Raises:
            NacreError: it cannot be read.
        """
        if isinstance(self.config, NacreError):
            raise self.config
        return self.config

    @classmethod
    def here(cls, config: Config | NacreError, *, verified: bool = True) -> "Surroundings":
        """Return those of this machine.

        Args:
            config: See `config`.
            verified: Whether every byte is looked at.
        """
        return cls(
            config=config,
            documents=cache(lambda: _documents(config)),
            ask=lambda way: _asked(config, way),
            logs=_folders(),
            verify_s=VERIFY_S if verified else 0.0,
        )


def _versions(_: Surroundings) -> Files:
    found = sorted(
        (each.metadata["Name"] or "", each.version) for each in importlib.metadata.distributions()
    )
    said = {
        "nacre": str(this_build()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "packages": dict(found),
    }
    yield "versions.json", _json(said)


def _configuration(seen: Surroundings) -> Files:
    yield "environment.txt", "".join(_variables(seen.environment))
    config = seen.configured()
    keys = dict(everything(config))
    events = dict(keys["events"])
    keys["events"] = {**events, "allow": [shown(each) for each in config.events.allow]}
    yield "configuration.json", _json(keys)


def _variables(environment: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environment):
        if not name.startswith(TOLD):
            continue
        own = name.removeprefix(PREFIX)
        is_shown = own in SHOWN or name in SHOWN or is_key(Config, name)
        yield f"{name}={environment[name]}\n" if is_shown else f"{name} is set\n"


def _status(seen: Surroundings) -> Files:
    yield "queue.json", _json(seen.documents().queue().model_dump(mode="json"))
    yield "service.json", _json(json.loads(seen.ask("/v1/status")))


def _journal(seen: Surroundings) -> Files:
    documents = seen.documents()
    states = sorted(documents.queue().submissions, key=lambda each: -each.accepted_at)
    for state in states[:MOST_JOURNALS]:
        lines = (
            json.dumps(event.model_dump(mode="json"))
            for event in documents.journal(state.submission_id)
        )
        yield f"journal/{state.submission_id}.jsonl", "\n".join(lines) + "\n"


def _metrics(seen: Surroundings) -> Files:
    yield "metrics.txt", seen.ask("/v1/metrics")


def _logs(seen: Surroundings) -> Files:
    found = False
    for log in latest_logs(seen.logs, now=time.time()):
        found = True
        yield f"logs/{log.name}", log.text
    if not found:
        looked = ", ".join(str(folder) for _, folder in seen.logs)
        raise UnavailableError(f"no log of the last hour is in {looked or 'any folder'}")


def _doctor(seen: Surroundings) -> Files:
    findings = [asdict(finding) for finding in examine(seen.configured())]
    yield "doctor.json", _json(findings)


def _verify(seen: Surroundings) -> Files:
    if not seen.verify_s:
        raise UnavailableError("it was left out, with --no-verify")
    ends = time.monotonic() + seen.verify_s

    def go_on(done: int, total: int) -> None:
        if time.monotonic() > ends:
            raise UnavailableError(
                f"{done} of {total} objects had been looked at after {seen.verify_s:.0f} s; "
                "`nacre verify` looks at all"
            )

    documents = seen.documents()
    for adapter in documents.adapters():
        found = documents.verify(adapter, on_progress=go_on)
        yield f"verify/{adapter}.json", _json(found.model_dump(mode="json"))


PARTS: Mapping[str, Callable[[Surroundings], Files]] = {
    "versions": _versions,
    "configuration": _configuration,
    "status": _status,
    "journal": _journal,
    "metrics": _metrics,
    "logs": _logs,
    "doctor": _doctor,
    "verify": _verify,
}
"""By name: what is in a bundle."""


def _documents(config: Config | NacreError) -> DocumentClient:
    if isinstance(config, NacreError):
        raise config
    return DocumentClient(Client(config, road=CLI))


def _asked(config: Config | NacreError, way: str) -> str:
    """Return what the HTTP API answers, of which no more is read than a part may have."""
    if isinstance(config, NacreError):
        raise config
    try:
        with (
            connected(httpx.Client, config.endpoint) as client,
            client.stream("GET", way, headers=headers(), timeout=ASKED_S) as answer,
        ):
            text = ""
            for piece in answer.iter_text():
                text += piece
                if len(text) > MOST_OF_PART:
                    break
            if answer.status_code != 200:
                said = text[:300].rpartition(" ")[0]
                raise UnavailableError(
                    f"{config.endpoint}{way} answers {answer.status_code}: {said}"
                )
            return text
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"{config.endpoint} does not answer ({type(error).__name__}): `nacre up` starts it"
        ) from error


def _folders() -> list[tuple[str, Path]]:
    """Return where processes of nacre and of Ray write on this machine."""
    ray = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"
    latest = ray / "session_latest"
    folders = [("nacre", home() / "up.log"), ("nacre", home() / "logs")]
    return [*folders, ("ray", Path(os.path.realpath(latest)) / "logs")]


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str)
