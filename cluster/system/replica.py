"""The HTTP API on Ray Serve: one deployment, whose replicas are a service and its routes.

As with the other roles, what computes is imported where it runs.
"""

import asyncio
import os
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from adapters.errors import NacreError, reason_of
from cluster.config import Config
from cluster.metrics.nodes import system_metrics
from cluster.metrics.ray_tally import replica_label
from cluster.runtime.coordinator_role import running_coordinator
from cluster.runtime.deployments import broken
from cluster.runtime.logs import log_as_json
from cluster.runtime.names import API, application
from cluster.runtime.process_meter import process_meter
from cluster.runtime.replicas import Replicas
from cluster.runtime.roles import device, encoder_class
from cluster.stores.store_patience import awaited
from cluster.traces.tracing import begin_tracing
from cluster.wire.health import Trouble

if TYPE_CHECKING:
    from cluster.api.health import Around
    from workers.registry import VersionRef

ASKED_S = 2.0
"""How long the coordinator may take to say how it is, in seconds."""


@serve.deployment(name="replica")
@serve.ingress()
class Replica:
    """One replica."""

    # Owns: the service.

    async def __init__(self, config: Config, encoder: str) -> None:  # type: ignore[misc]  # Serve awaits it
        from cluster.serving.service import Service
        from cluster.stores.versions import open_versions

        log_as_json()
        begin_tracing(config.traces, "nacre-api")
        self._config = config
        meter = process_meter()
        versions = await asyncio.to_thread(
            awaited, lambda: open_versions(config, existing=True, meter=meter)
        )
        self._service = Service(
            config,
            versions,
            device=device(),
            encoder=encoder_class(encoder),
            meter=meter,
            replica=replica_label(),
        )
        await self._service.start()

    def __serve_build_asgi_app__(self) -> Any:
        from cluster.api.access.requesters import Access
        from cluster.system.app import build_api

        config = self._config
        return build_api(
            self._service,
            config,
            audience=Replicas(application(API)),
            # Serve puts the id on every answer itself.
            access=Access.of(os.environ, timeout_s=config.serve.timeout_s, says_id=False),
            around=around,
            counted=system_metrics,
        )

    async def check_health(self) -> None:
        """Raise where something has ended that should run for ever; Serve starts another then."""
        ended = self._service.ended
        if ended is not None:
            raise RuntimeError(f"{ended}; another replica is started")

    async def prepare(self, adapter: str, version: "VersionRef") -> None:
        """See `Service.prepare`."""
        await self._service.prepare(adapter, version)

    async def follow(self, adapter: str, serial: int = 0) -> None:
        """See `Service.follow`."""
        await self._service.follow(adapter, serial)


async def around() -> "Around":
    """Return what Serve and the coordinator of this Ray say of themselves."""
    from cluster.api.health import Around

    found = await asyncio.gather(_coordinator(), asyncio.to_thread(_deployments))
    return Around(coordinator=found[0], deployments=found[1])


async def _coordinator() -> Trouble | None:
    try:
        running = await asyncio.to_thread(running_coordinator)
        if running is None:
            return Trouble(reason="no coordinator runs on this Ray", for_s=None, tries=1)
        waiting = await asyncio.wait_for(running.waits_for.remote(), ASKED_S)
    except (NacreError, RayError, RayServeException, TimeoutError) as error:
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
