"""A server in a thread of this process, on a free port of this machine."""

import asyncio
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn

START_TIMEOUT_S = 180.0


class ServedHere:
    """Answers between entering and leaving; what answers, and where else, its kinds say.

    Args:
        port: Where it answers; a free one where 0.

    Attributes:
        origin: Where it answers, as http://127.0.0.1:PORT.
    """

    # Owns: the thread with the event loop to which what answers belongs.

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen()  # whoever asks now is answered as soon as the server runs
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._started = threading.Event()
        self._server: uvicorn.Server
        self.origin = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

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

    async def built(self) -> uvicorn.Server:
        """Return the server, built in the event loop to which what answers belongs."""
        raise NotImplementedError

    async def _run(self) -> None:
        self._server = await self.built()
        self._started.set()
        await self._server.serve(sockets=[self._socket])
