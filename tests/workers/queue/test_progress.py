"""Where submissions are, for whoever looks at nothing but the store."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from adapters.errors import NotFoundError
from tests.support.scenes.queue import ticket
from tests.support.scenes.submissions import announced, submission, written
from workers.queue import inbox
from workers.queue.events import Accepted, Pause
from workers.queue.inbox import ask
from workers.queue.leadership import Leadership, take_leadership
from workers.queue.ledger import Ledger, outcome_bytes, state_key
from workers.queue.progress import (
    KEY,
    SHOWN_IN_INBOX,
    StageProgress,
    State,
    find_state,
    known_ticket,
    read_progress,
    read_queue,
    read_state,
    ticket_of,
    write_progress,
)
from workers.queue.ticket import ENDED, Stage, Ticket
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import RecordingStore, WrappedStore

NOW = 1_000.0
PAGES = "queue/pages/"
BIRDS = submission("birds")
NAME = BIRDS.submission_id


def progress(
    done: int, *, begun_with: int = 0, seconds: float = 10.0, total: int = 100
) -> StageProgress:
    return StageProgress(
        done=done, total=total, begun_at=NOW, begun_with=begun_with, at=NOW + seconds
    )


RATES = [
    # progress; units per second, seconds left
    (progress(50), 5.0, 10.0),
    (progress(100), 5.0 * 2, 0.0),
    # a resumed training does not begin at 0
    (progress(60, begun_with=50), 1.0, 40.0),
    # nothing was done yet: nobody can say
    (progress(0), 0.0, None),
    # the first report: there is nothing to tell a rate from
    (progress(5, seconds=0.0), None, None),
    # what is not counted
    (progress(5, total=0), 0.5, None),
]


@pytest.mark.parametrize(("found", "rate", "left_s"), RATES)
def test_rate_and_time_left_follow_from_what_was_done(
    found: StageProgress, rate: float | None, left_s: float | None
) -> None:
    assert (found.rate, found.left_s) == (rate, left_s)


def test_progress_comes_back_equal() -> None:
    store = MemoryStore()
    assert read_progress(store) == {}
    write_progress(store, {"a": progress(1), "b": progress(2)})
    assert read_progress(store) == {"a": progress(1), "b": progress(2)}
    write_progress(store, {})
    assert read_progress(store) == {}


@pytest.mark.parametrize(
    "content", [b"", b"null", b'{"schema": 1}', b'{"schema": 1, "active": {"a": {"done": 5}}}']
)
def test_damaged_progress_is_no_progress(content: bytes) -> None:
    store = MemoryStore()
    store.put(KEY, content)
    assert read_progress(store) == {}


def led(store: ObjectStore) -> tuple[Leadership, Ledger]:
    lead = take_leadership(store, owner="anna", host="here", ttl_s=15, now=NOW)
    return lead, Ledger(store, lead)


def at(stage: Stage, **facts: Any) -> Ticket:
    return replace(ticket_of(BIRDS), stage=stage, **facts)


def test_a_submission_that_no_coordinator_has_seen_is_accepted() -> None:
    store = MemoryStore()
    written(store, BIRDS)
    expected = State(ticket=ticket_of(BIRDS))
    assert read_state(store, BIRDS) == find_state(store, NAME) == expected
    assert known_ticket(store, NAME) is None


def test_the_ticket_of_a_submission_says_what_is_to_be_known_of_it() -> None:
    found = ticket_of(submission("birds", adapter="zoo", accepted_at=5.0, priority=2))
    assert (found.task, found.adapter, found.priority, found.images) == ("birds", "zoo", 2, 4)
    assert (found.accepted_at, found.since, found.stage) == (5.0, 5.0, Stage.ACCEPTED)


def test_a_submission_that_does_not_exist_is_told() -> None:
    with pytest.raises(NotFoundError):
        find_state(MemoryStore(), "nothing-000000000000")


def test_what_is_being_worked_on_has_its_progress() -> None:
    store = MemoryStore()
    _, ledger = led(store)
    ledger.save([at(Stage.TRAINING, parent=3)], now=NOW)
    write_progress(store, {NAME: progress(50)})
    expected = State(ticket=at(Stage.TRAINING, parent=3), progress=progress(50))
    assert find_state(store, NAME) == read_state(store, BIRDS) == expected
    assert read_queue(store).states == (expected,)


@pytest.mark.parametrize("stage", [Stage.WAITING, *sorted(ENDED)])
def test_what_nobody_works_on_any_more_has_no_progress(stage: Stage) -> None:
    store = MemoryStore()
    _, ledger = led(store)
    ledger.save([at(stage, since=NOW)], now=NOW)
    write_progress(store, {NAME: progress(100)})
    states = [find_state(store, NAME), read_state(store, BIRDS), *read_queue(store).states]
    assert [state.progress for state in states] == [None] * 3


def test_what_ended_long_ago_is_found_by_its_name_and_not_in_the_queue() -> None:
    store = MemoryStore()
    written(store, BIRDS)
    ended = at(Stage.REJECTED, version=7, note="it forgets boats")
    store.put(state_key(NAME), outcome_bytes(ended))
    assert find_state(store, NAME).ticket == ended
    assert read_queue(store).states == ()


def test_the_page_counts_as_long_as_a_ticket_is_on_it() -> None:
    store = MemoryStore()
    store.put(state_key(NAME), outcome_bytes(at(Stage.FAILED)))
    _, ledger = led(store)
    ledger.save([at(Stage.WAITING, round=2)], now=NOW)
    assert find_state(store, NAME).ticket == at(Stage.WAITING, round=2)


def test_the_whole_queue_is_told_in_the_order_of_acceptance() -> None:
    store = MemoryStore()
    lead, ledger = led(store)
    tickets = [ticket("b", accepted_at=2), ticket("a", accepted_at=1), ticket("c", accepted_at=3)]
    ledger.save(tickets, now=NOW)
    found = read_queue(store)
    assert [state.ticket.task for state in found.states] == ["a", "b", "c"]
    assert (found.lead, found.unread) == (lead, 0)


def test_what_lies_in_the_inbox_is_part_of_the_queue() -> None:
    store = MemoryStore()
    announced(store, BIRDS)
    ask(store, Pause(adapter="main"), who="anna")
    found = read_queue(store)
    assert [state.ticket.submission_id for state in found.states] == [NAME]
    assert (found.lead, found.unread) == (None, 2)


def test_of_a_full_inbox_only_the_beginning_is_read() -> None:
    store = RecordingStore(MemoryStore())
    for number in range(3 * SHOWN_IN_INBOX):
        ask(store, Accepted(ticket=ticket(f"t{number}")), who="anna")
    store.reset()
    found = read_queue(store)
    assert (len(found.states), found.unread) == (SHOWN_IN_INBOX, 3 * SHOWN_IN_INBOX)
    assert sum(key.startswith(inbox.PREFIX) for op, key in store.keys if op == "get") == 100


class Busy(WrappedStore):
    """Lets the coordinator act between the look at the pages and the look at the inbox."""

    def __init__(self, inner: ObjectStore, act: Callable[[], object]) -> None:
        super().__init__(inner)
        self._act: Callable[[], object] | None = act
        self._seen: set[str] = set()

    def before(self, operation: str, key: str) -> None:  # noqa: ARG002
        act = self._act
        self._seen |= {kind for kind in (PAGES, inbox.PREFIX) if key.startswith(kind)}
        if act is not None and len(self._seen) == 2:
            self._act = None
            act()


def test_a_request_that_is_taken_note_of_meanwhile_does_not_disappear_from_sight() -> None:
    store = MemoryStore()
    _, ledger = led(store)
    announced(store, BIRDS)

    def take_note() -> None:
        (request,) = inbox.read(store, inbox.waiting(store))
        assert isinstance(request, inbox.QueueRequest)
        assert isinstance(request.event, Accepted)
        ledger.save([request.event.ticket], now=NOW)
        store.delete(request.key)

    found = read_queue(Busy(store, take_note))
    assert [state.ticket.submission_id for state in found.states] == [NAME]


def test_a_state_is_told_to_machines_with_everything() -> None:
    value = State(ticket=at(Stage.TRAINING), progress=progress(50)).to_json()
    assert (value["stage"], value["done"], value["total"]) == ("training", 50, 100)
    assert (value["rate"], value["left_s"], value["error"]) == (5.0, 10.0, None)
    assert State(ticket=at(Stage.TRAINING)).to_json()["done"] == 0
