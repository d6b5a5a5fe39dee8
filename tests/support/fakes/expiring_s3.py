"""A server that gives credentials for a while, and an S3 server that takes no others.

It gives them for a token of a role, as STS does, and to containers and machines. Whoever signs with
keys that it has given, and that have not ended, is let through to a real S3 server, by its keys; it
looks at the whole signature. Whoever does not is told what Amazon tells.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import urllib3
from minio.credentials.credentials import Credentials
from minio.helpers import sha256_hash
from minio.signer import sign_v4_s3
from minio.time import to_amz_date

REGION = "us-east-1"
TOKEN = "eyJhbGciOiJub25l.a-token-of-the-service-account"
ROLE = "arn:aws:iam::123456789012:role/nacre"
INSTANCE = "/latest/meta-data/iam/security-credentials/"
CONTAINER = "/v1/credentials"
Answer = tuple[int, str, bytes]
"""Status, type and content."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Credentials that were given.

    Attributes:
        keys: They.
        ends: When they stop to count, in seconds of a clock that never goes back.
    """

    keys: Credentials
    ends: float


@dataclass
class ExpiringS3:
    """What the server has given, and how it behaves; all of it may be set at any moment.

    Attributes:
        upstream: Port of the S3 server, on loopback.
        keys: Its keys.
        lasts_s: For how long keys count, in seconds.
        clock_ahead_s: How far its clock is ahead of that of this machine, in seconds.
        token: What it gives credentials for.
        gives: Takes the place of an answer with credentials, where it is set.
        given: By access key.
        asked: How often it was asked for credentials.
        refused: Codes that requests to the store were answered with.
        passed: How many requests have reached the store.
        says_date: Whether its answers have a date.
    """

    upstream: int
    keys: Credentials
    lasts_s: float = 60.0
    clock_ahead_s: float = 0.0
    token: str = TOKEN
    gives: Callable[[], Answer] | None = None
    given: dict[str, Given] = field(default_factory=dict)
    asked: int = 0
    refused: list[str] = field(default_factory=list)
    passed: int = 0
    port: int = 0
    says_date: bool = True
    sent: list[Mapping[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _pools: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=32, retries=False)
    )

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def now(self) -> datetime:
        """Its time."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_ahead_s)

    def end_all(self) -> None:
        """Let nothing count any more that was given."""
        with self.lock:
            self.given.clear()

    def new(self) -> tuple[Credentials, str]:
        """Give credentials, and say until when they count."""
        with self.lock:
            number = next(self._numbers)
            keys = Credentials(f"ASIA{number:016}", f"secret/of+{number}", f"session-of-{number}==")
            self.given[keys.access_key] = Given(keys=keys, ends=time.monotonic() + self.lasts_s)
        return keys, f"{self.now + timedelta(seconds=self.lasts_s):%Y-%m-%dT%H:%M:%SZ}"

    def answer(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return the answer to a request of any kind."""
        found = self._credentials(verb, path, headers, body)
        if found is not None:
            status, kind, content = found
            return status, {"Content-Type": kind}, content
        return self._of_store(verb, path, headers, body)

    def _credentials(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer | None:
        if path == "/latest/api/token":
            return 200, "text/plain", b"a-token-of-the-machine"
        if path == INSTANCE:
            return 200, "text/plain", b"nacre-role"
        form = {name: found[0] for name, found in parse_qs(body.decode(errors="replace")).items()}
        of_role = verb == "POST" and form.get("Action") == "AssumeRoleWithWebIdentity"
        if not of_role and not path.startswith((INSTANCE, CONTAINER)):
            return None
        self.asked += 1
        self.sent.append({"path": path, **form, **headers})
        if self.gives is not None:
            return self.gives()
        if of_role:
            return self._for_role(form)
        if path == CONTAINER and headers.get("authorization") != self.token:
            return 401, "application/json", b'{"code": "AccessDenied"}'
        keys, ends = self.new()
        said = (
            f'{{"Code": "Success", "AccessKeyId": "{keys.access_key}", "SecretAccessKey": '
            f'"{keys.secret_key}", "Token": "{keys.session_token}", "Expiration": "{ends}"}}'
        )
        return 200, "application/json", said.encode()

    def _for_role(self, form: Mapping[str, str]) -> Answer:
        if form.get("WebIdentityToken") != self.token or form.get("RoleArn") != ROLE:
            return 400, "text/xml", sts_error("InvalidIdentityToken")
        keys, ends = self.new()
        return 200, "text/xml", sts_answer(keys, ends)

    def _of_store(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        code = self._refusal(verb, path, headers)
        if code is not None:
            self.refused.append(code)
            status = 400 if code == "ExpiredToken" else 403
            content = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
            return status, {"Content-Type": "application/xml"}, content
        self.passed += 1
        kept = {
            name: value
            for name, value in headers.items()
            if name.startswith(("x-amz-meta", "if-", "range", "content-type"))
        }
        signed = _signed(verb, self.upstream, path, kept, body, self.keys)
        found = self._pools.request(
            verb, f"http://127.0.0.1:{self.upstream}{path}", headers=signed, body=body or None
        )
        hop = ("transfer-encoding", "content-length", "connection", "date")
        told = {name: value for name, value in found.headers.items() if name.lower() not in hop}
        if verb == "HEAD" and "Content-Length" in found.headers:
            told["Content-Length"] = found.headers["Content-Length"]
        return found.status, told, found.data

    def _refusal(self, verb: str, path: str, headers: Mapping[str, str]) -> str | None:
        access = headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        with self.lock:
            given = self.given.get(access)
        if given is None or time.monotonic() >= given.ends:
            return "ExpiredToken" if access.startswith("ASIA") else "InvalidAccessKeyId"
        if headers.get("x-amz-security-token") != given.keys.session_token:
            return "InvalidToken"
        names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        when = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        # What is compared first is when: no machine may be more than a quarter of an hour off.
        if abs((when - self.now).total_seconds()) > 900:
            return "RequestTimeTooSkewed"
        expected = sign_v4_s3(
            method=verb,
            url=urlsplit(f"{self.address}{path}"),
            region=REGION,
            headers={name: headers[name] for name in names},
            credentials=given.keys,
            content_sha256=headers["x-amz-content-sha256"],
            date=when,
        )["Authorization"]
        return None if expected == headers["authorization"] else "SignatureDoesNotMatch"


def sts_answer(keys: Credentials, ends: str) -> bytes:
    """Return what STS says where it gives credentials."""
    return (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleWithWebIdentityResult><Credentials>"
        f"<AccessKeyId>{keys.access_key}</AccessKeyId>"
        f"<SecretAccessKey>{keys.secret_key}</SecretAccessKey>"
        f"<SessionToken>{keys.session_token}</SessionToken><Expiration>{ends}</Expiration>"
        "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    ).encode()


def sts_error(code: str) -> bytes:
    """Return what STS says where it gives none."""
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender'
        f"</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    ).encode()


@contextmanager
def expiring_s3(upstream: int, keys: Credentials, *, lasts_s: float) -> Iterator[ExpiringS3]:
    """Give a running server before the S3 server at a port of loopback."""
    held = ExpiringS3(upstream=upstream, keys=keys, lasts_s=lasts_s)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(held))
    server.daemon_threads = True
    held.port = int(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()


def _signed(
    verb: str, port: int, path: str, headers: Mapping[str, str], body: bytes, keys: Credentials
) -> dict[str, str]:
    now, digest = datetime.now(UTC), sha256_hash(body)
    own = {"Host": f"127.0.0.1:{port}", "x-amz-date": to_amz_date(now)}
    signed = sign_v4_s3(
        method=verb,
        url=urlsplit(f"http://127.0.0.1:{port}{path}"),
        region=REGION,
        headers={**headers, **own, "x-amz-content-sha256": digest},
        credentials=keys,
        content_sha256=digest,
        date=now,
    )
    return {name: str(value) for name, value in signed.items()}


def _handler(held: ExpiringS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, told, content = held.answer(self.command, self.path, headers, body)
            self.send_response_only(status)
            for name, value in told.items():
                self.send_header(name, value)
            if held.says_date:
                self.send_header("Date", format_datetime(held.now, usegmt=True))
            if "Content-Length" not in told:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler
