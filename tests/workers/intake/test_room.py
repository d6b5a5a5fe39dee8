"""Room in the queue for whoever submits: exact at any moment, whoever submits beside them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import WAIT, LimitError
from tests.support.drivers.operations import CountingStore
from tests.support.scenes.queue import ticket
from tests.support.scenes.tickets import set_ticket
from workers.intake.accept import accept
from workers.intake.intake import Intake
from workers.intake.room import MB, Room, Use, use_among, use_of
from workers.queue import inbox
from workers.queue.events import Accepted, Cancel
from workers.queue.progress import SHOWN_IN_INBOX, find_state
from workers.queue.ticket import Stage
from workers.store import MemoryStore, ObjectStore
from workers.tasks.submission import submission_ids
from workers.tasks.task import Task, load_task

WriteTask = Callable[..., Path]
ONE, TWO = Room(of_author=1), Room(of_author=2)


@pytest.fixture
def task(write_task: WriteTask) -> Task:
    return replace(load_task(write_task()), shared_names="keep")


def accepted(store: ObjectStore, task: Task, room: Room, *, author: str = "token:ci") -> Intake:
    return accept(task, store, author=author, room=room)


def named(task: Task, name: str, *, adapter: str = "main") -> Task:
    return replace(task, name=name, adapter=adapter)


def taken_back(store: ObjectStore) -> list[str]:
    found = inbox.read(store, inbox.waiting(store))
    events = (each.event for each in found if isinstance(each, inbox.QueueRequest))
    return [event.submission_id for event in events if isinstance(event, Cancel)]


def test_what_counts_is_open_or_has_ended_within_a_day_and_ones_own() -> None:
    own = replace(ticket("a"), author="ci", size_bytes=5)
    ended = replace(own, submission_id="b", stage=Stage.CANCELLED, size_bytes=7)
    tickets = [own, ended, replace(own, author="ben"), ticket("of an early release")]
    assert use_among("ci", tickets) == Use(submissions=1, size_bytes=12)


def test_whoever_has_as_many_open_submissions_as_they_may_is_told_and_nothing_is_stored(
    task: Task,
) -> None:
    store = MemoryStore()
    accepted(store, task, TWO)
    accepted(store, named(task, "paints", adapter="other"), TWO)
    before = {each.key for each in store.list("")}
    with pytest.raises(LimitError) as found:
        accepted(store, named(task, "third"), TWO)
    assert found.value.message == (
        "'token:ci' has 2 open submissions, as many as are allowed (`open_submissions: 2` under "
        "`limits` in the configuration); submit again when some have ended, after 60 s at the "
        "soonest"
    )
    assert found.value.fields[WAIT] == 60
    assert {each.key for each in store.list("")} == before
    assert accepted(store, named(task, "third"), TWO, author="token:other").is_new


def test_one_that_has_ended_leaves_room_and_one_that_is_there_already_needs_none(
    task: Task,
) -> None:
    store = MemoryStore()
    first = accepted(store, task, ONE)
    assert not accepted(store, task, ONE).is_new
    set_ticket(store, first.submission.submission_id, stage=Stage.FAILED)
    for request in inbox.waiting(store):
        store.delete(request.key)
    assert accepted(store, named(task, "paints"), ONE).is_new


def test_images_count_for_a_day_so_that_cancelling_fills_no_store(task: Task) -> None:
    store = MemoryStore()
    first = accepted(store, task, Room(author_mb=1)).submission
    size = sum(shard.size for shard in first.shards)
    assert use_of(store, "token:ci") == Use(submissions=1, size_bytes=size)
    set_ticket(store, first.submission_id, stage=Stage.CANCELLED, size_bytes=MB)
    for request in inbox.waiting(store):
        store.delete(request.key)
    with pytest.raises(LimitError, match=r"would have 1\.0 MB of images.*`stored_mb: 1`"):
        accepted(store, replace(named(task, "paints"), seed=1), Room(author_mb=1))
    assert len(submission_ids(store)) == 1


def test_of_two_that_are_submitted_at_the_same_moment_none_goes_over_the_limit(
    task: Task,
) -> None:
    store, others = MemoryStore(), iter([named(task, "paints")])

    def meanwhile(*_: int) -> None:
        for other in others:
            accepted(store, other, ONE)

    with pytest.raises(LimitError, match=r"at the same moment: colors-.* has been taken back"):
        accept(task, store, author="token:ci", room=ONE, on_progress=late(meanwhile))
    (gone,) = taken_back(store)
    assert gone.startswith("colors-")
    assert find_state(store, gone).ticket.author == "token:ci"


def late(act: Callable[[], None]) -> Callable[[int, int], None]:
    """Return what acts when all has been stored, and before the queue is asked."""

    def report(done: int, total: int) -> None:
        if done == total:
            act()

    return report


def test_also_what_nobody_has_taken_note_of_counts_however_much_that_is(task: Task) -> None:
    store = MemoryStore()
    many = SHOWN_IN_INBOX + 5
    for number in range(many):
        entry = replace(ticket(f"t{number}"), author="token:ci")
        inbox.ask(store, Accepted(ticket=entry), who="token:ci")
    with pytest.raises(LimitError, match=f"has {many} open submissions"):
        accepted(store, task, Room(of_author=many))


def test_far_below_the_limits_nobody_looks_again_and_near_them_everybody_does(task: Task) -> None:
    looks = []
    for room in (Room(), Room(of_author=1000, author_mb=1000), Room(of_author=3, author_mb=1000)):
        store = CountingStore(MemoryStore())
        accept(named(task, "before"), store, author="token:ci", room=room)
        store.seen.clear()
        accept(task, store, author="token:ci", room=room)
        looks.append(store.seen["list", "queue/inbox/"])
    unlimited, far, near = looks
    assert far == unlimited
    assert near == unlimited + 2


def test_where_not_all_of_the_inbox_was_looked_into_all_of_it_counts(task: Task) -> None:
    store = MemoryStore()
    for number in range(SHOWN_IN_INBOX + 1):
        mine = replace(ticket(f"birds-{number}"), author="token:ci")
        inbox.ask(store, Accepted(ticket=mine), who="token:ci")
    with pytest.raises(LimitError, match=f"has {SHOWN_IN_INBOX + 1} open submissions"):
        accepted(store, task, Room(of_author=SHOWN_IN_INBOX + 1))
