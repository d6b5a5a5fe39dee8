"""Answers of servers that only resemble S3: a right value or a sentence, whatever is left out."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.errors import ConflictError, NacreError, UnavailableError, UnknownOutcomeError
from cluster.stores.s3 import S3Store
from cluster.stores.s3_settings import S3Settings
from tests.support.fakes.odd_s3 import Change, OddS3, Reply, odd_s3, unchanged
from workers.store.base import ObjectStore
from workers.store.conditional_writes import check_alone
from workers.store.scratch import Scratch

pytestmark = pytest.mark.slow

DIGITS = b"0123456789"
ETAG = "781e5e245d69b566979b86e28d23f2c7"  # of DIGITS


@pytest.fixture
def server() -> Iterator[tuple[OddS3, S3Settings]]:
    with odd_s3() as running:
        yield running


@pytest.fixture
def odd(server: tuple[OddS3, S3Settings]) -> OddS3:
    held, _ = server
    held.objects = {f"below/{name}": (DIGITS, "somebody") for name in "abcde"}
    return held


@pytest.fixture
def store(server: tuple[OddS3, S3Settings], odd: OddS3) -> S3Store:
    assert odd.change is unchanged
    return S3Store(server[1], sleep=lambda _: None)


def without(header: str, *verbs: str) -> Change:
    def change(verb: str, reply: Reply) -> Reply:
        if verb in verbs:
            reply.headers.pop(header, None)
        return reply

    return change


def with_headers(verb: str, **headers: str) -> Change:
    def change(asked: str, reply: Reply) -> Reply:
        if asked == verb:
            reply.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        return reply

    return change


def with_body(verb: str, made: Callable[[bytes], bytes], *, status: int = 200) -> Change:
    def change(asked: str, reply: Reply) -> Reply:
        if asked == verb:
            body = made(reply.body)
            return Reply(
                status=status,
                headers=reply.headers | {"Content-Length": str(len(body))},
                body=body,
            )
        return reply

    return change


def whole_for_a_part(verb: str, reply: Reply) -> Reply:
    """Answer a get of a range with everything, as a server does that knows no ranges."""
    if verb != "GET" or reply.status not in (206, 416):
        return reply
    headers = {"ETag": f'"{ETAG}"', "Content-Length": "10"}
    return Reply(status=200, headers=headers, body=DIGITS)


def cut_off(verb: str, reply: Reply) -> Reply:
    """Leave out the end of a body, and that there is one."""
    if verb == "GET":
        reply.headers.pop("Content-Length")
        reply.body = reply.body[:-3]
    return reply


def read(store: ObjectStore) -> object:
    return store.get("below/a").data


def read_part(store: ObjectStore) -> object:
    return store.get_range("below/a", 2, 3)


def read_end(store: ObjectStore) -> object:
    return store.get_range("below/a", 8, 100)


def listed(store: ObjectStore) -> object:
    return sorted((each.key, each.size_bytes) for each in store.list("below/"))


def replaced(store: ObjectStore) -> object:
    return store.replace("below/a", DIGITS, ETAG)


def put(store: ObjectStore) -> object:
    return store.put("below/a", DIGITS)


RIGHT: dict[Callable[[ObjectStore], object], object] = {
    read: DIGITS,
    read_part: b"234",
    read_end: b"89",
    listed: [(f"below/{name}", 10) for name in "abcde"],
    replaced: ETAG,
    put: None,
}

TOLD = [
    (without("ETag", "GET"), read, "no ETag"),
    (with_headers("GET", ETag='W/"abc"'), read, "a weak ETag"),
    (with_headers("GET", ETag='""'), read, "ETag"),
    (without("Content-Length", "GET"), read, "no Content-Length"),
    (with_headers("GET", Content_Length="ten"), read, "no Content-Length"),
    (cut_off, read, "no Content-Length"),
    (cut_off, read_part, "no Content-Length"),
    (with_body("GET", lambda _: b"", status=204), read, "status 204 in place of 200"),
    (with_body("GET", lambda body: body, status=206), read, "status 206 in place of 200"),
    (without("Content-Range", "GET"), read_part, "without a Content-Range"),
    (with_headers("GET", Content_Range="bytes 0-2/10"), read_part, "in place of bytes 2-4"),
    (with_headers("GET", Content_Range="bytes 2-4/*"), read_end, "in place of bytes 8-107"),
    (with_body("GET", lambda body: body[:-1], status=206), read_part, "in place of bytes 2-4"),
    (with_body("GET", lambda body: body + b"!", status=206), read_end, "in place of bytes 8-107"),
    (with_body("LIST", lambda _: b""), listed, "no element found"),
    (with_body("LIST", lambda body: body[:-20]), listed, "unclosed token"),
    (with_body("LIST", lambda _: b"\xff\xfe<"), listed, "codec can't decode"),
    (with_body("LIST", lambda _: b"<html>welcome</html>"), listed, "<Name> not found"),
    (with_body("LIST", lambda body: body.replace(b"Size>", b"S>")), listed, "without the Size"),
    (
        with_body("LIST", lambda body: body.replace(b"LastModified>", b"L>")),
        listed,
        "without the LastModified",
    ),
    (with_body("LIST", lambda body: body.replace(b"Key>", b"K>")), listed, "<Key> not found"),
    (with_body("LIST", lambda body: body.replace(b">10<", b">-1<")), listed, "without the Size"),
    (with_body("LIST", lambda body: body.replace(b">10<", b">many<")), listed, "invalid literal"),
    (with_body("LIST", lambda body: body.replace(b"-01T", b"-99T")), listed, "does not match"),
    (
        with_body("LIST", lambda body: body.replace(b"below", b"other")),
        listed,
        "a listing of 'below/' that holds 'other/a'",  # a server that does not look at the prefix
    ),
    (
        with_body("LIST", lambda body: body.replace(b">4<", b">2<")),
        listed,
        "where its next page begins",  # the second page leads to itself
    ),
    (
        with_body("LIST", lambda body: body[: body.index(b"<IsT")] + b"<IsTruncated>true"
                  b"</IsTruncated></ListBucketResult>"),
        listed,
        "where its next page begins",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "operation", "missing"), TOLD)
def test_what_an_answer_lacks_is_told_with_the_server(
    odd: OddS3,
    store: S3Store,
    change: Change,
    operation: Callable[[ObjectStore], object],
    missing: str,
) -> None:
    odd.change = change
    with pytest.raises(UnavailableError) as caught:
        operation(store)
    assert "http://127.0.0.1" in caught.value.message
    assert "as S3 does" in caught.value.message
    assert missing in caught.value.message
    odd.change = unchanged
    assert operation(store) == RIGHT[operation]  # what was wrong has passed


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 3, b"012"), (2, 3, b"234"), (8, 100, b"89"), (10, 5, b""), (99, 1, b"")],
)
def test_a_server_that_ignores_ranges_gives_the_part_that_was_asked_for(
    odd: OddS3, store: S3Store, start: int, length: int, expected: bytes
) -> None:
    odd.change = whole_for_a_part
    assert store.get_range("below/a", start, length) == expected


def test_a_write_whose_answer_has_no_etag_is_read_back(odd: OddS3, store: S3Store) -> None:
    odd.change = without("ETag", "PUT")
    assert store.create("new", DIGITS) == ETAG
    with pytest.raises(ConflictError):
        store.create("new", b"again")


@pytest.mark.parametrize("header", ["ETag", "x-amz-meta-nacre-write-id"])
def test_a_write_that_nobody_can_recognise_is_unknown(
    odd: OddS3, store: S3Store, header: str
) -> None:
    changes = without("ETag", "PUT"), without(header, "HEAD")
    odd.change = lambda verb, reply: changes[1](verb, changes[0](verb, reply))
    with pytest.raises(UnknownOutcomeError):
        store.create("new", DIGITS)


HEADERS = ("ETag", "Content-Length", "Content-Range", "Last-Modified", "Content-Type")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_to_an_answer_ends_in_the_right_value_or_one_of_our_errors(
    odd: OddS3, store: S3Store, data: st.DataObject
) -> None:
    header = data.draw(st.sampled_from(HEADERS))
    value = data.draw(st.text('0123456789-/"W*bytes ', max_size=12) | st.none())
    cut = data.draw(st.integers(0, 600))
    put_in = data.draw(st.binary(max_size=6))
    verb = data.draw(st.sampled_from(["GET", "HEAD", "PUT", "LIST"]))
    operation = data.draw(st.sampled_from(list(RIGHT)))

    def change(asked: str, reply: Reply) -> Reply:
        if asked != verb:
            return reply
        if header in reply.headers:
            reply.headers.pop(header)
            reply.headers |= {} if value is None else {header: value.strip()}
        if asked == "LIST":  # bodies of objects are anything; nobody can tell what they should be
            reply.body = reply.body[:cut] + put_in + reply.body[cut + len(put_in) :]
        reply.headers["Connection"] = "close"
        return reply

    odd.change = change
    try:
        found = operation(store)
    except NacreError as error:
        assert "http" in error.message or "s3://" in error.message
    else:
        # A key, an etag or a length that became another one is a lie that nobody can tell.
        lie = verb == "LIST" or (value is not None and header in ("ETag", "Content-Length"))
        assert lie or found == RIGHT[operation]
    finally:
        odd.change = unchanged


@pytest.mark.parametrize("header", ["if-none-match", "if-match"])
def test_a_conflict_that_passes_makes_no_store_unfit(
    store: S3Store, odd: OddS3, header: str
) -> None:
    odd.conflicts = [header]
    with Scratch(store) as scratch:
        assert check_alone(scratch) == ()
    assert odd.conflicts == []


@pytest.mark.parametrize("key", ["below/", "below/a/", "below/.DS_Store", "below/line\nbreak"])
def test_what_somebody_else_has_left_is_no_object(store: S3Store, odd: OddS3, key: str) -> None:
    odd.objects[key] = (b"", "")
    assert listed(store) == RIGHT[listed]
    assert key in {each.key for each in store.list_all("below/")}
