"""Deployments as Serve tells of them: which do not run, and why, in the words of their own error.

Serve says why a replica did not start as text: some words of its own, and the traceback that its
constructor ended with. What stands at the end of that is what a person needs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ray.serve.schema import ApplicationStatus, DeploymentStatusOverview, ServeStatus

from adapters import errors
from adapters.errors import NacreError, StoreRefusedError, UnavailableError, printable

MOST_REASON = 1000
NOTHING: Mapping[str, float] = MappingProxyType({})
MORE = (
    "`nacre doctor` checks what it needs; Serve's logs in Ray's folder say more (logs/serve in "
    "/tmp/ray/session_latest, unless Ray was told another)"
)
_ERROR = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Z]\w*): (.+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """A deployment whose replicas do not start, or are not healthy.

    Attributes:
        name: Of the deployment: `trainer`.
        reason: The constructor's own error as a sentence, or what Serve says.
        kind: The class of that error; UnavailableError where it is none of nacre's.
        given_up: Whether Serve tries no more.
    """

    name: str
    reason: str
    kind: type[NacreError]
    given_up: bool

    @property
    def is_final(self) -> bool:
        """Whether it will not start until a person changes something, or Serve is told to try."""
        refused = issubclass(self.kind, StoreRefusedError)
        return self.given_up or refused or not issubclass(self.kind, UnavailableError)

    def error(self) -> NacreError:
        """Return the error to raise for it."""
        reason = self.reason.rstrip(".")
        return self.kind(f"the {self.name} does not start: {reason}. {MORE}", deployment=self.name)


def deployed_at(status: ServeStatus) -> dict[str, float]:
    """Return when each application was deployed, by Serve's own clock."""
    return {name: app.last_deployed_time_s for name, app in status.applications.items()}


def broken(status: ServeStatus, *, since: Mapping[str, float] = NOTHING) -> list[Broken]:
    """Return what does not run.

    Args:
        status: As Serve says.
        since: Of `deployed_at`: only what was deployed after that counts.
    """
    return [
        found
        for name, app in status.applications.items()
        if since.get(name) != app.last_deployed_time_s
        for deployment, entry in app.deployments.items()
        for found in _broken(
            deployment, entry, given_up=app.status is ApplicationStatus.DEPLOY_FAILED
        )
    ]


def reason_in(message: str) -> tuple[type[NacreError], str]:
    """Return which of our errors stands at the end of what Serve says, and its text."""
    found = None
    for line in re.finditer(r"^\S.*$", message, re.MULTILINE):
        found = _ERROR.match(message, line.start()) or found
    if found is None:
        return UnavailableError, _shortened(message)
    kind, text = getattr(errors, found[1], None), _shortened(found[2])
    if isinstance(kind, type) and issubclass(kind, NacreError):
        return kind, text
    return UnavailableError, f"{found[1]}: {text}"


def _broken(name: str, deployment: DeploymentStatusOverview, *, given_up: bool) -> Iterator[Broken]:
    failing = deployment.status.value in ("UNHEALTHY", "DEPLOY_FAILED")
    if failing or "Error:\n" in deployment.message:
        kind, reason = reason_in(deployment.message)
        yield Broken(name=name, reason=reason, kind=kind, given_up=given_up)


def _shortened(text: str) -> str:
    words = printable(" ".join(text.split()))
    return words if len(words) <= MOST_REASON else f"{words[:MOST_REASON]} …"
