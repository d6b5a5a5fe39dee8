"""A whole console in this process, behind a real server: what `nacre console` serves."""

import asyncio
import socket
import threading
from types import TracebackType
from typing import Self

from cluster.api.access.requesters import Access
from cluster.client.client import Client
from cluster.client.requester import CONSOLE, Requester
from cluster.config import Config
from cluster.console.app import ConsoleServer, Identity
from workers.store import ObjectStore

START_TIMEOUT_S = 60.0


class ConsoleSite:
    """Answers on a free port of this machine between entering and leaving.

    Args:
        config: Of the system.
        access: The tokens of the environment; none where None.
        unnamed: Who somebody is where there is no token.
        store: The store of `config`, where it is open already.

    Attributes:
        url: Where its pages are.
    """

    # Owns: the thread with the event loop to which the console belongs.

    def __init__(
        self,
        config: Config,
        *,
        access: Access | None = None,
        unnamed: str = "anna",
        store: ObjectStore | None = None,
    ) -> None:
        self._config = config
        self._identity = Identity(
            access=access or Access(), unnamed=Requester(name=unnamed, road=CONSOLE)
        )
        self._store = store
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._started = threading.Event()
        self.origin = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"{self.origin}/console"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(START_TIMEOUT_S), "the console did not start"
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

    async def _run(self) -> None:
        client = Client(self._config, road=CONSOLE, store=self._store)
        self._server = ConsoleServer(client, self._identity)
        self._started.set()
        await self._server.serve(sockets=[self._socket])
