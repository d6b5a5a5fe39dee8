"""An S3 server with objects in memory, whose answers a function may change before they are sent.

For answers that a real server never gives. It honours conditions and ranges, lists two keys a page,
and looks at no signature.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from cluster.stores.credentials.shared import S3Credentials
from cluster.stores.s3_settings import S3Settings

KEYS_A_PAGE = 2
WHEN = "Mon, 01 Jan 2024 00:00:00 GMT"
KEYS = {"NACRE_S3_ACCESS_KEY": "someone", "NACRE_S3_SECRET_KEY": "something"}
WRITE_ID = "x-amz-meta-nacre-write-id"


@dataclass(kw_only=True)
class Reply:
    """An answer; `headers` go out as they are, and nothing else does."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


Change = Callable[[str, Reply], Reply]
"""Gets the verb of a request (`LIST` for a listing) and its answer; returns what is sent."""


def unchanged(_verb: str, reply: Reply) -> Reply:
    return reply


@dataclass
class OddS3:
    """What the server holds, and what becomes of its answers.

    Attributes:
        change: May be set at any moment.
        objects: Bytes and write id by key.
        conflicts: Conditional headers; the next put with one is answered with 409, once for each.
        server: What it calls itself; empty where it does not.
        ignores: Conditional headers that it does not look at: `if-none-match`, or `if-match` where
            there is nothing.
    """

    change: Change = unchanged
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    server: str = ""
    ignores: frozenset[str] = frozenset()
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, verb: str, url: str, headers: dict[str, str], body: bytes) -> Reply:
        """Return the answer to a request."""
        key = unquote(urlsplit(url).path).lstrip("/").partition("/")[2]
        with self.lock:
            if not key:
                return self.change("LIST", self._listing(parse_qs(urlsplit(url).query)))
            answers = {"GET": self._get, "HEAD": self._get, "PUT": self._put}
            reply = answers.get(verb, self._delete)(key, headers, body)
        return self.change(verb, reply)

    def _get(self, key: str, headers: dict[str, str], _body: bytes) -> Reply:
        if key not in self.objects:
            return _error(404, "NoSuchKey")
        data, write_id = self.objects[key]
        facts = {"ETag": f'"{_etag(data)}"', "Last-Modified": WHEN, WRITE_ID: write_id}
        if "range" not in headers:
            return Reply(status=200, headers=facts | _length(data), body=data)
        first, _, last = headers["range"].removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1]
        if not part:
            return _error(416, "InvalidRange")
        shown = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        facts |= {"Content-Range": shown} | _length(part)
        return Reply(status=206, headers=facts, body=part)

    def _put(self, key: str, headers: dict[str, str], body: bytes) -> Reply:
        for header in set(self.conflicts) & set(headers):
            self.conflicts.remove(header)
            return _error(409, "ConditionalRequestConflict")
        found = self.objects.get(key)
        expected = headers.get("if-match", "").strip('"')
        is_ignored = found is None and "if-match" in self.ignores
        stale = expected and not is_ignored and (found is None or _etag(found[0]) != expected)
        if stale or ("if-none-match" in {*headers} - self.ignores and found is not None):
            return _error(412, "PreconditionFailed")
        self.objects[key] = (body, headers.get(WRITE_ID, ""))
        return Reply(status=200, headers={"ETag": f'"{_etag(body)}"'} | _length(b""))

    def _delete(self, key: str, _headers: dict[str, str], _body: bytes) -> Reply:
        self.objects.pop(key, None)
        return Reply(status=204, headers={})

    def _listing(self, query: dict[str, list[str]]) -> Reply:
        prefix = query.get("prefix", [""])[0]
        begin = int(query.get("continuation-token", ["0"])[0])
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        end = begin + KEYS_A_PAGE
        entries = "".join(
            f"<Contents><Key>{quote(key)}</Key><Size>{len(self.objects[key][0])}</Size>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys[begin:end]
        )
        more = (
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>{end}</NextContinuationToken>"
            if end < len(keys)
            else "<IsTruncated>false</IsTruncated>"
        )
        body = (
            "<ListBucketResult><Name>bucket</Name><EncodingType>url</EncodingType>"
            f"{more}{entries}</ListBucketResult>"
        ).encode()
        return Reply(
            status=200, headers={"Content-Type": "application/xml"} | _length(body), body=body
        )


@contextmanager
def odd_s3() -> Iterator[tuple[OddS3, S3Settings]]:
    """Give a running server and how to reach it."""
    held = OddS3()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(held))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield (
            held,
            S3Settings(
                endpoint=f"http://127.0.0.1:{server.server_address[1]}",
                bucket="bucket",
                credentials=S3Credentials(environment=KEYS),
            ),
        )
    finally:
        server.shutdown()
        server.server_close()


def _handler(held: OddS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = held.answer(self.command, self.path, headers, body)
            self.send_response_only(reply.status)
            if held.server:
                self.send_header("Server", held.server)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


def _error(status: int, code: str) -> Reply:
    body = f"<Error><Code>{code}</Code></Error>".encode()
    return Reply(
        status=status, headers={"Content-Type": "application/xml"} | _length(body), body=body
    )


def _length(data: bytes) -> dict[str, str]:
    return {"Content-Length": str(len(data))}


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
