"""The HTTP API on Ray Serve: one deployment, whose replicas are a service and its routes."""

import asyncio
import os
from typing import Any

import torch
from ray import get_gpu_ids, serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from adapters.errors import reason_of
from cluster.api.access.requesters import Access
from cluster.api.health import Around
from cluster.config import Config
from cluster.runtime.actors import running_coordinator
from cluster.runtime.deployments import broken
from cluster.runtime.logs import log_as_json
from cluster.runtime.names import API, application
from cluster.runtime.replicas import Replicas
from cluster.serving.service import Service
from cluster.stores.versions import open_versions
from cluster.system.app import build_api
from cluster.wire.health import Trouble
from workers.encoding.encoder import Encoder
from workers.registry import VersionRef

ASKED_S = 2.0
"""How long the coordinator may take to say how it is, in seconds."""


@serve.deployment(name="replica")
@serve.ingress()
class Replica:
    """One replica."""

    # Owns: the service.

    async def __init__(self, config: Config, encoder: type[Encoder] = Encoder) -> None:  # type: ignore[misc]  # Serve awaits it
        log_as_json()
        device = "cuda" if get_gpu_ids() and torch.cuda.is_available() else "cpu"
        self._config = config
        versions = open_versions(config, existing=True)
        self._service = Service(config, versions, device=device, encoder=encoder)
        await self._service.start()

    def __serve_build_asgi_app__(self) -> Any:
        config = self._config
        return build_api(
            self._service,
            config,
            audience=Replicas(application(API)),
            # Serve puts the id on every answer itself.
            access=Access.of(os.environ, timeout_s=config.serve.timeout_s, says_id=False),
            around=around,
        )

    async def check_health(self) -> None:
        """Raise where something has ended that should run for ever; Serve starts another then."""
        ended = self._service.ended
        if ended is not None:
            raise RuntimeError(f"{ended}; another replica is started")

    async def prepare(self, adapter: str, version: VersionRef) -> None:
        """See `Service.prepare`."""
        await self._service.prepare(adapter, version)

    async def follow(self, adapter: str, serial: int = 0) -> None:
        """See `Service.follow`."""
        await self._service.follow(adapter, serial)


async def around() -> Around:
    """Return what Serve and the coordinator of this Ray say of themselves."""
    found = await asyncio.gather(_coordinator(), asyncio.to_thread(_deployments))
    return Around(coordinator=found[0], deployments=found[1])


async def _coordinator() -> Trouble | None:
    try:
        running = await asyncio.to_thread(running_coordinator)
        if running is None:
            return Trouble(reason="no coordinator runs on this Ray", for_s=None, tries=1)
        waiting = await asyncio.wait_for(running.waits_for.remote(), ASKED_S)
    except (RayError, TimeoutError) as error:
        reason = f"the coordinator does not answer: {reason_of(error)}"
        return Trouble(reason=reason, for_s=None, tries=1)
    if waiting is None:
        return None
    return Trouble(reason=waiting.reason, for_s=waiting.for_s, tries=waiting.tries)


def _deployments() -> dict[str, Trouble]:
    try:
        found = broken(serve.status())
    except (RayError, RayServeException) as error:
        return {"serve": Trouble(reason=reason_of(error), for_s=None, tries=1)}
    return {one.name: Trouble(reason=one.reason, for_s=None, tries=1) for one in found}
