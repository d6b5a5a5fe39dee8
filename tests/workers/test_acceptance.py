"""Accepting a task: durable, and the queue is asked to learn it once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.errors import ImageError, UnavailableError
from tests.suites.faulty import ArmedStore
from workers import inbox
from workers.acceptance import accept
from workers.intake import Intake
from workers.lead import take_lead
from workers.ledger import Ledger
from workers.progress import find_state, read_queue, ticket_of
from workers.queue_events import Accepted
from workers.store import MemoryStore, ObjectStore
from workers.store.wrappers import Fault
from workers.submission import read_submission
from workers.task import load_task
from workers.ticket import Stage

WriteTask = Callable[..., Path]


def accepted(store: ObjectStore, path: Path, *, now: float = 5.0) -> Intake:
    return accept(load_task(path), store, author="anna", now=now)


def requests(store: MemoryStore) -> list[inbox.Request]:
    found = inbox.read(store, inbox.waiting(store))
    return [entry for entry in found if isinstance(entry, inbox.Request)]


def test_an_accepted_task_is_durable_and_the_queue_is_asked_for_it(write_task: WriteTask) -> None:
    store = MemoryStore(clock=lambda: 7.0)
    submission = accepted(store, write_task()).submission
    assert read_submission(store, submission.submission_id) == submission
    (request,) = requests(store)
    assert isinstance(request.event, Accepted)
    assert request.event.ticket.submission_id == submission.submission_id
    assert request.event.ticket.images == 12
    assert (request.who, request.at) == ("anna", 7.0)
    assert find_state(store, submission.submission_id).ticket.stage is Stage.ACCEPTED


def test_a_refused_task_leaves_nothing_and_asks_for_nothing(write_task: WriteTask) -> None:
    store, path = MemoryStore(), write_task()
    (path.parent / "images" / "red" / "0.png").write_bytes(b"no image")
    with pytest.raises(ImageError):
        accepted(store, path)
    assert list(store.list("")) == []


def test_what_the_queue_knows_already_is_not_asked_for_again(write_task: WriteTask) -> None:
    store, path = MemoryStore(), write_task()
    first = accepted(store, path)
    (request,) = requests(store)
    lead = take_lead(store, owner="anna", host="", ttl_s=15, now=6.0)
    Ledger(store, lead).save([ticket_of(first.submission)], now=6.0)
    store.delete(request.key)
    again = accepted(store, path, now=8.0)
    assert (again.is_new, again.submission) == (False, first.submission)
    assert requests(store) == []


def test_submitting_again_is_harmless_while_nobody_coordinates(write_task: WriteTask) -> None:
    store, path = MemoryStore(), write_task()
    submissions = [accepted(store, path, now=now).submission for now in (5.0, 6.0)]
    assert submissions[0] == submissions[1]
    assert len(read_queue(store).states) == 1


def test_what_failed_to_be_announced_is_announced_by_submitting_again(
    write_task: WriteTask,
) -> None:
    path = write_task()
    for number in range(100):
        store = MemoryStore()
        link = ArmedStore(store)
        link.arm(number, Fault.FAIL)
        try:
            accepted(link, path)
        except UnavailableError:
            assert requests(store) == []
            accepted(link, path)
        assert len(requests(store)) == 1
        if not link.fired:
            break
    assert number > 3  # shards, the submission, a look at the queue, and the request
