"""The whole HTTP API in this process, behind a real server: what one replica is, without Ray."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn

from adapters.errors import NacreError
from cluster.api.access.requesters import Access
from cluster.config import Config
from cluster.serving.service import Service
from cluster.stores.versions import open_versions
from cluster.system.app import build_api
from cluster.wire.health import Status
from workers.encoding.encoder import Encoder
from workers.registry import VersionRef

START_TIMEOUT_S = 60.0


class ApiServer:
    """Answers on a free port of this machine between entering and leaving.

    Args:
        config: Of the system.
        access: Who may do what.
        encoder: What embeds.

    Attributes:
        url: Where it answers.
        service: What answers.
    """

    # Owns: the thread with the event loop to which the service belongs.

    def __init__(
        self, config: Config, *, access: Access | None = None, encoder: type[Encoder] = Encoder
    ) -> None:
        self._config = config
        self._access = access or Access()
        self._encoder = encoder
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()  # whoever asks now is answered as soon as the server runs
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._started = threading.Event()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.service: Service

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(START_TIMEOUT_S), "the server did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(START_TIMEOUT_S)
        self._socket.close()

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

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        versions = open_versions(self._config)
        self.service = Service(self._config, versions, encoder=self._encoder)
        await self.service.start()
        api = build_api(self.service, self._config, audience=self, access=self._access)
        settings = uvicorn.Config(api, log_level="warning", ws="none", lifespan="off")
        self._server = uvicorn.Server(settings)
        self._started.set()
        await self._server.serve(sockets=[self._socket])
