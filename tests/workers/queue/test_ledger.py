"""The queue's memory: nothing is lost, and nobody who was deposed changes anything."""

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from adapters.contract.canonical import digest_of
from adapters.errors import (
    ConflictError,
    CorruptionError,
    MissingError,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.fakes.faulty import ArmedStore, OvertakenStore
from tests.support.scenes.queue import ticket
from workers.queue.leadership import Leadership, take_leadership
from workers.queue.ledger import (
    KEPT_S,
    PAGES,
    Ledger,
    Page,
    bucket_of,
    page_key,
    read_outcome,
    read_page,
    read_pages,
    state_key,
)
from workers.queue.ticket import ENDED, Stage, Ticket
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import (
    CrashError,
    Fault,
    FaultyStore,
    RecordingStore,
    WrappedStore,
    fault_at,
)

NOW = 1_000_000.0


def lead(epoch: int) -> Leadership:
    return Leadership(owner="anna", host="here", epoch=epoch, expires=NOW + 15, since=NOW)


def opened(store: ObjectStore, *, epoch: int = 1) -> Ledger:
    return Ledger(store, lead(epoch))


def name_in(bucket: int) -> str:
    """Return the first name whose ticket is on that page."""
    return next(name for n in range(10_000) if bucket_of(name := f"task-{n}") == bucket)


EVERY_PAGE = [name_in(bucket) for bucket in range(PAGES)]


def found(store: ObjectStore) -> dict[str, Ticket]:
    return {entry.submission_id: entry for entry in read_pages(store)}


def by_name(tickets: Iterable[Ticket]) -> dict[str, Ticket]:
    return {entry.submission_id: entry for entry in tickets}


def ended(name: str, *, since: float, stage: Stage = Stage.PUBLISHED) -> Ticket:
    return replace(ticket(name, stage=stage), since=since)


def stored(store: MemoryStore) -> dict[str, bytes]:
    return {entry.key: store.get(entry.key).data for entry in store.list("")}


def test_what_was_saved_is_found_by_the_next_coordinator_and_by_whoever_looks() -> None:
    store = MemoryStore()
    tickets = [ticket(name, priority=number) for number, name in enumerate(EVERY_PAGE)]
    opened(store).save(tickets, now=NOW)
    assert found(store) == by_name(tickets)
    assert by_name(opened(store, epoch=2).tickets) == by_name(tickets)


def test_a_ticket_is_replaced_and_its_neighbours_stay() -> None:
    store = MemoryStore()
    first, second = ticket("task-0"), ticket("task-1", accepted_at=2.0)
    ledger = opened(store)
    ledger.save([first, second], now=NOW)
    ledger.save([moved := replace(first, stage=Stage.TRAINING, parent=3)], now=NOW)
    assert found(store) == by_name([moved, second])


def test_saving_nothing_writes_nothing() -> None:
    store = RecordingStore(MemoryStore())
    ledger = opened(store)
    store.reset()
    assert ledger.save([], now=NOW) == []
    assert store.keys == []


@pytest.mark.parametrize("bucket", range(PAGES))
def test_who_was_deposed_is_refused_on_every_page_although_none_has_changed(bucket: int) -> None:
    store = MemoryStore()
    old = opened(store)
    opened(store, epoch=2)
    before = stored(store)
    with pytest.raises(ConflictError, match=r"expected epoch 1, found 2; this one steps back"):
        old.save([ticket(EVERY_PAGE[bucket])], now=NOW)
    assert stored(store) == before


@pytest.mark.parametrize("stage", sorted(ENDED))
def test_who_was_deposed_does_not_say_how_a_submission_has_ended(stage: Stage) -> None:
    store = MemoryStore()
    old = opened(store)
    old.save([ticket("task")], now=NOW)
    opened(store, epoch=2)
    with pytest.raises(ConflictError):
        old.save([ended("task", since=NOW, stage=stage)], now=NOW)
    assert read_outcome(store, "task") is None
    assert found(store)["task"].stage is Stage.ACCEPTED


def test_who_was_deposed_cannot_open_the_ledger_again() -> None:
    store = MemoryStore()
    opened(store, epoch=2)
    before = stored(store)
    with pytest.raises(ConflictError, match="expected epoch 1, found 2"):
        opened(store, epoch=1)
    assert stored(store) == before


def test_what_the_old_one_saves_while_the_new_one_takes_over_is_found() -> None:
    store = MemoryStore()
    old, last = opened(store), ticket("task", stage=Stage.WAITING)
    key = page_key(bucket_of("task"))
    new = opened(OvertakenStore(store, key, lambda: old.save([last], now=NOW)), epoch=2)
    assert new.tickets == [last]
    with pytest.raises(ConflictError):
        old.save([ticket("task")], now=NOW)


def test_a_page_that_the_old_one_saves_while_an_answer_is_lost_is_read_again() -> None:
    class Lost(WrappedStore):
        """Loses the answer to one writing, which the old one had forestalled."""

        lost = False

        def replace(self, key: str, data: bytes, expected_etag: str) -> str:
            if key != page or self.lost:
                return self.inner.replace(key, data, expected_etag)
            self.lost = True
            old.save([last], now=NOW)
            raise UnknownOutcomeError("the answer was lost")

    store, last = MemoryStore(), ticket("task", stage=Stage.WAITING)
    old, page = opened(store), page_key(bucket_of("task"))
    assert opened(Lost(store), epoch=2).tickets == [last]


def test_who_is_deposed_while_it_takes_over_is_told_so() -> None:
    store = MemoryStore()
    with pytest.raises(ConflictError, match="expected epoch 1, found 2"):
        opened(OvertakenStore(store, page_key(7), lambda: opened(store, epoch=2)), epoch=1)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
def test_whichever_operation_of_the_opening_goes_wrong_the_next_one_finds_everything(
    fault: Fault,
) -> None:
    tickets = [ticket(name) for name in EVERY_PAGE]
    for number in range(2 * PAGES):
        store = MemoryStore()
        opened(store).save(tickets, now=NOW)
        try:
            ledger = opened(FaultyStore(store, fault_at(number, fault)), epoch=2)
        except UnavailableError:
            ledger = opened(store, epoch=3)
        assert by_name(ledger.tickets) == by_name(tickets)
        ledger.save([again := ticket(EVERY_PAGE[number % PAGES], priority=5)], now=NOW)
        assert found(store)[again.submission_id] == again


SAVED = [ticket("open", stage=Stage.TRAINING), ended("ended", since=NOW)]


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
def test_whichever_operation_of_a_saving_goes_wrong_saving_again_is_enough(fault: Fault) -> None:
    for number in range(3):  # two pages and an outcome
        store = ArmedStore(MemoryStore())
        ledger = opened(store)
        store.arm(number, fault)
        try:
            ledger.save(SAVED, now=NOW)
        except UnavailableError:
            ledger.save(SAVED, now=NOW)
        assert store.fired
        assert found(store) == by_name(SAVED)
        assert read_outcome(store, "ended") == SAVED[1]


class Silent(WrappedStore):
    """Writes one page and does not say so; then that page cannot be reached until it is mended."""

    mended = False
    written = False

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        etag = self.inner.replace(key, data, expected_etag)
        if self.mended:
            return etag
        self.written = True
        raise UnknownOutcomeError("the answer was lost")

    def before(self, operation: str, key: str) -> None:  # noqa: ARG002
        if self.written and not self.mended:
            raise UnavailableError("the store is away")


def test_what_is_saved_after_a_writing_whose_outcome_nobody_knows_is_not_lost() -> None:
    inner = MemoryStore()
    opened(inner)
    store = Silent(inner)
    store.mended = True
    ledger = opened(store, epoch=2)
    store.mended = False
    with pytest.raises(UnavailableError):
        ledger.save([ticket("task", stage=Stage.TRAINING)], now=NOW)
    store.mended = True
    later = [ticket("task", stage=Stage.CHECKING)]
    ledger.save(later, now=NOW)
    assert found(store) == by_name(later) == by_name(ledger.tickets)


class Unheard(WrappedStore):
    """Loses one writing on its way, and does not know it."""

    lost = False

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        if not self.lost:
            self.lost = True
            raise UnknownOutcomeError("the answer was lost")
        return self.inner.replace(key, data, expected_etag)


def test_a_writing_that_never_arrived_is_made_again() -> None:
    store = Unheard(MemoryStore())
    ledger = opened(store)
    ledger.save([ticket("task")], now=NOW)
    assert store.lost
    assert found(store) == by_name([ticket("task")])


@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
def test_wherever_a_saving_dies_the_old_or_the_new_ticket_is_found(fault: Fault) -> None:
    old, new = ticket("task", stage=Stage.CHECKING), ended("task", since=NOW)
    for number in range(2):
        store = ArmedStore(MemoryStore())
        ledger = opened(store)
        ledger.save([old], now=NOW)
        store.arm(number, fault)
        with pytest.raises(CrashError):
            ledger.save([new], now=NOW)
        assert found(store)["task"] in (old, new)
        # What is said of an ended one is never ahead of its page.
        assert read_outcome(store, "task") in (None, found(store)["task"])


def test_an_outcome_that_a_crash_has_left_out_is_written_before_its_ticket_leaves_the_page() -> (
    None
):
    store = ArmedStore(MemoryStore())
    ledger = opened(store)
    store.arm(1, Fault.CRASH)
    with pytest.raises(CrashError):
        ledger.save([ended("task", since=NOW)], now=NOW)
    assert read_outcome(store, "task") is None
    neighbour = ticket(name_in(bucket_of("task")))
    assert opened(store, epoch=2).save([neighbour], now=NOW + KEPT_S + 1) == ["task"]
    assert read_outcome(store, "task") == ended("task", since=NOW)


DAMAGES = [
    b"",
    b"null",
    b'{"schema": 1, "tickets": []}',
    b'{"schema": 99}',
]


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_page_is_made_anew_and_the_others_stay(content: bytes) -> None:
    store = MemoryStore()
    tickets = [ticket(name) for name in EVERY_PAGE]
    opened(WrappedStore(store)).save(tickets, now=NOW)  # in another process
    store.put(page_key(3), content)
    assert read_page(store, 3).tickets == {}
    ledger = opened(store, epoch=2)
    assert by_name(ledger.tickets) == by_name(tickets[:3] + tickets[4:])
    ledger.save([tickets[3]], now=NOW)
    assert found(store) == by_name(tickets)


@pytest.mark.parametrize("content", DAMAGES)
def test_who_has_seen_what_was_on_a_damaged_page_stays_with_it(content: bytes) -> None:
    store = MemoryStore()
    opened(store).save(SAVED, now=NOW)
    store.put(page_key(bucket_of("open")), content)
    assert found(store) == by_name(SAVED)
    assert by_name(opened(store, epoch=2).tickets) == by_name(SAVED)
    assert found(WrappedStore(store)) == by_name(SAVED)


def test_a_page_that_is_damaged_while_somebody_leads_is_written_again() -> None:
    store = MemoryStore()
    ledger, neighbour = opened(store), ticket(name_in(bucket_of("task")))
    ledger.save([neighbour], now=NOW)
    store.put(page_key(bucket_of("task")), b"")
    ledger.save([ticket("task")], now=NOW)
    assert found(WrappedStore(store)) == by_name([ticket("task"), neighbour])


def test_what_ended_long_ago_leaves_its_page_and_its_outcome_stays() -> None:
    store = MemoryStore()
    ledger = opened(store)
    old, late = ended("old", since=NOW), ended("late", since=NOW + 10)
    assert ledger.save([old, late, ticket("open")], now=NOW + 10) == []
    neighbours = [ticket(name_in(bucket_of(name))) for name in ("old", "late", "open")]
    left = ledger.save(neighbours, now=NOW + KEPT_S + 5)
    assert left == ["old"]
    assert set(found(store)) == {"late", "open", *(entry.submission_id for entry in neighbours)}
    assert read_outcome(store, "old") == old


def test_what_is_open_stays_on_its_page_however_old_it_is() -> None:
    store = MemoryStore()
    ledger = opened(store)
    assert ledger.save([ticket("task")], now=NOW) == []
    assert ledger.save([ticket("task", priority=1)], now=100 * NOW) == []
    assert set(found(store)) == {"task"}


def test_the_outcome_of_an_earlier_round_is_one_until_the_next() -> None:
    store = MemoryStore()
    ledger = opened(store)
    failed = ended("task", since=NOW, stage=Stage.FAILED)
    ledger.save([failed], now=NOW)
    ledger.save([replace(failed, stage=Stage.ACCEPTED, round=2)], now=NOW)
    assert read_outcome(store, "task") == failed
    published = replace(failed, stage=Stage.PUBLISHED, round=2, version=4)
    ledger.save([published], now=NOW)
    assert read_outcome(store, "task") == published


def test_what_is_open_has_no_outcome() -> None:
    store = MemoryStore()
    opened(store).save([ticket("task", stage=Stage.TRAINING)], now=NOW)
    assert read_outcome(store, "task") is None


OPEN = b'{"submission_id":"task","task":"t","adapter":"main","accepted_at":5,"stage":"encoding"}'


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b'{"schema": 1, "ticket": {}}', b'{"schema":1,"ticket":' + OPEN + b"}"],
)
def test_a_damaged_outcome_is_told(content: bytes) -> None:
    store = MemoryStore()
    store.put(state_key("task"), content)
    with pytest.raises(CorruptionError):
        read_outcome(store, "task")


