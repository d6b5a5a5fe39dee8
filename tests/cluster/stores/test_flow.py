"""The rule after which a wait a request to a store is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.stores.flows.flow import Flow, FlowLimits, SilenceError

LIMITS = FlowLimits(silent_s=10.0, least_rate=1000, told_s=2.0, in_vain_s=20.0)
WAITS = st.lists(st.tuples(st.floats(0.0, 4.0), st.integers(0, 8000)), max_size=60)


def begun() -> tuple[Flow, list[str]]:
    told: list[str] = []
    flow = Flow(LIMITS, tell=lambda: told.append("told"))
    flow.begin()
    return flow, told


def test_silence_is_told_once_and_ends_a_request() -> None:
    flow, told = begun()
    assert flow.left_s == 2.0
    flow.note(waited_s=2.0)
    assert told == ["told"]
    assert flow.left_s == 8.0
    with pytest.raises(SilenceError, match="accepted the connection and has not answered for 10 s"):
        flow.note(waited_s=8.0)
    assert told == ["told"]


def test_a_byte_now_and_then_does_not_prolong_a_request() -> None:
    flow, _ = begun()
    with pytest.raises(SilenceError, match="answers too slowly: 11 bytes in 11 s"):
        for _ in range(100):
            flow.note(waited_s=1.0, received=1)


def test_silence_after_many_bytes_ends_a_request_as_soon_as_silence_before_them() -> None:
    flow, _ = begun()
    flow.note(waited_s=1.0, received=10**9)
    with pytest.raises(SilenceError, match="in the middle of an answer, after 1000000000 bytes"):
        for _ in range(10):
            flow.note(waited_s=1.0)


def test_a_large_object_on_a_slow_line_has_the_time_that_it_needs() -> None:
    flow, _ = begun()
    for _ in range(10_000):
        flow.note(waited_s=5.0, sent=5000)


def test_a_request_begins_with_a_credit_of_its_own() -> None:
    flow, told = begun()
    flow.note(waited_s=9.0)
    flow.begin()
    flow.note(waited_s=9.0)
    assert len(told) == 2


@given(waits=WAITS)
def test_no_request_waits_for_longer_than_its_bytes_have_earned(
    waits: list[tuple[float, int]],
) -> None:
    flow, _ = begun()
    waited_s, moved = 0.0, 0
    for seconds, received in waits:
        waited_s, moved = waited_s + seconds, moved + received
        try:
            flow.note(waited_s=seconds, received=received)
        except SilenceError:
            return
        # The last sum is not exact, and decides nothing.
        assert waited_s < LIMITS.silent_s + moved / LIMITS.least_rate + 1e-9
