"""The HTTP API on Ray Serve: one deployment, whose replicas are a service and its routes."""

import os
from typing import Any

import torch
from ray import get_gpu_ids, serve

from cluster.api.access import Access
from cluster.api.app import build_api
from cluster.config import Config
from cluster.runtime.logs import log_as_json
from cluster.runtime.names import API, application
from cluster.runtime.replicas import Replicas
from cluster.serving.service import Service
from cluster.stores.versions import open_versions
from workers.encoding.encoder import Encoder
from workers.registry import VersionRef


@serve.deployment(name="replica")
@serve.ingress()
class Replica:
    """One replica."""

    # Owns: the service.

    async def __init__(self, config: Config, encoder: type[Encoder] = Encoder) -> None:  # type: ignore[misc]  # Serve awaits it
        log_as_json()
        device = "cuda" if get_gpu_ids() and torch.cuda.is_available() else "cpu"
        self._config = config
        self._service = Service(config, open_versions(config), device=device, encoder=encoder)
        await self._service.start()

    def __serve_build_asgi_app__(self) -> Any:
        config = self._config
        return build_api(
            self._service,
            config,
            audience=Replicas(application(API)),
            # Serve puts the id on every answer itself.
            access=Access.of(os.environ, timeout_s=config.serve.timeout_s, says_id=False),
        )

    async def check_health(self) -> None:
        """Raise where something has ended that should run for ever; Serve starts another then."""
        if not self._service.lives:
            raise RuntimeError("a follower has ended; another replica is started")

    async def prepare(self, adapter: str, version: VersionRef) -> None:
        """See `Service.prepare`."""
        await self._service.prepare(adapter, version)

    async def follow(self, adapter: str) -> None:
        """See `Service.follow`."""
        await self._service.follow(adapter)
