"""A proxy in front of an S3 server that holds, loses, refuses or starves requests, or goes away.

It speaks just enough HTTP for that: one request per connection, bodies of a known length. Which
request goes wrong is decided by a function that sees every one before it is passed on, and may take
its time: the request is held as long.
"""

import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Self
from urllib.parse import unquote, urlsplit

CHUNK = 2**16
TIMEOUT_S = 60.0
MOST_REMEMBERED = 2**18
"""Larger answers are records and shards, which never change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Request:
    """One request: its verb, the key in its bucket, and whether it asks for an object's content."""

    verb: str
    key: str
    of_object: bool = True


class Fate(Enum):
    """What becomes of a request."""

    PASS = "pass"  # it is passed on, and its answer back
    LOSE = "lose"  # it never reaches the server
    LOSE_ANSWER = "lose answer"  # it reaches the server, and the answer is lost
    HANG = "hang"  # it is taken, never passed on, and never answered; the connection stays
    DRIP = "drip"  # it reaches the server, and its answer comes byte by byte, `drip_s` apart
    STALL = "stall"  # it reaches the server, and its answer stops after its first bytes
    BEFORE = "before"  # a read is answered with what was there before, where that was ever read


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An answer that the server never gave.

    Attributes:
        status: Of HTTP.
        code: Of S3.
    """

    status: int
    code: str

    def to_bytes(self, verb: str) -> bytes:
        """Return the answer to a request with that verb; the connection ends with it."""
        body = f"<Error><Code>{self.code}</Code><Message>{self.code}</Message></Error>".encode()
        head = (
            f"HTTP/1.1 {self.status} Refused\r\nContent-Type: application/xml\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        return head if verb == "HEAD" else head + body


Hook = Callable[[S3Request], Fate | Refusal]


class Before:
    """Answers to reads of objects, the present and the one before it.

    An object is kept only where it is small, as documents are: what is large never changes.
    """

    # Owns: the answers, guarded by `_lock`.

    def __init__(self) -> None:
        self._answers: dict[str, tuple[bytes, bytes]] = {}
        self._lock = threading.Lock()

    def answer(self, request: S3Request, present: bytes, fate: Fate) -> bytes:
        """Note what a read has found; return that, or what was found before it was replaced."""
        if not _is_whole(present):
            return present
        with self._lock:
            now, before = self._answers.get(request.key, (present, present))
            if _etag(now) != _etag(present):
                now, before = present, now
            self._answers[request.key] = now, before
        return before if fate is Fate.BEFORE else present


class S3Proxy:
    """Listens on loopback and passes requests on to a server.

    Args:
        upstream: Port of the server on loopback.
        hook: Decides about each request, in a thread of its own.
        drip_s: Seconds between two bytes of an answer that drips.
    """

    # Owns: the listening socket; `away` and `hook` may be set at any moment by anybody.

    def __init__(self, upstream: int, hook: Hook | None = None, *, drip_s: float = 1.0) -> None:
        self.upstream = upstream
        self.hook = hook or (lambda _request: Fate.PASS)
        self.away = False
        self.drip_s = drip_s
        self._over = threading.Event()
        self._before = Before()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy.serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def serve(self, client: socket.socket) -> None:
        """Carry one request over one connection."""
        client.settimeout(TIMEOUT_S)
        try:
            head, rest = _head(client)
            if not head or self.away:
                return
            request = _request(head)
            fate = self.hook(request)
            if fate is Fate.LOSE or self.away:
                return
            if fate is Fate.HANG:
                self._hold(client)
                return
            if isinstance(fate, Refusal):
                _swallow_body(client, head, rest)
                client.sendall(fate.to_bytes(request.verb))
                return
            with socket.create_connection(("127.0.0.1", self.upstream), TIMEOUT_S) as server:
                server.sendall(_closing(head))
                _copy_body(client, server, head, rest)
                if fate is Fate.LOSE_ANSWER:
                    server.recv(CHUNK)  # it has been carried out when it answers
                elif fate in (Fate.DRIP, Fate.STALL):
                    self._starve(client, server, fate)
                elif request.verb == "GET" and request.of_object:
                    self._answer_read(request, server, client, fate)
                else:
                    _copy_all(server, client)
        except OSError:
            return  # either side is gone: the other one is told by the end of its connection

    def _answer_read(
        self, request: S3Request, server: socket.socket, client: socket.socket, fate: Fate
    ) -> None:
        """Pass the content of an object on, or an earlier one of it."""
        begun = b""
        while len(begun) < MOST_REMEMBERED and (part := server.recv(CHUNK)):
            begun += part
        client.sendall(self._before.answer(request, begun, fate))
        _copy_all(server, client)

    def _starve(self, client: socket.socket, server: socket.socket, fate: Fate) -> None:
        """Let the answer stop in the middle, or come byte by byte, until the client gives up."""
        answer = b"".join(iter(lambda: server.recv(CHUNK), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        if fate is Fate.STALL:
            client.sendall(head + b"\r\n\r\n" + body[: len(body) // 2] if body else head[:9])
            self._hold(client)
            return
        for value in answer:
            client.sendall(bytes([value]))
            if self._over.wait(self.drip_s):
                return

    def _hold(self, client: socket.socket) -> None:
        """Keep a connection, and say nothing, until the client or this proxy ends it."""
        client.settimeout(0.1)
        while not self._over.is_set():
            try:
                if not client.recv(CHUNK):
                    return
            except TimeoutError:
                continue


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        part = client.recv(CHUNK)
        if not part:
            return b"", b""
        received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _request(head: bytes) -> S3Request:
    verb, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
    parts = urlsplit(target)
    path = unquote(parts.path).lstrip("/")
    return S3Request(verb=verb, key=path.partition("/")[2], of_object=not parts.query)


def _is_whole(answer: bytes) -> bool:
    """Return whether an answer has the whole of an object, and not more than is remembered."""
    return answer.startswith(b"HTTP/1.1 200") and len(answer) < MOST_REMEMBERED


def _etag(answer: bytes) -> bytes:
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return next((line[5:].strip() for line in lines if line.lower().startswith(b"etag:")), b"")


def _closing(head: bytes) -> bytes:
    """Return the head of a request after which the server closes the connection."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def _copy_body(client: socket.socket, server: socket.socket, head: bytes, rest: bytes) -> None:
    lengths = [
        int(line.split(b":", 1)[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    left = lengths[0] if lengths else 0
    while rest or left > 0:
        part = rest or client.recv(min(CHUNK, left))
        if not part:
            return
        server.sendall(part)
        left -= len(part)
        rest = b""


def _swallow_body(client: socket.socket, head: bytes, rest: bytes) -> None:
    """Read what the client sends, or it would take the answer for a broken connection."""
    left, expects = 0, False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            left = int(line.split(b":", 1)[1]) - len(rest)
        expects = expects or line.startswith(b"expect:")
    while left > 0 and not expects:
        part = client.recv(min(CHUNK, left))
        if not part:
            return
        left -= len(part)


def _copy_all(source: socket.socket, target: socket.socket) -> None:
    while part := source.recv(CHUNK):
        target.sendall(part)
