"""Allowances: what one requester may have under way and ask for, and what they keep of anybody."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import WAIT, LimitError
from cluster.api.access.allowances import Allowances
from cluster.config import NO_LIMITS, Config, RequesterLimits

LOUD, QUIET = "token:loud", "token:quiet"


@dataclass
class Time:
    """Seconds, as a test lets them pass."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def limited(*, images: int | None = None, requests: int | None = None) -> tuple[Allowances, Time]:
    limits, time = RequesterLimits(images_per_minute=images, requests=requests), Time()
    return Allowances(lambda _: limits, clock=time), time


def refused(act: Callable[[], object]) -> LimitError:
    with pytest.raises(LimitError) as found:
        act()
    return found.value


def test_as_many_requests_as_are_allowed_are_under_way_and_others_have_their_own() -> None:
    allowances, _ = limited(requests=2)
    with ExitStack() as under_way:
        under_way.enter_context(allowances.request(LOUD))
        under_way.enter_context(allowances.request(LOUD))
        error = refused(lambda: under_way.enter_context(allowances.request(LOUD)))
        under_way.enter_context(allowances.request(QUIET))
    assert error.message == (
        "'token:loud' has 2 requests under way here, as many as are allowed at once (`requests: 2` "
        "under `limits` in the configuration of the service); send this one again after 1 s, and "
        "fewer at once"
    )
    assert (error.fields["most"], error.fields["used"], error.fields[WAIT]) == (2, 2, 1)
    with allowances.request(LOUD):
        pass
    assert allowances.size == 0


def test_a_request_that_breaks_is_under_way_no_more() -> None:
    allowances, _ = limited(requests=1)
    with pytest.raises(ZeroDivisionError), allowances.request(LOUD):
        raise ZeroDivisionError
    with allowances.request(LOUD):
        pass


def test_images_beyond_a_minute_are_refused_with_how_long_to_wait_and_taken_then() -> None:
    allowances, time = limited(images=60)
    allowances.images(LOUD, 50)
    time.now += 10
    error = refused(lambda: allowances.images(LOUD, 30))
    assert error.message == (
        "'token:loud' has asked for 40 images within the last minute, and 30 more would be over "
        "what is allowed (`images_per_minute: 60` under `limits` in the configuration of the "
        "service); send these again after 10 s"
    )
    allowances.images(QUIET, 60)
    time.now += float(str(error.fields[WAIT])) - 1
    refused(lambda: allowances.images(LOUD, 30))
    time.now += 1
    allowances.images(LOUD, 30)


def test_whoever_has_none_left_is_told_before_anything_is_read() -> None:
    allowances, time = limited(images=60)
    allowances.images(LOUD, 0)
    assert allowances.size == 0
    allowances.images(LOUD, 60)
    assert "1 more would be over" in refused(lambda: allowances.images(LOUD, 0)).message
    time.now += 1
    allowances.images(LOUD, 0)


def test_a_request_larger_than_a_minute_allows_is_taken_when_nothing_else_was_for_long() -> None:
    allowances, time = limited(images=6)
    allowances.images(LOUD, 30)
    error = refused(lambda: allowances.images(LOUD, 30))
    assert error.fields[WAIT] == 300
    time.now += 300
    allowances.images(LOUD, 30)


@given(
    asked=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 12)), max_size=40),
    most=st.integers(12, 40),
)
def test_in_no_minute_are_there_more_than_two_minutes_worth_and_each_wait_is_enough(
    asked: list[tuple[float, int]], most: int
) -> None:
    allowances, time = limited(images=most)
    taken: list[tuple[float, int]] = []
    for after, count in asked:
        time.now += after
        try:
            allowances.images(LOUD, count)
        except LimitError as error:
            time.now += float(str(error.fields[WAIT]))
            allowances.images(LOUD, count)
        taken.append((time.now, count))
    for begin, _ in taken:
        assert sum(n for at, n in taken if begin <= at < begin + 60) <= 2 * most


def test_nothing_is_kept_of_ten_thousand_who_asked_a_while_ago() -> None:
    allowances, time = limited(images=60)
    for number in range(10_000):
        allowances.images(f"token:{number}", 1)
        time.now += 0.5
    assert allowances.size <= 4


def test_limits_are_by_name_with_a_default_and_none_where_nobody_is_told_apart() -> None:
    few = RequesterLimits(requests=1)
    assert Config().of_requester("token:ci") == RequesterLimits()
    assert Config().of_requester("http") == NO_LIMITS
    config = Config(limits={"*": few, "token:ci": NO_LIMITS})
    assert config.of_requester("token:ci") == NO_LIMITS
    assert config.of_requester("anna") == few
    assert config.of_requester("http") == NO_LIMITS
    assert Config(limits={"http": few}).of_requester("http") == few


def test_the_defaults_leave_room_for_somebody_else_in_a_replica() -> None:
    requests = RequesterLimits().requests
    assert requests is not None
    assert 2 * requests <= Config().serve.max_ongoing
