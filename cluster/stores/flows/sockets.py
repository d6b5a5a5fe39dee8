"""Sockets to an S3 server, on which each request keeps the time of its flow.

A time-out of a socket begins anew with every byte, so a server that sends one now and then would
never be given up. Here all reads and writes of a request share one credit.
"""

import io
import time
from collections.abc import Callable
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from cluster.stores.flows.flow import Flow

PIECE_BYTES = 2**16
NewFlow = Callable[[], Flow]


class FlowSocket:
    """A connected socket whose waits a flow ends.

    Args:
        connected: The socket, of TLS or not.
        flow: Of the connection.
    """

    # Owns: the time-out of the socket.

    def __init__(self, connected: Any, flow: Flow) -> None:
        self._socket = connected
        self._flow = flow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`, piece by piece.

        Raises:
            SilenceError: the other side takes it too slowly.
        """
        left = memoryview(data).cast("B")
        while left:
            sent = self._waited(self._socket.send, left[:PIECE_BYTES], sends=True)
            left = left[sent:]

    def recv_into(self, buffer: Any) -> int:
        """Receive into `buffer`, and return how many bytes; 0 at the end.

        Raises:
            SilenceError: they come too slowly.
        """
        return self._waited(self._socket.recv_into, buffer, sends=False)

    def makefile(self, mode: str = "rb", *_: Any, **__: Any) -> io.BufferedReader:
        """Return a file to read from; the socket stays open as long as it does."""
        return io.BufferedReader(_FlowFile(self, self._socket.makefile(mode, buffering=0)))

    def _waited(self, move: Callable[[Any], int], part: Any, *, sends: bool) -> int:
        """Return how many bytes `move` has moved."""
        while True:
            self._socket.settimeout(self._flow.left_s)
            began = time.monotonic()
            try:
                moved = move(part)
            except TimeoutError:
                self._flow.note(waited_s=time.monotonic() - began)
                continue
            waited_s = time.monotonic() - began
            if sends:
                self._flow.note(waited_s=waited_s, sent=moved)
            else:
                self._flow.note(waited_s=waited_s, received=moved)
            return moved


class _FlowFile(io.RawIOBase):
    """Reads through a FlowSocket, and keeps the file of the socket below it open."""

    def __init__(self, source: FlowSocket, held: Any) -> None:
        self._source = source
        self._held = held

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.recv_into(buffer)

    def close(self) -> None:
        self._held.close()
        super().close()


class _Flowing:
    """Makes every request of a connection begin its flow."""

    sock: Any

    def __init__(self, *args: Any, flow: Flow, **more: Any) -> None:
        super().__init__(*args, **more)
        self._flow = flow

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except ConnectTimeoutError as error:
            if not isinstance(error, NewConnectionError):  # that one was refused, at once
                self._flow.tell()
            raise
        self.sock = FlowSocket(self.sock, self._flow)

    def request(self, *args: Any, **more: Any) -> None:
        self._flow.begin()
        super().request(*args, **more)  # type: ignore[misc]


class _FlowHTTP(_Flowing, HTTPConnection):
    pass


class _FlowHTTPS(_Flowing, HTTPSConnection):
    pass


def flowing_pools(new_flow: NewFlow, **settings: Any) -> urllib3.PoolManager:
    """Return connection pools whose connections have flows.

    Args:
        new_flow: Makes that of a connection.
        settings: Of urllib3's PoolManager.
    """
    pools = urllib3.PoolManager(**settings)

    def pool_of(kind: Any, connection: Any) -> Callable[..., Any]:
        def new_pool(*args: Any, **more: Any) -> Any:
            pool = kind(*args, **more)
            pool.ConnectionCls = lambda **facts: connection(flow=new_flow(), **facts)
            return pool

        return new_pool

    pools.pool_classes_by_scheme = {  # its annotation wants classes; what it calls is enough
        "http": pool_of(urllib3.HTTPConnectionPool, _FlowHTTP),  # type: ignore[dict-item]
        "https": pool_of(urllib3.HTTPSConnectionPool, _FlowHTTPS),  # type: ignore[dict-item]
    }
    return pools
