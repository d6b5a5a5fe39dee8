"""Who won a conditional write when answers are lost: against a scripted server."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adapters.errors import (
    ConflictError,
    SettingsError,
    StoreRefusedError,
    UnavailableError,
    UnknownOutcomeError,
)
from cluster.stores.credentials.shared import S3Credentials
from cluster.stores.s3 import S3Store
from cluster.stores.s3_attempts import ATTEMPTS
from cluster.stores.s3_settings import S3Settings
from workers.store.conditional_writes import check_conditional_writes

pytestmark = pytest.mark.slow

LISTING = b"""<?xml version="1.0"?><ListBucketResult><Name>b</Name><KeyCount>0</KeyCount>
<IsTruncated>false</IsTruncated></ListBucketResult>"""
KEYS = {"NACRE_S3_ACCESS_KEY": "someone", "NACRE_S3_SECRET_KEY": "something"}
CODES = {
    200: "",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    403: "RequestTimeTooSkewed",
    400: "RequestTimeout",
    429: "SlowDown",
}
ETAG = "5d41402abc4b2a76b9719d911017c592"


@dataclass
class Scripted:
    """A server with one object, whose puts are answered as `answers` say, the first one first.

    "ok" writes and answers; "lose" writes and hangs up; "drop" hangs up; "other" lets another
    writer in and answers 412; a number writes nothing and answers with that status.
    """

    answers: list[str] = field(default_factory=list)
    write_id: str | None = None  # of the object; None when there is none
    puts: list[dict[str, str]] = field(default_factory=list)

    def put(self, headers: dict[str, str]) -> int | None:
        """Return the status of a put; None hangs up."""
        self.puts.append(headers)
        answer = self.answers.pop(0) if self.answers else "ok"
        if answer in ("ok", "lose"):
            if "if-none-match" in headers and self.write_id is not None:
                return 412
            self.write_id = headers.get("x-amz-meta-nacre-write-id", "of a plain put")
        if answer == "other":
            self.write_id = "another writer"
            return 412
        return {"ok": 200, "lose": None, "drop": None}[answer] if answer.isalpha() else int(answer)


def _handler(script: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, LISTING)

        def do_HEAD(self) -> None:
            self._answer(200 if script.write_id else 404, b"")

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status = script.put({name.lower(): value for name, value in self.headers.items()})
            if status is None:
                self.close_connection = True
                return
            code = CODES.get(status)
            self._answer(status, f"<Error><Code>{code or 'Other'}</Code></Error>".encode())

        def do_DELETE(self) -> None:
            script.write_id = None
            self._answer(204, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("ETag", f'"{ETAG}"')
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            if script.write_id:
                self.send_header("x-amz-meta-nacre-write-id", script.write_id)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


Scene = Callable[..., tuple[S3Store, Scripted]]


@pytest.fixture
def scene() -> Iterator[Scene]:
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: str, write_id: str | None = None) -> tuple[S3Store, Scripted]:
        script = Scripted(list(answers), write_id)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = S3Settings(
            endpoint=f"http://127.0.0.1:{server.server_address[1]}",
            bucket="bucket",
            credentials=S3Credentials(environment=KEYS),
        )
        return S3Store(settings, sleep=lambda _: None), script

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "answers",
    [
        ("ok",),
        ("lose",),  # written, recognised by its write id, and acknowledged at the second try
        ("lose", "lose", "503", "ok"),
        ("drop", "ok"),  # not written, so sent again
        ("500", "ok"),  # a server error may have written or not; it had not
        ("503", "drop", "lose"),
    ],
)
def test_a_write_whose_answer_is_lost_is_recognised_as_ones_own(
    scene: Scene, answers: tuple[str, ...]
) -> None:
    store, script = scene(*answers)
    assert store.create("a", b"hello") == ETAG
    assert len({put["x-amz-meta-nacre-write-id"] for put in script.puts}) == 1
    # Until its own write is seen, nothing may be there; then it is written again over itself alone.
    conditions = [put.get("if-none-match") or put["if-match"] for put in script.puts]
    seen = answers.index("lose") + 1 if "lose" in answers else len(conditions)
    assert conditions[:seen] == ["*"] * seen
    assert {condition.strip('"') for condition in conditions[seen:]} <= {ETAG}
    assert answers[-1] == "ok" or len(conditions) == len(answers) + 1


@pytest.mark.parametrize("status", ["412", "409"])
def test_both_answers_that_mean_lost_are_told_with_the_winner(scene: Scene, status: str) -> None:
    store, script = scene(status, write_id="another writer")
    with pytest.raises(ConflictError, match="of write another writer"):
        store.create("a", b"hello")
    assert len(script.puts) == 1


@pytest.mark.parametrize("status", ["412", "409"])
def test_a_refusal_after_which_the_condition_holds_still_is_sent_again(
    scene: Scene, status: str
) -> None:
    store, script = scene(status, status, "ok")
    assert store.create("a", b"hello") == ETAG
    assert len(script.puts) == 3
    store, script = scene(status, "ok", write_id="another writer")
    assert store.replace("a", b"hello", ETAG) == ETAG
    assert [put["if-match"] for put in script.puts] == [f'"{ETAG}"'] * 2
    store, script = scene(*[status] * ATTEMPTS)
    with pytest.raises(UnavailableError, match="cannot serve a request now"):
        store.create("a", b"hello")
    assert len(script.puts) == ATTEMPTS


def test_a_lost_race_after_a_lost_answer_is_not_called_lost(scene: Scene) -> None:
    store, _ = scene("drop", "other")
    with pytest.raises(UnknownOutcomeError, match="may have been written"):
        store.create("a", b"hello")


def test_a_write_that_never_gets_an_answer_is_unknown(scene: Scene) -> None:
    store, script = scene(*["drop"] * ATTEMPTS)
    with pytest.raises(UnknownOutcomeError):
        store.create("a", b"hello")
    assert len(script.puts) == ATTEMPTS


def test_a_wrong_clock_is_one_clear_sentence(scene: Scene) -> None:
    store, _ = scene("403")
    with pytest.raises(StoreRefusedError, match="set the clock"):
        store.create("a", b"hello")


@pytest.mark.parametrize("status", ["429", "400", "503", "408", "425", "507"])
def test_what_passes_is_waited_out_and_said_once_it_has_lasted(scene: Scene, status: str) -> None:
    store, script = scene(status, status, "ok")
    assert store.create("a", b"hello") == ETAG
    assert len(script.puts) == 3
    store, _ = scene(*[status] * ATTEMPTS)
    with pytest.raises(
        UnavailableError, match=f"cannot serve a request now .{CODES.get(int(status), 'Other')}"
    ):
        store.put("a", b"hello")


def test_a_refusal_is_said_at_once(scene: Scene) -> None:
    store, script = scene(*["401"] * ATTEMPTS)
    with pytest.raises(StoreRefusedError, match="denies access to bucket 'bucket'"):
        store.put("a", b"hello")
    assert len(script.puts) == 1


def test_a_plain_put_is_repeated_until_it_is_acknowledged(scene: Scene) -> None:
    store, script = scene("drop", "503", "lose", "ok")
    store.put("a", b"hello")
    assert len(script.puts) == 4


def test_a_plain_put_that_is_never_acknowledged_says_so(scene: Scene) -> None:
    store, _ = scene(*["503"] * ATTEMPTS)
    with pytest.raises(UnavailableError, match=r"cannot serve a request now \(Other"):
        store.put("a", b"hello")


def test_a_store_that_ignores_conditions_is_refused_by_name(scene: Scene) -> None:
    store, _ = scene(*["200"] * 100)
    with pytest.raises(SettingsError, match=r"127\.0\.0\.1.*does not honour conditional writes"):
        check_conditional_writes(store)
