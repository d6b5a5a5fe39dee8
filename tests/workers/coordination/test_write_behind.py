"""What is noted becomes durable, in an order in which a crash loses nothing."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from adapters.errors import ConflictError, UnavailableError
from tests.support.drivers.running import TIMEOUT_S, Clock, play
from tests.support.fakes.faulty import ArmedStore
from tests.support.scenes.queue import ticket
from workers.coordination.write_behind import WriteBehind
from workers.queue import inbox
from workers.queue.events import Pause
from workers.queue.journal import JournalEntry, read_journal
from workers.queue.leadership import take_leadership
from workers.queue.ledger import Ledger, read_pages
from workers.queue.progress import read_progress
from workers.queue.ticket import Stage
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault, RecordingStore, WrappedStore

ENTRY = JournalEntry(at=5.0, stage="training", message="is being learnt")


def opened(store: ObjectStore, *, clock: Clock | None = None) -> WriteBehind:
    lead = take_leadership(store, owner="anna", host="", ttl_s=15, now=1.0)
    return WriteBehind(store, Ledger(store, lead), clock or Clock())


def noted(write_behind: WriteBehind, store: ObjectStore) -> str:
    """Note one of everything; return the key of the request."""
    key = inbox.ask(store, Pause(adapter="main"), who="anna")
    write_behind.note_ticket(ticket("birds", stage=Stage.TRAINING))
    write_behind.note_entry("birds", ENTRY)
    write_behind.note_request(key)
    return key


def test_a_request_is_removed_last() -> None:
    async def scene() -> None:
        store = RecordingStore(MemoryStore())
        write_behind = opened(store)
        key = noted(write_behind, store)
        store.reset()
        assert await write_behind.save() == []
        assert [operation for operation, _ in store.keys] == ["replace", "put", "delete"]
        assert store.keys[-1] == ("delete", key)
        assert read_pages(store) == [ticket("birds", stage=Stage.TRAINING)]
        assert list(read_journal(store, "birds")) == [ENTRY]
        assert not write_behind.requests

    play(scene)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
def test_what_the_store_refuses_is_written_another_time(number: int, fault: Fault) -> None:
    async def scene() -> None:
        store = ArmedStore(MemoryStore())
        write_behind = opened(store)
        key = noted(write_behind, store)
        store.arm(number, fault)
        try:
            await write_behind.save()
        except UnavailableError:
            assert write_behind.requests == {key}
            await write_behind.save()
        assert store.fired
        assert read_pages(store) == [ticket("birds", stage=Stage.TRAINING)]
        assert list(read_journal(store, "birds")) == [ENTRY]
        assert inbox.waiting(store) == []

    play(scene)


def test_with_nothing_noted_nothing_is_written() -> None:
    async def scene() -> None:
        store = RecordingStore(MemoryStore())
        write_behind = opened(store)
        store.reset()
        await write_behind.save()
        assert store.keys == []

    play(scene)


class Slow(WrappedStore):
    """Waits before it writes a page, once it is told to.

    Attributes:
        waits: Whether it does.
        reached: Set when it does.
        go: Lets it write.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.waits = False
        self.reached = threading.Event()
        self.go = threading.Event()

    def before(self, operation: str, key: str) -> None:  # noqa: ARG002
        if operation == "replace" and self.waits:
            self.reached.set()
            assert self.go.wait(TIMEOUT_S)


def test_what_changes_while_something_is_saved_is_saved_the_next_time() -> None:
    async def scene() -> None:
        store = Slow(MemoryStore())
        write_behind = opened(store)
        write_behind.note_ticket(ticket("birds", stage=Stage.TRAINING))
        store.waits = True
        saving = asyncio.create_task(write_behind.save())
        durable = asyncio.create_task(_ended(write_behind.durable("birds")))
        assert await asyncio.to_thread(store.reached.wait, TIMEOUT_S)
        write_behind.note_ticket(last := ticket("birds", stage=Stage.CHECKING))
        store.go.set()
        await saving
        assert not durable.done()
        await write_behind.save()
        await durable
        assert read_pages(store) == [last]

    play(scene)


async def _ended(waiting: Awaitable[None]) -> None:
    await waiting


def test_what_is_durable_already_is_not_waited_for() -> None:
    async def scene() -> None:
        write_behind = opened(MemoryStore())
        await write_behind.durable("birds")
        write_behind.note_ticket(ticket("birds"))
        await write_behind.save()
        await write_behind.durable("birds")

    play(scene)


def test_who_was_deposed_saves_nothing_and_removes_no_request() -> None:
    async def scene() -> None:
        store = MemoryStore()
        write_behind = opened(store)
        key = noted(write_behind, store)
        Ledger(store, take_leadership(store, owner="ben", host="", ttl_s=15, now=99.0))
        with pytest.raises(ConflictError, match="this one steps back"):
            await write_behind.save()
        assert read_pages(store) == []
        assert list(read_journal(store, "birds")) == []
        assert [entry.key for entry in inbox.waiting(store)] == [key]

    play(scene)


def reported(tell: Callable[[WriteBehind], None]) -> tuple[WriteBehind, MemoryStore]:
    """Return a write-behind that was told something, and the store in which that was reported."""
    store = MemoryStore()
    write_behind = opened(store)

    async def scene() -> None:
        tell(write_behind)
        await write_behind.report(every_s=0.0)

    play(scene)
    return write_behind, store


def test_progress_is_counted_from_its_first_report_on() -> None:
    def tell(write_behind: WriteBehind) -> None:
        for done in (50, 60, 70):
            write_behind.note_progress("birds", done, 100)

    write_behind, store = reported(tell)
    found = read_progress(store)["birds"]
    assert (found.done, found.total, found.begun_with) == (70, 100, 50)
    assert found.rate == pytest.approx(100)  # 20 in two looks at the clock, a tenth apart
    assert write_behind.done("birds") == 70
    assert write_behind.done("boats") == 0


def test_progress_that_was_forgotten_is_taken_back() -> None:
    def tell(write_behind: WriteBehind) -> None:
        write_behind.note_progress("birds", 50, 100)

    write_behind, store = reported(tell)
    write_behind.forget_progress("birds")
    write_behind.forget_progress("boats")

    async def scene() -> None:
        await write_behind.report(every_s=0.0)

    play(scene)
    assert read_progress(store) == {}
    assert write_behind.done("birds") == 0


def test_progress_is_reported_no_more_often_than_is_asked_for() -> None:
    async def scene() -> None:
        store, clock = RecordingStore(MemoryStore()), Clock()
        write_behind = opened(store, clock=clock)
        store.reset()
        for done in range(5):
            write_behind.note_progress("birds", done, 10)
            await write_behind.report(every_s=1_000.0)
        assert store.operations["put"] == 1
        clock.advance(1_000)
        await write_behind.report(every_s=1_000.0)
        assert read_progress(store)["birds"].done == 4
        await write_behind.report(every_s=0.0)
        assert store.operations["put"] == 2  # nothing has changed since

    play(scene)