def test_a_change_among_ten_thousand_writes_little() -> None:
    store = RecordingStore(MemoryStore())
    ledger = opened(store)
    tickets = [
        replace(ticket(f"a-task-of-{n:05d}-0123456789ab"), images=1_000, accepted_at=NOW + n / 7)
        for n in range(10_000)
    ]
    ledger.save(tickets, now=NOW)
    store.reset()
    ledger.save([replace(tickets[5_000], stage=Stage.TRAINING, parent=12)], now=NOW)
    assert store.sent < 100_000
    assert store.operations == {"replace": 1}
    assert len(ledger.tickets) == 10_000


def test_pages_grow_by_one_and_each_names_the_one_before() -> None:
    store, key = MemoryStore(), page_key(bucket_of("task"))
    seen = []
    for epoch in (1, 2):
        ledger = opened(store, epoch=epoch)
        seen.append(store.get(key).data)
        ledger.save([ticket("task", priority=epoch)], now=NOW)
        seen.append(store.get(key).data)
    pages = [json.loads(data) for data in seen]
    assert [entry["beat"] for entry in pages] == [1, 2, 3, 4]
    assert [entry.get("before", "") for entry in pages] == ["", *map(digest_of, seen[:-1])]


def test_a_page_of_the_first_days_is_read_and_followed_by_one_with_a_serial() -> None:
    store, task = MemoryStore(), ticket("task")
    old = Page(tickets={"task": task}, epoch=1, beat=7)
    store.put(page_key(bucket_of("task")), old.to_bytes())
    assert found(store) == by_name([task])
    assert opened(store, epoch=2).tickets == [task]
    assert read_page(store, bucket_of("task")).serial == 8


