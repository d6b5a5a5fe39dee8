"""Diagnostics: checks of everything that the system needs, each with what to do where it fails."""

import asyncio
import importlib.metadata
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapters.contract.counts import counted
from adapters.errors import NacreError, SettingsError, UnavailableError
from cluster.config import LOCAL, TOKEN, Config, home, token_in, told_variables
from cluster.stores.known import open_known_store
from cluster.version import this_build
from workers.progress_callbacks import ProgressCallback, unwatched
from workers.queue.leadership import Leadership, read_leadership
from workers.store import ObjectStore
from workers.store.conditional_writes import check_conditional_writes

if TYPE_CHECKING:
    from cluster.wire.health import Status, Trouble

SLOW_STORE_S = 0.2
ASKED_S = 5.0
"""How long the HTTP API may take to say how it is, in seconds."""
FULL_BYTES = 5 * 2**30
MODE = "RAY_AUTH_MODE"
"""Left out, a Ray that is started on this machine asks whoever joins it for a token."""
PACKAGES = ("ray", "torch", "torchvision", "open_clip_torch", "minio", "safetensors")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check has found.

    Attributes:
        check: What was looked at.
        level: `ok`, `warning` or `error`.
        found: What was found.
        remedy: What to do; empty where all is well.
    """

    check: str
    level: str
    found: str
    remedy: str = ""


Check = Callable[[Config], Iterator[Finding]]


def examine(config: Config, *, on_progress: ProgressCallback = unwatched) -> Iterator[Finding]:
    """Yield what every check finds, one after another; none of them changes anything that lasts.

    Args:
        config: What is looked at.
        on_progress: Called with checks done and checks in all, before each and in the end.
    """
    for done, check in enumerate(CHECKS):
        on_progress(done, len(CHECKS))
        try:
            yield from check(config)
        except NacreError as error:
            name = check.__name__.strip("_").replace("_", " ")
            yield Finding(check=name, level="error", found=error.message)
    on_progress(len(CHECKS), len(CHECKS))


def _environment(config: Config) -> Iterator[Finding]:
    del config
    yield Finding(check="nacre", level="ok", found=str(this_build()))
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(check="python", level="ok", found=version)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    shown = ", ".join(f"{name} {found}" for name, found in versions.items())
    yield Finding(check="packages", level="ok", found=shown)
    cores = len(os.sched_getaffinity(0))
    yield Finding(check="cores", level="ok", found=str(cores))
    if os.environ.get(MODE, "token").lower() != "token":
        yield Finding(
            check="ray authentication",
            level="warning",
            found=f"{MODE} is {os.environ[MODE]!r}",
            remedy="whoever reaches this machine can run code in its Ray; remove the variable, and "
            "`nacre up` starts one that asks for a token",
        )


def _disk(config: Config) -> Iterator[Finding]:
    folders = {"home": home()}
    if config.store.startswith("file:"):
        folders["store"] = Path(urlsplit(config.store).path)
    for name, folder in folders.items():
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(existing, os.W_OK):
            remedy = "choose another folder, or let this user write there"
            found = f"{folder} cannot be written"
            yield Finding(check=f"{name} folder", level="error", found=found, remedy=remedy)
            continue
        free = shutil.disk_usage(existing).free
        low = free < FULL_BYTES
        yield Finding(
            check=f"{name} folder",
            level="warning" if low else "ok",
            found=f"{folder}: {free / 2**30:.1f} GiB free",
            remedy="make room: `nacre gc` says what could be removed" if low else "",
        )


def _store(config: Config) -> Iterator[Finding]:
    """Look at the store, and at what it says of the coordinator; nobody else knows of that."""
    try:
        store = open_known_store(config.store)
        check_conditional_writes(store)
        started = time.perf_counter()
        for _ in range(3):
            lead = read_leadership(store)
        seconds = (time.perf_counter() - started) / 3
    except UnavailableError as error:
        remedy = "`nacre doctor --store URL` looks at a store alone; who coordinates is not known"
        yield Finding(check="store", level="error", found=error.message, remedy=remedy)
        return
    slow = seconds > SLOW_STORE_S
    yield Finding(
        check="store",
        level="warning" if slow else "ok",
        found=f"{store.url} honours conditional writes; a read takes {1000 * seconds:.1f} ms",
        remedy="put the workers nearer to the store" if slow else "",
    )
    yield from _credentials(store)
    yield _coordinator(lead)


def _credentials(store: ObjectStore) -> Iterator[Finding]:
    """Say who gave the credentials of a store that has some, and until when they count."""
    said = getattr(store, "credentials_said", "")
    if said:
        yield Finding(check="credentials", level="ok", found=said)


def _coordinator(lead: Leadership | None) -> Finding:
    if lead is None or not lead.lasts(now=time.time()):
        return Finding(
            check="coordinator",
            level="warning",
            found="nobody coordinates the queue in this store",
            remedy="start the system with `nacre up`",
        )
    return Finding(check="coordinator", level="ok", found=f"on {lead.host}, epoch {lead.epoch}")


def _provider(config: Config) -> Iterator[Finding]:
    from cluster.provider.connecting import Connecting
    from cluster.provider.provider import read_provider

    oidc = config.access.oidc
    if oidc is None:
        return
    try:
        found = asyncio.run(read_provider(oidc.issuer, Connecting()))
    except UnavailableError as error:
        remedy = "until it answers, signed tokens count by the keys that replicas have read before"
        yield Finding(check="provider", level="error", found=error.message, remedy=remedy)
        return
    nobody = not (oidc.groups or oidc.subjects)
    yield Finding(
        check="provider",
        level="warning" if nobody else "ok",
        found=f"{oidc.issuer} has {counted(len(found.keys), 'key')}"
        + (", and the configuration gives nobody a role" if nobody else ""),
        remedy="name groups or subjects under `access: oidc:`" if nobody else "",
    )


def _encoder(config: Config) -> Iterator[Finding]:
    import torch

    from workers.encoding.encoder import IMPRECISE, Encoder

    torch.set_num_threads(config.workers.threads)
    started = time.perf_counter()
    encoder = Encoder(config.encoder)
    loaded_s = time.perf_counter() - started
    side = encoder.transform.config["size"]
    side = side if isinstance(side, int) else side[0]
    started = time.perf_counter()
    encoder.image_tower.features(torch.zeros(1, 3, side, side, dtype=torch.uint8))
    forward_s = time.perf_counter() - started
    yield Finding(
        check="encoder",
        level="ok",
        found=f"{config.encoder.model}: {encoder.fingerprint}, loaded in {loaded_s:.1f} s, one "
        f"image in {1000 * forward_s:.0f} ms on the CPU",
    )
    if encoder.is_imprecise:
        yield Finding(
            check="precision of the encoder",
            level="warning",
            found=IMPRECISE,
            remedy="leave `precision` out for this encoder, or name one whose image tower is a "
            "transformer, such as `tiny-vit`, before anything is learnt",
        )


def _methods(config: Config) -> Iterator[Finding]:
    """Look whether the configured methods can learn on the configured encoder."""
    from adapters.methods import method_named
    from cluster.client.tasks import tower_here

    tower = partial(tower_here, config.encoder)
    for adapter in dict.fromkeys((config.adapter, *config.adapters)):
        name, check = config.of_adapter(adapter).method, f"method of {adapter}"
        try:
            method = method_named(name)
            method.check_any_task(tower)
        except SettingsError as error:
            yield Finding(check=check, level="error", found=error.message)
            continue
        try:
            method.check_tower(tower, {})
        except SettingsError as error:  # tasks with other settings than the defaults can be learnt
            yield Finding(check=check, level="warning", found=error.message)
        else:
            yield Finding(check=check, level="ok", found=name)


def _gpu(config: Config) -> Iterator[Finding]:
    import torch

    asking = [role for role, needs in config.placement.of_roles() if needs.gpus]
    if not torch.cuda.is_available():
        here = config.ray == LOCAL and asking
        yield Finding(
            check="gpu",
            level="warning" if here else "ok",
            found=f"none here, and asked for by {', '.join(asking)}"
            if here
            else "none here; what runs on this machine runs on the CPU",
            remedy="leave `gpus` out under `placement:` in the configuration" if here else "",
        )
        return
    name = torch.cuda.get_device_name(0)
    yield Finding(
        check="gpu",
        level="ok" if asking else "warning",
        found=f"{name}, for {', '.join(asking)}" if asking else f"{name}, and no role asks for it",
        remedy=""
        if asking
        else "`placement: {shard_encoder: {gpus: 0.5}, trainer: {gpus: 0.5}}` in the configuration "
        "gives it to encoders and trainers",
    )


def _variables(config: Config) -> Iterator[Finding]:
    del config
    for told in told_variables():
        remedy = "`enableServiceLinks: false` keeps Kubernetes from setting those of services"
        yield Finding(check="environment", level="warning", found=told, remedy=remedy)


def _ray(config: Config) -> Iterator[Finding]:
    if config.ray == LOCAL:
        yield Finding(check="ray", level="ok", found="`nacre up` starts its own on this machine")
        return
    import ray

    from cluster.runtime.coordinator_role import running_coordinator
    from cluster.system.system import connect

    connect(config)
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        resources = ray.cluster_resources()
        found = (
            f"{counted(len(nodes), 'node')}, {counted(round(resources.get('CPU', 0)), 'CPU')}, "
            f"{counted(round(resources.get('GPU', 0)), 'GPU')}"
        )
        yield Finding(check="ray", level="ok", found=f"{config.ray}: {found}")
        runs = running_coordinator() is not None
        yield Finding(
            check="system",
            level="ok" if runs else "warning",
            found="runs on this Ray" if runs else "does not run on this Ray",
            remedy="" if runs else f"start it with `nacre up --address {config.ray}`",
        )
    finally:
        ray.shutdown()


def _api(config: Config) -> Iterator[Finding]:
    from cluster.client.http_api import HttpApi
    from cluster.client.remote.questions import standing

    api = HttpApi(config.endpoint)
    try:
        status = api.ask(standing(), timeout_s=ASKED_S)
    except NacreError as error:
        remedy = "start the system with `nacre up`; where it runs, look into its log"
        yield Finding(check="api", level="warning", found=error.message, remedy=remedy)
        return
    finally:
        api.close()
    answering = ", ".join(str(state.version) for state in status.adapters.values() if state.version)
    token = ", with a token" if token_in(os.environ, TOKEN) else ""
    found = f"{config.endpoint} answers with {answering or 'nothing yet'}{token}"
    yield Finding(check="api", level="ok", found=found)
    for what, trouble in troubles_of(status):
        yield Finding(
            check=what,
            level="warning",
            found=f"{trouble.reason} (for {trouble.for_s or 0.0:.0f} s)",
            remedy="`nacre status` shows whether it goes on",
        )


def troubles_of(status: "Status") -> Iterator[tuple[str, "Trouble"]]:
    """Yield what a replica says is wrong with itself and around it, with the name of each."""
    if status.coordinator is not None and status.coordinator.tries:
        yield "queue", status.coordinator
    yield from status.deployments.items()
    for name, state in status.adapters.items():
        if state.trouble is not None:
            yield f"following {name}", state.trouble


CHECKS: tuple[Check, ...] = (
    _environment,
    _variables,
    _disk,
    _store,
    _provider,
    _encoder,
    _methods,
    _gpu,
    _ray,
    _api,
)
