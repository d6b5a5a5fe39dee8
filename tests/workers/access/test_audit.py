"""The audit log: an entry before each change, and how the change has ended."""

from dataclasses import replace

import pytest

from adapters.errors import (
    CorruptionError,
    ForbiddenError,
    InputError,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.support.fakes.faulty import ArmedStore
from workers.access.audit import (
    PREFIX,
    AuditEntry,
    Outcome,
    audited,
    read_audit,
    remove_older,
    write_entry,
)
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault, WrappedStore

NOON = 1_790_000_000.0
DAY = 24 * 3600.0
ENTRY = AuditEntry(at=NOON, who="anna", road="cli", verb="promote", adapter="main", target="3")


def read(store: ObjectStore, *, days: int = 1, adapter: str | None = None) -> list[AuditEntry]:
    return list(read_audit(store, now=NOON, days=days, adapter=adapter))


def test_what_was_done_is_said_to_be_done() -> None:
    store = MemoryStore()
    with audited(store, ENTRY):
        assert read(store) == [ENTRY]  # before anything is done
    assert read(store) == [replace(ENTRY, outcome=Outcome.DONE)]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ForbiddenError("viewer"), Outcome.DENIED),
        (InputError("no such version"), Outcome.FAILED),
        (UnknownOutcomeError("perhaps"), Outcome.UNKNOWN),
        (ZeroDivisionError("a fault"), Outcome.FAILED),
        (KeyboardInterrupt(), Outcome.UNKNOWN),
    ],
)
def test_how_a_call_has_ended_is_said_with_its_reason(
    error: BaseException, outcome: Outcome
) -> None:
    store = MemoryStore()
    with pytest.raises(type(error)), audited(store, ENTRY):
        raise error
    (entry,) = read(store)
    assert entry.outcome is outcome
    assert str(error) in entry.reason


def test_nothing_is_done_that_cannot_be_written_down() -> None:
    store = ArmedStore(MemoryStore())
    store.arm(0, Fault.FAIL)
    done = []
    with pytest.raises(UnavailableError), audited(store, ENTRY):
        done.append("it")
    assert done == []


def test_what_was_done_is_done_though_its_end_cannot_be_written_down() -> None:
    store = ArmedStore(MemoryStore())
    with audited(store, ENTRY):
        store.arm(0, Fault.FAIL)
    assert [entry.outcome for entry in read(store)] == [Outcome.BEGUN]


def test_entries_are_read_the_latest_first_over_days_and_adapters() -> None:
    store = MemoryStore()
    entries = [
        replace(ENTRY, at=NOON - 3 * DAY, target="0"),
        replace(ENTRY, at=NOON - DAY, adapter="birds", target="1"),
        replace(ENTRY, at=NOON - 2, adapter="*", target="2"),
        replace(ENTRY, at=NOON - 1, target="3"),
        replace(ENTRY, at=NOON, adapter="birds", target="4"),
    ]
    for entry in entries:
        write_entry(store, entry)
    assert [entry.target for entry in read(store, days=4)] == ["4", "3", "2", "1", "0"]
    assert [entry.target for entry in read(store, days=2)] == ["4", "3", "2", "1"]
    assert [entry.target for entry in read(store, days=4, adapter="birds")] == ["4", "1"]
    assert [entry.target for entry in read(store, days=4, adapter="*")] == ["2"]


def test_no_more_is_read_than_is_asked_for() -> None:
    store = MemoryStore()
    for number in range(100):
        write_entry(store, replace(ENTRY, at=NOON - number))
    counting = ArmedStore(store)
    assert next(read_audit(counting, now=NOON, days=7)).at == NOON
    assert counting.count < 30


def test_two_calls_in_one_instant_are_two_entries() -> None:
    store = MemoryStore()
    for _ in range(2):
        write_entry(store, ENTRY)
    assert len(read(store)) == 2


def test_what_is_older_than_it_is_kept_goes_by_days() -> None:
    store = MemoryStore()
    for days in (0, 5, 9, 11, 30, 60):
        write_entry(store, replace(ENTRY, at=NOON - days * DAY))
    assert remove_older(store, now=NOON, days=10) == 3
    assert [round((NOON - entry.at) / DAY) for entry in read(store, days=100)] == [0, 5, 9]


def test_a_damaged_entry_is_named() -> None:
    store = MemoryStore()
    key = write_entry(store, ENTRY)
    store.put(key, b'{"schema":1}')
    with pytest.raises(CorruptionError, match=PREFIX):
        read(store)


def test_what_was_removed_since_it_was_listed_is_passed_over() -> None:
    class Removing(WrappedStore):
        def before(self, operation: str, key: str) -> None:
            if operation == "get":
                self.inner.delete(key)

    store = Removing(MemoryStore())
    write_entry(store, ENTRY)
    assert read(store) == []


@pytest.mark.parametrize("days", [20_000, 1e6, 1e308])
def test_no_call_is_older_than_the_clock_of_any_machine(days: float) -> None:
    store = MemoryStore()
    assert remove_older(store, now=NOON, days=days) == 0
