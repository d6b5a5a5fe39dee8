"""The probe: what it refuses, what it waits for, and that it leaves nothing."""

import math
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from adapters.errors import (
    ConflictError,
    MissingError,
    NotFoundError,
    SettingsError,
    StoreRefusedError,
    UnavailableError,
)
from tests.support.fakes.lenient_store import (
    CreatesAnywhere,
    CreatesByReplacing,
    CreatesNothing,
    LenientStore,
    ReplacesAnything,
    ReplacesNothing,
    TellsLostAndWrites,
)
from workers.store import MemoryStore, ObjectStore
from workers.store.conditional_writes import (
    ENOUGH,
    EXPECTED_S,
    RACES_AT_ONCE,
    check_conditional_writes,
)
from workers.store.conditions import Condition
from workers.store.patience import Patience
from workers.store.scratch import LEFT_S, PREFIX
from workers.store.testing import (
    CrashError,
    Fault,
    FaultyStore,
    RecordingStore,
    WrappedStore,
    fault_at,
)

ONE_IN_FIVE = 0.2
ALONE_WRITES = 5
"""Conditional writes of a probe before its races begin."""


@pytest.mark.parametrize(
    "shares",
    [
        {"creating": ONE_IN_FIVE},
        {"replacing": ONE_IN_FIVE},
        {"creating": ONE_IN_FIVE, "replacing": ONE_IN_FIVE},
    ],
)
def test_a_store_where_two_win_one_race_in_five_is_refused_at_every_start(
    shares: dict[str, float],
) -> None:
    for seed in range(50):
        with pytest.raises(SettingsError, match="exactly one wins, found 2 winners of 2"):
            check_conditional_writes(LenientStore(**shares, seed=seed))


@pytest.mark.parametrize(
    ("store", "condition"),
    [
        (CreatesAnywhere(), Condition.TAKEN),
        (TellsLostAndWrites(), Condition.TAKEN),
        (CreatesNothing(), Condition.CREATES),
        (ReplacesAnything(), Condition.STALE),
        (ReplacesNothing(), Condition.REPLACES),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ObjectStore) else value.name,
)
def test_a_condition_that_does_not_hold_even_alone_is_told_by_name(
    store: ObjectStore, condition: Condition
) -> None:
    with pytest.raises(SettingsError) as caught:
        check_conditional_writes(store)
    told = [each for each in Condition if each.value in caught.value.message]
    assert told == [condition]
    assert list(store.list("")) == []


def test_a_condition_that_nothing_depends_on_is_told_and_the_store_is_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = CreatesByReplacing()
    check_conditional_writes(store)
    assert f"it does not hold that {Condition.GONE.value}; nothing here depends" in caplog.text
    assert list(store.list("")) == []


class Starting(WrappedStore):
    """A node that has started a moment ago: it says `error` to the first requests of a kind.

    Args:
        operation: Which are answered so.
        times: How many of them.
        error: With what.
        after: How many of these operations are answered before.
    """

    # Owns: the counts, guarded by `_lock`.

    def __init__(
        self, *, operation: str, times: int, error: Callable[[str], Exception], after: int = 0
    ) -> None:
        super().__init__(MemoryStore())
        self._operation, self._error = operation, error
        self._bad = range(after, after + times)
        self._lock = threading.Lock()
        self._seen = 0
        self.waits_s: list[float] = []

    @property
    def patience(self) -> Patience:
        return Patience(sleep=self.waits_s.append)

    def before(self, operation: str, key: str) -> None:
        if operation != self._operation:
            return
        with self._lock:
            number, self._seen = self._seen, self._seen + 1
        if number in self._bad:
            raise self._error(f"{key!r}: not now")


@pytest.mark.parametrize("operation", ["create", "replace", "get", "delete"])
@pytest.mark.parametrize("after", [0, 30])
def test_a_node_that_is_busy_for_a_moment_is_waited_for(operation: str, after: int) -> None:
    store = Starting(operation=operation, times=3, error=UnavailableError, after=after)
    check_conditional_writes(store)
    assert list(store.list("")) == []


