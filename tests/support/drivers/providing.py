"""A provider on loopback that answers as a test wants, over real connections."""

import json
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.support.scenes.signing import Signer

DISCOVERY = "/.well-known/openid-configuration"
Answering = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: "_Server"
    form: dict[str, str]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.form = {name: values[0] for name, values in parse_qs(content).items()}
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked[path] += 1
        with suppress(OSError):
            self.server.answering[path](self)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def json(self, fields: object, status: int = 200) -> None:
        """Answer with JSON."""
        self.bytes(json.dumps(fields).encode(), status)

    def page(self, content: str) -> None:
        """Answer with a page for people."""
        headers = {"Content-Type": "text/html"}
        self.bytes(content.encode(), 200, **headers)

    def bytes(self, content: bytes, status: int = 200, **headers: str) -> None:
        """Answer with bytes."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.answering: dict[str, Answering] = {}
        self.closing = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """Say nothing: whoever asked has left."""


class LoopbackProvider:
    """A provider that runs.

    Attributes:
        url: Where it is, which is what it calls itself.
        signer: What signs for it.
        asked: How often it was asked, by path.
        answering: How it answers, by path.
        codes: What it gives for a code: claims of the token, besides `nonce`.
        exchanged: The forms that codes were exchanged with, with what the header said.
    """

    # Owns: the server.

    def __init__(self, server: _Server) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.signer = Signer(self.url)
        self.asked, self.answering = server.asked, server.answering
        self.codes: dict[str, dict[str, Any]] = {}
        self.exchanged: list[dict[str, str]] = []
        self.described: dict[str, Any] = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
        }
        self.well()

    def well(self) -> None:
        """Answer as a provider does."""
        self.answering[DISCOVERY] = lambda handler: handler.json(self.described)
        self.answering["/jwks"] = lambda handler: handler.json(self.signer.key_set)
        self.answering["/token"] = self._exchange

    def _exchange(self, handler: Handler) -> None:
        scheme, _, given = handler.headers.get("Authorization", "").partition(" ")
        basic = {"basic": b64decode(given).decode()} if scheme == "Basic" else {}
        self.exchanged.append({**handler.form, **basic})
        claims = self.codes.pop(handler.form.get("code", ""), None)
        if claims is None:
            handler.json({"error": "invalid_grant"}, 400)
        else:
            handler.json({"id_token": self.signer.token(**claims), "access_token": "opaque"})


@contextmanager
def provider() -> Iterator[LoopbackProvider]:
    """Run a provider as long as the block lasts."""
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield LoopbackProvider(server)
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def with_status(status: int) -> Answering:
    """Answer with that status."""
    return lambda handler: handler.bytes(b"", status)


def leading_to(url: str, status: int = 302) -> Answering:
    """Answer with a redirect."""
    return lambda handler: handler.bytes(b"", status, Location=url)


def saying(content: bytes) -> Answering:
    """Answer with these bytes."""
    return lambda handler: handler.bytes(content)


def hanging(handler: Handler) -> None:
    """Never answer."""
    handler.server.closing.wait(60)


def dripping(handler: Handler) -> None:
    """Answer a byte at a time, without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not handler.server.closing.wait(0.005):
        handler.wfile.write(b"[")
        handler.wfile.flush()


def endless(handler: Handler) -> None:
    """Answer without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while not handler.server.closing.is_set():
        handler.wfile.write(b"[" * 65536)
