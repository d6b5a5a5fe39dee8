"""How often a request is sent again: decided by pure rules, with a clock of the test's own."""

import json
import random

import httpx
import pytest

from adapters.errors import (
    ConflictError,
    CorruptionError,
    InputError,
    LimitError,
    NotFoundError,
    NothingPublishedError,
    UnavailableError,
    UnknownOutcomeError,
)
from cluster.client.attempts import LONGEST_WAIT_S, SOON_S, Attempts
from cluster.client.remote.call import Call
from cluster.client.remote.readings import Lines
from cluster.wire.headers import TIMEOUT_MS
from cluster.wire.health import Live


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def attempts(
    clock: Clock, *, patient: bool = True, changes: bool = False, timeout_s: float = 60.0
) -> Attempts[Live]:
    verb, path = ("POST", "/v1/adapters/main/rollback") if changes else ("GET", "/")
    call: Call[Live] = Call(kind=Live, verb=verb, path=path, patient=patient, changes=changes)
    return Attempts(call, "http://here", timeout_s=timeout_s, clock=clock, rng=random.Random(0))


def refusal(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"title": "X", "detail": "later"}, headers=headers)


def test_waits_grow_up_to_a_limit() -> None:
    clock = Clock()
    trying = attempts(clock, timeout_s=1e6)
    waits = [trying.after_refusal(refusal(503)) for _ in range(12)]
    assert waits[0] <= 0.05
    assert all(wait <= LONGEST_WAIT_S for wait in waits)
    assert min(waits[-3:]) >= LONGEST_WAIT_S / 2


def test_what_the_service_asks_for_is_waited_in_addition() -> None:
    assert 3 <= attempts(Clock()).after_refusal(refusal(429, **{"Retry-After": "3"})) <= 3.05


def test_whatever_retry_after_says_nobody_waits_past_the_deadline() -> None:
    for asked in ("3600", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"):
        clock = Clock()
        trying = attempts(clock, timeout_s=1.0)
        with pytest.raises(UnavailableError, match="later"):
            for _ in range(100):
                clock.now += trying.after_refusal(refusal(503, **{"Retry-After": asked}))
        assert clock.now < 1.0


@pytest.mark.parametrize(
    ("status", "kind"), [(401, InputError), (404, NotFoundError), (422, InputError)]
)
def test_what_is_the_caller_s_fault_is_not_tried_again(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        attempts(Clock()).after_refusal(refusal(status))


@pytest.mark.parametrize("status", [500, 504])
def test_what_would_fail_again_or_is_too_late_is_not_tried_again(status: int) -> None:
    with pytest.raises(UnavailableError):
        attempts(Clock()).after_refusal(refusal(status))


def test_where_nobody_listens_it_is_given_up_soon() -> None:
    clock = Clock()
    trying = attempts(clock)
    with pytest.raises(UnavailableError, match="nothing answers at http://here"):
        for _ in range(1000):
            clock.now += trying.after_error(httpx.ConnectError("refused"))
    assert SOON_S <= clock.now <= SOON_S + LONGEST_WAIT_S


def test_that_nothing_is_published_is_said_soon() -> None:
    clock = Clock()
    trying = attempts(clock)
    nothing = httpx.Response(503, json={"title": "NothingPublishedError", "detail": "none yet"})
    with pytest.raises(NothingPublishedError, match="none yet"):
        for _ in range(1000):
            clock.now += trying.after_refusal(nothing)
    assert SOON_S <= clock.now <= SOON_S + LONGEST_WAIT_S


def test_what_was_said_before_counts_where_only_the_time_of_the_last_attempt_was_short() -> None:
    clock = Clock()
    trying = attempts(clock, timeout_s=1.0)
    trying.after_refusal(refusal(503))
    clock.now = 1.0
    with pytest.raises(UnavailableError, match="later"):
        trying.after_error(httpx.ReadTimeout("timed out"))
    with pytest.raises(UnavailableError, match="later"):
        trying.after_refusal(httpx.Response(504, json={"title": "X", "detail": "too long"}))
    with pytest.raises(UnavailableError, match="nothing answers"):
        trying.after_error(httpx.ConnectError("refused"))


def test_a_broken_connection_is_tried_again_until_the_deadline() -> None:
    clock = Clock()
    trying = attempts(clock, timeout_s=10.0)
    with pytest.raises(UnavailableError, match="nothing answers"):
        for _ in range(1000):
            clock.now += trying.after_error(httpx.ReadError("reset"))
    assert 10 - LONGEST_WAIT_S <= clock.now < 10


def test_a_probe_is_never_repeated() -> None:
    with pytest.raises(UnavailableError):
        attempts(Clock(), patient=False).after_error(httpx.ReadError("reset"))
    with pytest.raises(UnavailableError):
        attempts(Clock(), patient=False).after_refusal(refusal(503))


def test_the_service_is_told_what_is_left() -> None:
    clock = Clock()
    trying = attempts(clock, timeout_s=5.0)
    assert trying.headers == {TIMEOUT_MS: "5000"}
    clock.now = 4.0
    assert trying.headers == {TIMEOUT_MS: "1000"}
    clock.now = 9.0
    assert trying.headers == {TIMEOUT_MS: "1"}
    assert trying.left_s > 0


def test_an_answer_of_somebody_else_is_recognised() -> None:
    trying = attempts(Clock())
    assert answer(trying, b'{"status": "live"}') == Live()
    with pytest.raises(UnavailableError, match="found 'welcome'; is another service"):
        answer(trying, b"welcome")


def answer(trying: Attempts[Live], *pieces: bytes) -> object:
    with trying.reading({}) as reading:
        for piece in pieces:
            reading.take(piece)
        return reading.answer()


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("timed out"), httpx.ReadError("reset"), httpx.WriteError("reset")]
)
def test_a_change_whose_answer_was_lost_is_not_sent_again(error: httpx.TransportError) -> None:
    with pytest.raises(UnknownOutcomeError, match="may be done all the same: look with"):
        attempts(Clock(), changes=True).after_error(error)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_what_became_of_a_change_is_not_known_where_somebody_else_has_answered(status: int) -> None:
    for answer in (httpx.Response(status, text="bad gateway"), refusal(status)):
        with pytest.raises(UnknownOutcomeError, match=f"was answered with {status}"):
            attempts(Clock(), changes=True).after_refusal(answer)


