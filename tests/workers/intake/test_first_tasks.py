"""First tasks of a new adapter that come at the same moment with two methods: one begins it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import SettingsError
from workers.intake.accept import accept
from workers.queue import inbox
from workers.queue.events import Cancel
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import WrappedStore
from workers.tasks.submission import submission_ids
from workers.tasks.task import Task, load_task

WriteTask = Callable[..., Path]
WAIT_S = 180


class StoreForTwo(WrappedStore):
    """Lets nobody go on who has asked the queue for a task before the other one has."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._both = threading.Barrier(2)
        self._asked = 0

    def after(self, operation: str, key: str, sent: int, received: int) -> None:
        del sent, received
        if operation == "put" and key.startswith(inbox.PREFIX):
            self._asked += 1
            if self._asked <= self._both.parties:
                self._both.wait(WAIT_S)


class StallingStore(WrappedStore):
    """Writes the first request to the queue only when the second has been written and looked for.

    Attributes:
        second_is_in: Set by whoever has submitted the other task.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.first_asks = threading.Event()
        self.second_is_in = threading.Event()

    def before(self, operation: str, key: str) -> None:
        if operation == "put" and key.startswith(inbox.PREFIX) and not self.first_asks.is_set():
            self.first_asks.set()
            self.second_is_in.wait(WAIT_S)


def two_tasks(write_task: WriteTask) -> tuple[Task, Task]:
    task = load_task(write_task())
    return task, replace(task, name="tints", shared_names="keep")


def outcome(store: ObjectStore, task: Task, method: str) -> str | SettingsError:
    """Return the submission of a task that is submitted, or why it was refused."""
    try:
        return accept(task, store, author="anna", method=method).submission.submission_id
    except SettingsError as error:
        return error


def test_of_two_that_are_submitted_at_once_the_later_is_taken_back_and_told_why(
    write_task: WriteTask,
) -> None:
    store = MemoryStore()
    shared = StoreForTwo(store)
    tasks, methods = two_tasks(write_task), ("lada", "gda")
    with ThreadPoolExecutor(2) as both:
        found = list(both.map(outcome, (shared, shared), tasks, methods))
    (error,) = [each for each in found if isinstance(each, SettingsError)]
    (kept,) = [each for each in found if isinstance(each, str)]
    loser = found.index(error)
    assert f"learnt by {methods[1 - loser]!r} (its first task" in error.message
    assert f"adapters: {{main: {{method: {methods[1 - loser]}}}}}" in error.message
    assert "the later one, has been taken back" in error.message
    asked = inbox.read(store, inbox.waiting(store))
    cancelled = [
        request.event.submission_id
        for request in asked
        if isinstance(request, inbox.QueueRequest) and isinstance(request.event, Cancel)
    ]
    assert {kept, *cancelled} == set(submission_ids(store))
    assert cancelled == [error.fields["submission"]]


def test_one_whose_request_was_slow_gives_way_to_a_later_one_that_has_not_seen_it(
    write_task: WriteTask,
) -> None:
    inner = MemoryStore()
    slow = StallingStore(inner)
    first, second = two_tasks(write_task)
    with ThreadPoolExecutor(1) as other:
        stalled = other.submit(outcome, slow, first, "lada")
        assert slow.first_asks.wait(WAIT_S)
        assert isinstance(outcome(inner, second, "gda"), str)
        slow.second_is_in.set()
        error = stalled.result(WAIT_S)
    assert isinstance(error, SettingsError)
    assert "learnt by 'gda' (its first task, 'tints', is on its way)" in error.message
    assert "has been taken back" in error.message


def test_one_that_was_submitted_while_images_were_read_is_seen_before_any_is_stored(
    write_task: WriteTask,
) -> None:
    store = MemoryStore()
    first, second = two_tasks(write_task)
    read_meanwhile = threading.Event()

    def submit_other(_done: int, _total: int) -> None:
        if not read_meanwhile.is_set():
            read_meanwhile.set()
            assert isinstance(outcome(store, first, "lada"), str)

    with pytest.raises(SettingsError, match=r"'colors', is on its way.*\{method: lada\}"):
        accept(second, store, author="ben", method="gda", on_progress=submit_other)
    assert len(submission_ids(store)) == 1


def test_two_of_one_method_both_stay(write_task: WriteTask) -> None:
    store = MemoryStore()
    shared = StoreForTwo(store)
    with ThreadPoolExecutor(2) as both:
        found = list(both.map(outcome, (shared, shared), two_tasks(write_task), ("gda", "gda")))
    assert sorted(map(str, found)) == sorted(submission_ids(store))


def test_a_task_of_another_form_than_its_adapter_is_refused_when_it_is_submitted(
    write_task: WriteTask,
) -> None:
    store = MemoryStore()
    first, second = two_tasks(write_task)
    outcome(store, replace(first, settings={"form": "low_rank"}), "own_metric")
    refused = outcome(store, replace(second, settings={"form": "dense"}), "own_metric")
    assert isinstance(refused, SettingsError) and "leave `form` out" in refused.message
    assert isinstance(outcome(store, second, "own_metric"), str)


def test_a_task_that_names_a_form_is_refused_where_the_first_task_named_none(
    write_task: WriteTask,
) -> None:
    store = MemoryStore()
    first, second = two_tasks(write_task)
    outcome(store, first, "own_metric")
    refused = outcome(store, replace(second, settings={"form": "low_rank"}), "own_metric")
    assert isinstance(refused, SettingsError) and "expected 'dense'" in refused.message
    same = replace(second, settings={"form": "dense"})
    assert isinstance(outcome(store, same, "own_metric"), str)