def test_a_page_of_which_an_earlier_state_comes_back_is_written_again() -> None:
    store, key = MemoryStore(), page_key(bucket_of("task"))
    neighbour = ticket(name_in(bucket_of("task")))
    opened(store).save([neighbour], now=NOW)
    before = store.get(key).data
    ledger = opened(store, epoch=2)
    ledger.save([ticket("task")], now=NOW)
    store.put(key, before)  # of an earlier epoch, too
    ledger.save([moved := ticket("task", stage=Stage.TRAINING)], now=NOW)
    assert found(WrappedStore(store)) == by_name([moved, neighbour])
    assert by_name(ledger.tickets) == by_name([moved, neighbour])


def test_what_was_seen_to_go_back_is_written_again_with_the_next_saving() -> None:
    store, key = MemoryStore(), page_key(bucket_of("task"))
    ledger = opened(store)
    before = store.get(key).data
    ledger.save([ticket("task")], now=NOW)
    store.put(key, before)
    assert found(store) == by_name([ticket("task")])  # as retention looks, in the same process
    elsewhere = ticket(name_in((bucket_of("task") + 1) % PAGES))
    ledger.save([elsewhere], now=NOW)
    assert found(WrappedStore(store)) == by_name([ticket("task"), elsewhere])


def test_who_opens_the_ledger_goes_on_from_what_it_has_seen_and_the_store_has_lost() -> None:
    store, key = MemoryStore(), page_key(bucket_of("task"))
    ledger = opened(store)
    before = store.get(key).data
    ledger.save([ticket("task")], now=NOW)
    store.put(key, before)
    assert opened(store, epoch=2).tickets == [ticket("task")]
    assert found(WrappedStore(store)) == by_name([ticket("task")])