@pytest.mark.parametrize("error", [NotFoundError, ConflictError])
@pytest.mark.parametrize("after", [0, 1, 40])
def test_a_node_that_does_not_find_what_is_there_is_waited_for(
    error: Callable[[str], Exception], after: int
) -> None:
    store = Starting(operation="replace", times=4, error=error, after=after)
    check_conditional_writes(store)
    store = Starting(operation="get", times=3, error=NotFoundError)
    check_conditional_writes(store)


ALWAYS = 10**9


def test_a_store_that_stays_away_is_unavailable_and_not_refused() -> None:
    store = Starting(operation="create", times=ALWAYS, error=UnavailableError)
    with pytest.raises(UnavailableError, match="not now"):
        check_conditional_writes(store)
    assert sum(store.waits_s) > 15.0


def test_what_was_written_and_stays_away_is_missing_and_not_refused() -> None:
    store = Starting(operation="get", times=ALWAYS, error=NotFoundError)
    with pytest.raises(MissingError, match="although it has just been written"):
        check_conditional_writes(store)


def test_who_is_not_let_in_is_told_at_once() -> None:
    store = Starting(operation="create", times=ALWAYS, error=StoreRefusedError)
    with pytest.raises(StoreRefusedError):
        check_conditional_writes(store)
    assert store.waits_s == []


def test_races_that_nobody_ever_wins_are_refused() -> None:
    store = Starting(operation="replace", times=ALWAYS, error=ConflictError, after=4)
    with pytest.raises(SettingsError, match="exactly one wins, found nobody"):
        check_conditional_writes(store)


@pytest.mark.parametrize("number", [1, 5, 9, 30, 60])
@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.SURPRISE, Fault.LOSE_ANSWER])
def test_nothing_is_left_however_it_ends(number: int, fault: Fault) -> None:
    inner = MemoryStore()
    with suppress(CrashError, RuntimeError, UnavailableError):
        check_conditional_writes(FaultyStore(inner, fault_at(number, fault)))
    assert list(inner.list("")) == []


def test_what_killed_probes_have_left_is_removed_and_what_runs_is_let_alone() -> None:
    now = 0.0
    store = MemoryStore(clock=lambda: now)
    store.put(f"{PREFIX}killed/1", b"1")
    now = 4e9  # long after this was written
    store.put(f"{PREFIX}running/1", b"1")
    check_conditional_writes(store)
    assert [each.key for each in store.list("")] == [f"{PREFIX}running/1"]
    assert LEFT_S > 3600.0


class Slow(WrappedStore):
    """Every look at the clock finds that another second has passed."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.now, self.written = 0.0, 0

    def before(self, operation: str, key: str) -> None:
        self.written += operation in ("create", "replace") and bool(key)

    def _clock(self) -> float:
        self.now += 1.0
        return self.now

    @property
    def patience(self) -> Patience:
        return Patience(attempts=1, clock=self._clock)


def test_a_slow_store_is_raced_with_until_it_is_enough_and_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quick, slow = Slow(), Slow()
    check_conditional_writes(quick, rounds=RACES_AT_ONCE)
    assert "is slow" not in caplog.text
    check_conditional_writes(slow, rounds=100 * RACES_AT_ONCE)
    assert caplog.text.count("is slow") == 1
    assert slow.now > EXPECTED_S
    heats = math.ceil(ENOUGH / RACES_AT_ONCE)
    assert slow.written - ALONE_WRITES == heats * (quick.written - ALONE_WRITES)


def test_what_is_enough_misses_one_race_in_five_in_one_start_of_a_thousand() -> None:
    missed = 1.0 - ONE_IN_FIVE
    assert missed**ENOUGH < 0.001 < missed ** (ENOUGH - 1)


def test_the_objects_of_a_race_are_as_large_as_documents_are() -> None:
    store = RecordingStore(MemoryStore())
    check_conditional_writes(store, rounds=RACES_AT_ONCE)
    written = store.operations["create"] + store.operations["replace"]
    assert store.sent // written // 2**16 == 1
