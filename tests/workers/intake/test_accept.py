"""Accepting a task: what is the same, what is new, what is refused, and the word to the queue."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import ClassNameError, InputError, NacreError, UnavailableError
from tests.support.scenes.registry import ANNA, adapter, learn, publish
from tests.support.scenes.tickets import set_ticket
from workers.intake.accept import accept
from workers.intake.intake import Intake
from workers.intake.room import Room
from workers.queue import inbox
from workers.queue.progress import read_queue
from workers.queue.ticket import ENDED, Stage
from workers.registry import drop
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault, FaultyStore
from workers.tasks.submission import submission_ids
from workers.tasks.task import Task, load_task

WriteTask = Callable[..., Path]
OPEN = sorted(set(Stage) - ENDED)
ONE = Room(of_adapter=1)


def accepted(store: ObjectStore, task: Task, **options: Any) -> Intake:
    return accept(task, store, author="anna", now=1.0, **options)


def requested(store: ObjectStore) -> list[str]:
    """Return the submissions that the queue has been asked to learn, once for each request."""
    return [ticket.submission_id for ticket in inbox.announced(store)]


def taken_note_of(store: ObjectStore, intake: Intake, stage: Stage, **facts: Any) -> None:
    """Let the queue know of a submission, and be at `stage` with it."""
    set_ticket(store, intake.submission.submission_id, stage=stage, **facts)
    for request in inbox.waiting(store):
        store.delete(request.key)


def in_head(store: ObjectStore, task: Task) -> Intake:
    """Accept a task and publish it as version 2, upon one of another task."""
    intake = accepted(store, task)
    learn(adapter(store), "birds")
    publish(store, task.name, submission=intake.submission.submission_id)
    taken_note_of(store, intake, Stage.PUBLISHED, version=2)
    return intake


def relabelled(task: Task) -> Task:
    """Return `task` with other content under the same name."""
    return replace(task, seed=task.seed + 1)


def test_what_is_accepted_is_durable_and_the_queue_has_been_asked(write_task: WriteTask) -> None:
    store = MemoryStore()
    intake = accepted(store, load_task(write_task()))
    assert intake.is_new
    assert submission_ids(store) == requested(store) == [intake.submission.submission_id]
    (state,) = read_queue(store).states
    assert (state.ticket.stage, state.ticket.images) == (Stage.ACCEPTED, 12)


@pytest.mark.parametrize("stage", OPEN)
def test_the_same_content_is_the_same_submission_while_that_is_open(
    write_task: WriteTask, stage: Stage
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = accepted(store, task)
    taken_note_of(store, first, stage)
    again = accepted(store, task)
    assert (again.is_new, again.submission) == (False, first.submission)
    assert requested(store) == []


def test_the_same_content_is_the_same_submission_while_its_task_is_in_head(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = in_head(store, task)
    again = accepted(store, task)
    assert (again.is_new, again.submission) == (False, first.submission)
    assert requested(store) == []


def test_what_the_gate_refused_counts_once_somebody_has_made_it_head(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = in_head(store, task)
    taken_note_of(store, first, Stage.REJECTED, version=2, note="it forgets birds")
    again = accepted(store, task)
    assert (again.is_new, again.submission) == (False, first.submission)


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.REJECTED, Stage.CANCELLED])
def test_what_ended_without_effect_is_opened_anew(write_task: WriteTask, stage: Stage) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = accepted(store, task)
    taken_note_of(store, first, stage)
    again = accepted(store, task)
    expected = f"{first.submission.submission_id}-2"
    assert (again.submission.submission_id, again.submission.generation) == (expected, 2)
    assert again.is_new
    assert requested(store) == [expected]


LEFT_HEAD: list[Callable[[ObjectStore], object]] = [
    lambda store: drop(adapter(store), "colors", by=ANNA),
    lambda store: adapter(store).rollback(1, by=ANNA),
]


@pytest.mark.parametrize("leave", LEFT_HEAD)
def test_what_is_no_longer_in_head_is_opened_anew(
    write_task: WriteTask, leave: Callable[[ObjectStore], object]
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = in_head(store, task)
    leave(store)
    again = accepted(store, task)
    assert again.submission == replace(
        first.submission, submission_id=f"{first.submission.submission_id}-2", generation=2
    )
    assert requested(store) == [again.submission.submission_id]


def test_every_generation_that_ended_without_effect_is_followed_by_another(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    for generation in (1, 2, 3):
        intake = accepted(store, task)
        assert intake.submission.generation == generation
        taken_note_of(store, intake, Stage.FAILED)


def test_a_generation_that_is_in_head_again_counts_again(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = in_head(store, task)
    adapter(store).rollback(1, by=ANNA)
    second = accepted(store, task)
    taken_note_of(store, second, Stage.CANCELLED)
    adapter(store).rollback(2, by=ANNA)
    assert accepted(store, task).submission == first.submission


REFUSED: list[tuple[dict[str, Any], type[NacreError], str]] = [
    # a name that is in head, and the remedy
    ({}, ClassNameError, r"has a task 'colors' already.*add `replaces: colors`"),
    # another one is to be replaced: the name is taken all the same
    ({"replaces": "birds"}, ClassNameError, r"has a task 'colors' already"),
    # what nobody has cannot be replaced
    ({"replaces": "boats"}, InputError, r"'boats', which .* does not have \(it has: birds, colors"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_what_has_no_place_in_head_is_refused_and_nothing_is_stored(
    write_task: WriteTask, changes: dict[str, Any], error: type[NacreError], message: str
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    in_head(store, task)
    before = {entry.key for entry in store.list("")}
    with pytest.raises(error, match=message):
        accepted(store, replace(relabelled(task), **changes))
    assert {entry.key for entry in store.list("")} == before


def test_a_name_that_is_on_its_way_is_refused_with_the_remedy(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = accepted(store, task).submission.submission_id
    with pytest.raises(ClassNameError, match=rf"on its way already \({first}\); cancel that one"):
        accepted(store, relabelled(task))
    assert submission_ids(store) == [first]


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.REJECTED, Stage.CANCELLED])
def test_the_name_of_what_ended_without_effect_is_free(write_task: WriteTask, stage: Stage) -> None:
    store, task = MemoryStore(), load_task(write_task())
    taken_note_of(store, accepted(store, task), stage)
    assert accepted(store, relabelled(task)).is_new


def test_names_are_taken_in_their_own_adapter_alone(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task())
    in_head(store, task)
    assert accepted(store, replace(task, adapter="canary")).is_new


REPLACED: list[Callable[[ObjectStore, Task], object]] = [in_head, accepted]


@pytest.mark.parametrize("before", REPLACED)
@pytest.mark.parametrize("name", ["colors", "paints"])
def test_what_is_in_head_or_on_its_way_can_be_replaced(
    write_task: WriteTask, before: Callable[[ObjectStore, Task], object], name: str
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    before(store, task)
    corrected = replace(relabelled(task), name=name, replaces="colors")
    intake = accepted(store, corrected)
    assert (intake.is_new, intake.submission.replaces) == (True, "colors")
    assert not accepted(store, corrected).is_new


def test_where_there_is_no_room_a_new_one_is_refused_and_an_open_one_still_found(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = accepted(store, task, room=ONE)
    other = replace(task, name="paints", shared_names="keep")
    with pytest.raises(UnavailableError, match=r"has 1 open submissions.*`max_open`"):
        accepted(store, other, room=ONE)
    assert accepted(store, task, room=ONE).submission == first.submission
    taken_note_of(store, first, Stage.FAILED)
    assert accepted(store, other, room=ONE).is_new


def test_other_adapters_need_no_room_here(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task())
    accepted(store, replace(task, adapter="canary"))
    assert accepted(store, task, room=ONE).is_new


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
def test_what_the_queue_was_not_told_of_is_told_when_it_is_submitted_again(
    write_task: WriteTask, fault: Fault
) -> None:
    def while_asking(_number: int, operation: str, key: str) -> Fault | None:
        return fault if operation == "put" and key.startswith(inbox.PREFIX) else None

    store, task = MemoryStore(), load_task(write_task())
    with pytest.raises(UnavailableError):
        accepted(FaultyStore(store, while_asking), task)
    again = accepted(store, task)
    assert not again.is_new
    assert set(requested(store)) == set(submission_ids(store)) == {again.submission.submission_id}


def test_images_of_another_task_are_told_of_with_the_name_of_that_task(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    assert accepted(store, task).elsewhere == {}
    again = replace(task, name="colours", shared_names="keep")
    intake = accepted(store, again)
    assert intake.elsewhere == {"colors": 12}
    (note,) = [note for note in intake.notes() if "warning" in note]
    assert note.startswith("warning: 12 images are also in task 'colors' of this adapter")
    # nothing of oneself, of what is replaced, or of another adapter
    assert accepted(store, again).elsewhere == {"colors": 12}
    assert accepted(store, replace(again, name="tints", replaces="colors")).elsewhere == {
        "colours": 12
    }
    assert accepted(store, replace(task, adapter="other")).elsewhere == {}
