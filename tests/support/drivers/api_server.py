"""The whole HTTP API in this process, behind a real server: what one replica is, without Ray."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import httpx
import uvicorn

from adapters.errors import NacreError
from cluster.api.access.requesters import Access
from cluster.config import Config
from cluster.serving.service import Service
from cluster.stores.versions import open_versions
from cluster.system.app import build_api
from cluster.wire.health import Status
from tests.support.drivers.served_here import START_TIMEOUT_S, ServedHere
from workers.encoding.encoder import Encoder
from workers.registry import VersionRef


class ApiServer(ServedHere):
    """Answers on a free port of this machine between entering and leaving.

    Args:
        config: Of the system.
        access: Who may do what.
        encoder: What embeds.
        port: Where it answers; a free one where 0.

    Attributes:
        url: Where it answers.
        service: What answers.
    """

    def __init__(
        self,
        config: Config,
        *,
        access: Access | None = None,
        encoder: type[Encoder] = Encoder,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self._config = config
        self._access = access or Access()
        self._encoder = encoder
        self.url = self.origin
        self.service: Service

    def client(self, **headers: str) -> httpx.Client:
        """Return a client whose every request has `headers`; the caller closes it."""
        return httpx.Client(base_url=self.url, headers=headers, timeout=START_TIMEOUT_S)

    def status(self) -> Status:
        """Return what the replica says of itself."""
        with self.client() as client:
            return Status.model_validate(client.get("/v1/status").json())

    def prepare(self, adapter: str, version: VersionRef) -> None:
        """See `Audience`; for this one replica."""
        self._called(self.service.prepare(adapter, version))

    def follow(self, adapter: str, serial: int = 0) -> None:
        """See `Audience`; for this one replica."""
        self._called(self.service.follow(adapter, serial))

    def _called(self, call: Coroutine[Any, Any, None]) -> None:
        with suppress(NacreError):  # as an audience may not raise
            asyncio.run_coroutine_threadsafe(call, self._loop).result(START_TIMEOUT_S)

    async def built(self) -> uvicorn.Server:
        """Return a server of the whole API."""
        self._loop = asyncio.get_running_loop()
        versions = open_versions(self._config)
        self.service = Service(self._config, versions, encoder=self._encoder)
        await self.service.start()
        api = build_api(self.service, self._config, audience=self, access=self._access)
        settings = uvicorn.Config(api, log_level="warning", ws="none", lifespan="off")
        return uvicorn.Server(settings)
