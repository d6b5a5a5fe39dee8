"""Receivers of webhooks on loopback that answer as a test wants, over real connections."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 240.0
Answering = Callable[["Handler"], None]


@dataclass(frozen=True)
class Request:
    """One request as it came: path, headers by their names in lower case, body, and when."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Handler(BaseHTTPRequestHandler):
    """Reads a request, keeps it, and lets the test answer."""

    server: "_Server"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, self.rfile.read(length), time.time())
        with self.server.arrived:
            self.server.requests.append(request)
            self.server.arrived.notify_all()
        self.server.answering(self)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        """Answer with a status and no body."""
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def wait(self) -> None:
        """Wait until the receiver is closed, or whoever asked has left."""
        while not self.server.closing.wait(0.02):
            with suppress(BlockingIOError):
                if self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
                    return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answering: Answering, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answering = answering
        self.requests: list[Request] = []
        self.arrived = threading.Condition()
        self.closing = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """Say nothing: whoever asked has left."""


@dataclass
class HttpReceiver:
    """A receiver that runs.

    Attributes:
        url: Where it is.
        requests: What it has received, in order.
        arrived: Is notified of each.
    """

    url: str
    requests: list[Request]
    arrived: threading.Condition

    def until(self, holds: Callable[[list[Request]], bool]) -> None:
        """Wait until something holds of the requests."""
        with self.arrived:
            found = self.arrived.wait_for(lambda: holds(self.requests), timeout=WAIT_S)
        assert found, f"it never happened: {len(self.requests)} requests came"


@contextmanager
def receiver(
    answering: Answering, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[HttpReceiver]:
    """Run a receiver as long as the block lasts."""
    server = _Server(answering, port)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scheme = "https" if tls is not None else "http"
    try:
        url = f"{scheme}://127.0.0.1:{server.server_port}/hook"
        yield HttpReceiver(url, server.requests, server.arrived)
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def yes(handler: Handler) -> None:
    """Take it."""
    handler.answer(204)


def with_status(status: int, **headers: str) -> Answering:
    """Answer with that status."""
    return lambda handler: handler.answer(
        status, {name.replace("_", "-"): value for name, value in headers.items()}
    )


def hanging(handler: Handler) -> None:
    """Never answer."""
    with_suppressed(handler.wait)


def dripping(handler: Handler) -> None:
    """Answer a byte at a time, without an end."""

    def drip() -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drop: ")
        while not handler.server.closing.wait(0.005):
            handler.wfile.write(b"d")
            handler.wfile.flush()

    with_suppressed(drip)


def endless(handler: Handler) -> None:
    """Take it, with an answer whose body has no end."""

    def pour() -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while not handler.server.closing.is_set():
            handler.wfile.write(b"x" * 65536)

    with_suppressed(pour)


def nonsense(handler: Handler) -> None:
    """Answer what is no HTTP."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    handler.close_connection = True


def silent(handler: Handler) -> None:
    """Break the connection off."""
    handler.close_connection = True


def with_suppressed(act: Callable[[], None]) -> None:
    try:
        act()
    except OSError:
        return
