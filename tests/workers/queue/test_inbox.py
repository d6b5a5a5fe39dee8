"""What the coordinator is asked for: durable, in order, and never in its way."""

import pytest

from adapters.errors import CorruptionError, MissingError
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.scenes.queue import ticket
from workers.formats.documents import encode
from workers.queue import inbox
from workers.queue.events import Accepted, Broke, Cancel, Event, Moved, Pause, Resume, Retry
from workers.queue.inbox import PREFIX, QueueRequest, ask, waiting
from workers.queue.ticket import Cause, Stage
from workers.queue.ticket_json import ticket_to_json
from workers.store import MemoryStore
from workers.store.testing import WrappedStore


class StoreClock:
    """A store's own clock, which knows nothing of those of the submitting machines."""

    def __init__(self, *times: float) -> None:
        self.times = list(times)

    def __call__(self) -> float:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def read(store: MemoryStore | WrappedStore) -> list[QueueRequest | CorruptionError | MissingError]:
    return list(inbox.read(store, waiting(store)))


def events(store: MemoryStore) -> list[Event]:
    found = read(store)
    assert all(isinstance(entry, QueueRequest) for entry in found)
    return [entry.event for entry in found if isinstance(entry, QueueRequest)]


ASKED: list[Event] = [
    Cancel(submission_id="birds-1"),
    Retry(submission_id="birds-1"),
    Pause(adapter="main"),
    Pause(adapter="*"),
    Resume(adapter="main"),
]


@pytest.mark.parametrize("event", ASKED)
def test_what_was_asked_for_is_read(event: Event) -> None:
    store = MemoryStore(clock=lambda: 7.0)
    key = ask(store, event, who="anna")
    assert read(store) == [QueueRequest(key=key, event=event, who="anna", at=7.0)]


def test_a_submission_is_accepted_when_the_store_says_so() -> None:
    """Submitting machines' clocks differ."""
    store = MemoryStore(clock=lambda: 7.0)
    ask(store, Accepted(ticket=ticket("birds", accepted_at=999.0, priority=3)), who="anna")
    (found,) = events(store)
    assert isinstance(found, Accepted)
    assert found.ticket.accepted_at == found.ticket.since == 7.0
    assert (found.ticket.submission_id, found.ticket.priority) == ("birds", 3)


def test_requests_come_in_the_order_of_the_stores_clock() -> None:
    store = MemoryStore(clock=StoreClock(3.0, 1.0, 2.0))
    for adapter in ("third", "first", "second"):
        ask(store, Pause(adapter=adapter), who="anna")
    assert events(store) == [Pause(adapter=name) for name in ("first", "second", "third")]


def test_many_requests_come_in_the_order_in_which_they_were_asked_for() -> None:
    store = MemoryStore(clock=lambda: 7.0)
    asked: list[Event] = [Pause(adapter=str(number)) for number in range(100)]
    for event in asked:
        ask(store, event, who="anna")
    assert events(store) == asked


@pytest.mark.parametrize(
    "event",
    [
        Moved(submission_id="birds-1", stage=Stage.PUBLISHED),
        Broke(submission_id="birds-1", cause=Cause.INPUT, error=""),
    ],
)
def test_only_what_people_may_ask_for_can_be_asked_for(event: Event) -> None:
    store = MemoryStore()
    with pytest.raises(TypeError, match="nobody may ask"):
        ask(store, event, who="anna")
    assert waiting(store) == []


DAMAGED = [
    b"",
    b"null",
    b"not JSON",
    b'{"schema": 99}',
    encode({}),
    encode({"who": "anna"}),
    encode({"who": "anna", "wish": "dance"}),
    encode({"who": "anna", "wish": ["cancel"]}),
    encode({"who": "anna", "wish": "cancel"}),
    encode({"who": "anna", "wish": "pause", "submission": "birds-1"}),
    encode({"who": "anna", "wish": "accept"}),
    encode({"who": "anna", "wish": "accept", "ticket": {}}),
    encode(
        {"who": "anna", "wish": "accept", "ticket": {**ticket_to_json(ticket("a")), "round": ""}}
    ),
    encode({"wish": "pause", "adapter": "main"}),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_request_is_named_and_the_others_are_read(content: bytes) -> None:
    store = MemoryStore(clock=StoreClock(1.0, 2.0, 3.0))
    first = ask(store, Pause(adapter="a"), who="anna")
    store.put(f"{PREFIX}damaged.json", content)
    last = ask(store, Resume(adapter="a"), who="anna")
    before, damage, after = read(store)
    assert isinstance(damage, CorruptionError)
    assert damage.fields["key"] == f"{PREFIX}damaged.json"
    assert damage.fields["key"] in damage.message
    assert [entry.key for entry in (before, after) if isinstance(entry, QueueRequest)] == [
        first,
        last,
    ]


def test_a_request_that_is_removed_meanwhile_is_passed_over() -> None:
    store = MemoryStore(clock=StoreClock(1.0, 2.0))
    ask(store, Pause(adapter="a"), who="anna")
    kept = ask(store, Pause(adapter="b"), who="anna")
    listed = waiting(store)
    store.delete(listed[0].key)
    assert [
        entry.key for entry in inbox.read(store, listed) if isinstance(entry, QueueRequest)
    ] == [kept]


def test_two_who_ask_at_once_write_two_requests() -> None:
    store = MemoryStore()
    keys = {ask(store, Pause(adapter="a"), who="anna") for _ in range(50)}
    assert len(keys) == len(waiting(store)) == 50


def keys_of(found: list[QueueRequest | CorruptionError | MissingError]) -> list[object]:
    return [entry.key if isinstance(entry, QueueRequest) else type(entry) for entry in found]


def two_requests() -> tuple[RememberingStore, list[str]]:
    store = RememberingStore(MemoryStore(clock=StoreClock(1.0, 2.0)))
    return store, [ask(store, wish(adapter="a"), who="anna") for wish in (Pause, Resume)]


def test_a_request_that_is_denied_for_seconds_is_read_in_its_place() -> None:
    store, keys = two_requests()
    seen = DoubtfulStore(store)
    seen.deny(2.0)
    assert keys_of(read(seen)) == keys


def test_a_request_that_stays_away_is_named_in_its_place() -> None:
    store, keys = two_requests()
    seen = DoubtfulStore(store)
    seen.deny(1e9, lambda key: key == keys[0])
    found = read(seen)
    assert keys_of(found) == [MissingError, keys[1]]
    assert isinstance(found[0], MissingError)
    assert found[0].fields["key"] == keys[0]


def test_a_request_that_is_removed_while_it_is_denied_is_passed_over() -> None:
    store, keys = two_requests()
    seen = DoubtfulStore(store)
    seen.deny(2.0)
    listed = waiting(seen)
    store.delete(keys[0])
    assert keys_of(inbox.read(seen, listed)) == [keys[1]]