def test_whoever_looks_does_not_go_back_behind_the_page_that_it_has_seen() -> None:
    store = RememberingStore(MemoryStore())
    opened(store).save([ticket("task")], now=NOW)
    looking = DoubtfulStore(store, old=lambda key: key.startswith("queue/pages/"))
    assert [found(looking) for _ in range(4)] == [by_name([ticket("task")])] * 4
    assert len(looking.went_back) == 2


def led(*tickets: Ticket) -> RememberingStore:
    """Return a store whose queue somebody leads, who has written `tickets` down."""
    store = RememberingStore(MemoryStore())
    lead = take_leadership(store, owner="anna", host="here", ttl_s=15.0, now=NOW)
    Ledger(store, lead).save(tickets, now=NOW)
    return store


def test_pages_that_are_denied_for_seconds_are_not_empty() -> None:
    tickets = [ticket(name) for name in EVERY_PAGE]
    store = led(*tickets)
    seen = DoubtfulStore(store)
    seen.deny(2.0)
    assert found(seen) == by_name(tickets)
    seen = DoubtfulStore(store)
    seen.deny(2.0)
    assert read_page(seen, 7).tickets == by_name([tickets[7]])


def test_who_takes_over_while_pages_are_denied_finds_every_ticket() -> None:
    tickets = [ticket(name) for name in EVERY_PAGE]
    seen = DoubtfulStore(led(*tickets))
    seen.deny(2.0)
    assert by_name(opened(seen, epoch=2).tickets) == by_name(tickets)


def test_a_queue_that_nobody_has_led_is_empty_at_once() -> None:
    seen = DoubtfulStore(RememberingStore(MemoryStore()))
    assert found(seen) == {}
    assert seen.slept_s == 0.0


def test_pages_that_the_first_one_to_lead_has_not_come_to_are_empty() -> None:
    seen = DoubtfulStore(led())
    for bucket in range(3, PAGES):
        seen.inner.delete(page_key(bucket))
    assert found(seen) == {}


def test_a_page_that_stays_away_is_missing_and_not_empty() -> None:
    seen = DoubtfulStore(led())
    seen.deny(1e9, lambda key: key == page_key(3))
    with pytest.raises(MissingError, match=r"03.json' is missing .*somebody has led this queue"):
        found(seen)


def test_an_outcome_that_is_denied_for_seconds_is_found_and_one_that_is_not_there_at_once() -> None:
    store = led(ended("task", since=NOW))
    seen = DoubtfulStore(store)
    assert read_outcome(seen, "other") is None
    assert seen.slept_s == 0.0
    seen.deny(2.0)
    assert read_outcome(seen, "task") == ended("task", since=NOW)
