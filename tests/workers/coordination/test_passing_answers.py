"""Any sequence of passing answers of the store ends published, once; no surprise ends the queue."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.drivers.running import play
from tests.support.fakes.crews import System
from tests.support.fakes.faulty import MortalStore
from tests.workers.coordination.test_coordinator_faults import (
    BIRDS,
    BOATS,
    check_published_once,
    is_finished,
    store_with,
)
from workers.encoding.encoder import Encoder
from workers.store import MemoryStore
from workers.store.testing import Fault

PASSING = (Fault.FAIL, Fault.REFUSE, Fault.LOSE_ANSWER)
Weather = list[tuple[int, Fault, int]]
"""So many operations go well, then one kind of answer comes so many times in a row."""


def weather(*faults: Fault) -> st.SearchStrategy[Weather]:
    row = st.tuples(st.integers(1, 60), st.sampled_from(faults), st.integers(1, 12))
    return st.lists(row, max_size=12)


def run_through(encoder: Encoder, drawn: Weather) -> MemoryStore:
    """Let two submissions be learnt in that weather until both have ended."""
    store = store_with(BIRDS, BOATS)
    faults = [fault for good, bad, times in drawn for fault in (*[None] * good, *[bad] * times)]

    def script(number: int, _operation: str, _key: str) -> Fault | None:
        return faults[number] if number < len(faults) else None

    async def scene() -> None:
        async with System(store, encoder, link=MortalStore(store, script)) as system:
            await system.until(lambda: is_finished(store))

    play(scene)
    return store


@given(drawn=weather(*PASSING))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_passes_is_waited_out(encoder: Encoder, drawn: Weather) -> None:
    check_published_once(run_through(encoder, drawn), BIRDS, BOATS)


@given(drawn=weather(*PASSING, Fault.SURPRISE))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_error_that_nobody_thought_of_ends_at_most_the_work_it_hits(
    encoder: Encoder, drawn: Weather
) -> None:
    run_through(encoder, drawn)