def test_a_change_that_has_not_arrived_is_sent_again_for_a_while() -> None:
    clock = Clock()
    trying = attempts(clock, changes=True)
    with pytest.raises(UnavailableError, match="nothing answers"):
        for _ in range(1000):
            clock.now += trying.after_error(httpx.ConnectError("refused"))
    assert SOON_S <= clock.now <= SOON_S + LONGEST_WAIT_S


def test_a_change_that_was_turned_away_is_sent_again_and_one_that_was_refused_is_not() -> None:
    trying = attempts(Clock(), changes=True)
    assert trying.after_refusal(refusal(429)) > 0
    busy = httpx.Response(503, json={"title": "UnavailableError", "detail": "the store is away"})
    with pytest.raises(UnavailableError, match="the store is away"):
        trying.after_refusal(busy)
    damaged = httpx.Response(500, json={"title": "CorruptionError", "detail": "damaged"})
    with pytest.raises(CorruptionError, match="damaged"):
        trying.after_refusal(damaged)


def test_a_change_that_is_to_wait_for_long_is_told_and_not_waited_for() -> None:
    full = {"title": "LimitError", "detail": "'token:b' has 2 open submissions"}
    later = httpx.Response(429, json=full, headers={"Retry-After": "60"})
    with pytest.raises(LimitError, match="2 open submissions"):
        attempts(Clock(), changes=True, timeout_s=3600.0).after_refusal(later)
    soon = httpx.Response(429, json=full, headers={"Retry-After": "5"})
    assert attempts(Clock(), changes=True, timeout_s=3600.0).after_refusal(soon) >= 5


@pytest.mark.parametrize("changes", [False, True])
def test_whoever_sends_on_is_not_followed(changes: bool) -> None:
    elsewhere = {"location": "https://elsewhere.example.com/v1?token=x"}
    moved = httpx.Response(307, headers=elsewhere)
    with pytest.raises(InputError, match=r"sends on to https://elsewhere\.example\.com, which is"):
        attempts(Clock(), changes=changes).after_refusal(moved)


def lines(*documents: dict[str, object]) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def lasting(told: list[tuple[str, int, int]], *, changes: bool = False) -> Attempts[Live]:
    def step(what: str, done: int, total: int) -> None:
        told.append((what, done, total))

    call: Call[Live] = Call(
        kind=Live,
        verb="POST",
        path="/v1/adapters/main/gc",
        changes=changes,
        reads=lambda _: Lines(Live, on_step=step),
    )
    return Attempts(call, "http://here", timeout_s=60.0)


def test_an_answer_in_lines_tells_how_far_it_is_however_it_is_cut() -> None:
    told: list[tuple[str, int, int]] = []
    whole = lines(
        {"progress": {"what": "", "done": 1, "total": 2}},
        {"file": {"name": "a.csv", "data": "YWI="}},
        {"progress": {"what": "sets", "done": 2, "total": 2}},
        {"result": {"status": "live"}},
    )
    for size in (1, 7, len(whole)):
        told.clear()
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        assert answer(lasting(told), *pieces) == Live()
        assert told == [("", 1, 2), ("sets", 2, 2)]


def test_an_error_in_lines_is_that_error() -> None:
    problem = {"title": "ConflictError", "status": 409, "detail": "a training is under way"}
    with pytest.raises(ConflictError, match="a training is under way"):
        answer(
            lasting([]),
            lines({"progress": {"what": "", "done": 0, "total": 0}}, {"error": problem}),
        )


def test_lines_that_end_without_an_answer_have_broken_off() -> None:
    begun = lines({"progress": {"what": "", "done": 1, "total": 2}})
    with pytest.raises(UnavailableError, match="has broken off; ask again"):
        answer(lasting([]), begun)
    with pytest.raises(UnknownOutcomeError, match="was answered in part; it may be done"):
        answer(lasting([], changes=True), begun)
    with pytest.raises(UnavailableError, match="is another service on that port"):
        answer(lasting([]), b"<html>\n")


@pytest.mark.parametrize("is_here", [True, False])
def test_what_is_to_be_started_on_this_machine_is_told_where_it_would_be(is_here: bool) -> None:
    clock = Clock()
    call: Call[Live] = Call(kind=Live, verb="GET", path="/")
    trying = Attempts(call, "http://x", timeout_s=60.0, is_here=is_here, clock=clock)
    clock.now = SOON_S
    with pytest.raises(UnavailableError, match="nothing answers at http://x") as refused:
        trying.after_error(httpx.ConnectError("refused"))
    assert ("nacre up" in refused.value.message) == is_here


def test_whoever_waits_for_long_is_told_why_and_whoever_waits_a_moment_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    attempts(Clock()).after_refusal(refusal(503))
    assert caplog.messages == []
    attempts(Clock()).after_refusal(refusal(429, **{"Retry-After": "7"}))
    assert caplog.messages == ["asking again in 7 s: later"]
    trying = attempts(Clock(), timeout_s=1e6)
    for _ in range(8):
        trying.after_refusal(refusal(503))
    assert len(caplog.messages) == 2  # that it was busy all the time is told once
