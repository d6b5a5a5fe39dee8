"""A version is measured by what it can change: the same accuracies, and far fewer reads."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from adapters.adapter import Adapter
from tests.support.scenes.measured import RandomTask, begun, merged, publish, random_task
from workers.encoding.encoder import Encoder
from workers.learning.evaluation import accuracies, task_test_set
from workers.learning.gate import Gate
from workers.learning.publisher import Publisher
from workers.registry import Author, RegisteredAdapter, Registry, diff, drop
from workers.registry.documents.layout import answers_key
from workers.registry.record_cache import Versions
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import RecordingStore, WrappedStore
from workers.tasks.submission import read_submission

ANNA = Author(who="anna", why="better so", now=3.0)
KEPT = "measured/main"


def publisher_of(encoder: Encoder, store: ObjectStore) -> Publisher:
    return Publisher(encoder, store, Versions(store))


def main_of(store: ObjectStore) -> RegisteredAdapter:
    return Registry(store).adapter("main")


def published(publisher: Publisher, store: ObjectStore, task: RandomTask) -> int:
    task.store_features(store)
    return publish(publisher, store, task).version


def measured_anew(store: ObjectStore, encoder: Encoder, version: int) -> dict[str, float]:
    """Return what scoring every image with every class of a version gives."""
    manifest = main_of(store).manifest(version)
    sets = [
        task_test_set(
            store, read_submission(store, task.submission), fingerprint=encoder.fingerprint
        )
        for task in manifest.tasks
    ]
    return dict(accuracies(Adapter(Versions(store).records("main", version)), sets, encoder))


def check(store: ObjectStore, encoder: Encoder, version: int) -> None:
    found = {entry.task: entry.accuracy for entry in main_of(store).accuracies(version)}
    assert found == measured_anew(store, encoder, version)
    kept = main_of(store).answer_sheet(version)
    assert kept is not None
    assert {name: each.right / each.images for name, each in kept.sets.items()} == found


def tasks_of(
    encoder: Encoder, names: str, *, classes: int = 3, images: int = 4
) -> list[RandomTask]:
    return [random_task(name, encoder, classes=classes, images=images) for name in names]


def learnt(
    store: ObjectStore, encoder: Encoder, tasks: Sequence[RandomTask], *, publisher: Publisher
) -> None:
    for task in tasks:
        check(store, encoder, published(publisher, store, task))


def test_accuracies_are_those_of_measuring_everything_after_whatever_has_moved_head(
    encoder: Encoder,
) -> None:
    store = MemoryStore()
    publisher = publisher_of(encoder, store)
    learnt(store, encoder, tasks_of(encoder, "abcd"), publisher=publisher)
    drop(main_of(store), "b", by=ANNA)
    learnt(store, encoder, tasks_of(encoder, "ef"), publisher=publisher)
    again = random_task("c", encoder, seed=1, replaces="c")
    learnt(store, encoder, [again], publisher=publisher)
    main_of(store).rollback(3, by=ANNA)
    learnt(store, encoder, tasks_of(encoder, "g"), publisher=publisher_of(encoder, store))
    counting_as_old = merged(random_task("h", encoder), [(0, "a/1"), (2, "g/0")])
    learnt(store, encoder, [counting_as_old, *tasks_of(encoder, "i")], publisher=publisher)
    drop(main_of(store), "a", by=ANNA)
    learnt(store, encoder, tasks_of(encoder, "j"), publisher=publisher)


def test_some_answers_move_to_new_classes_and_some_stay(encoder: Encoder) -> None:
    """What the other tests compare is worth comparing."""
    store = MemoryStore()
    publisher = publisher_of(encoder, store)
    learnt(store, encoder, tasks_of(encoder, "abcdef"), publisher=publisher)
    first, last = (
        next(entry.accuracy for entry in main_of(store).accuracies(version) if entry.task == "a")
        for version in (1, 6)
    )
    assert 0 < last < first


@pytest.mark.parametrize("kept", [None, b"", b"something else"])
def test_without_what_was_kept_everything_is_measured(encoder: Encoder, kept: bytes | None) -> None:
    store = MemoryStore()
    learnt(store, encoder, tasks_of(encoder, "ab"), publisher=publisher_of(encoder, store))
    store.delete(KEPT)
    if kept is not None:
        store.put(KEPT, kept)
    learnt(store, encoder, tasks_of(encoder, "cd"), publisher=publisher_of(encoder, store))


def test_tasks_that_are_not_in_this_store_stay_unmeasured(encoder: Encoder) -> None:
    store = MemoryStore()
    publisher = publisher_of(encoder, store)
    tasks_of(encoder, "a")[0].commit(store)
    for name in "bc":
        version = published(publisher, store, random_task(name, encoder))
    assert [entry.task for entry in main_of(store).accuracies(version)] == ["b", "c"]


def test_one_more_task_takes_as_many_requests_however_many_there_are(encoder: Encoder) -> None:
    counts = []
    store = RecordingStore(MemoryStore())
    publisher = publisher_of(encoder, store)
    for names in ("abc", "defghijkl"):
        *most, last = tasks_of(encoder, names, classes=2, images=1)
        learnt(store, encoder, most, publisher=publisher)
        last.store_features(store)
        store.reset()
        publish(publisher, store, last)
        counts.append(sum(store.operations.values()))
    assert counts[0] == counts[1]


class Meeting(WrappedStore):
    """Lets readers of submissions go on only once two are there."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.together = threading.Barrier(2, timeout=30)

    def before(self, operation: str, key: str) -> None:
        if operation == "get" and key.startswith("submissions/"):
            self.together.wait()


def test_earlier_tasks_are_read_side_by_side(encoder: Encoder) -> None:
    store = MemoryStore()
    learnt(store, encoder, tasks_of(encoder, "abcd"), publisher=publisher_of(encoder, store))
    meeting = Meeting(store)
    version = published(publisher_of(encoder, meeting), store, random_task("e", encoder))
    check(store, encoder, version)


@pytest.mark.parametrize("answers_are_kept", [True, False])
def test_a_gate_that_asks_for_significance_compares_the_same_images(
    encoder: Encoder, answers_are_kept: bool
) -> None:
    """Some images of `a` are lost to `b`, no more than chance may take."""
    store = MemoryStore()
    publisher = publisher_of(encoder, store)
    first, second = tasks_of(encoder, "ab", images=8)
    published(publisher, store, first)
    if not answers_are_kept:
        store.delete(answers_key("main", main_of(store).version(1).manifest))
    second.store_features(store)
    assignment = begun(publisher, store, second)
    strict = Gate(mode="gate", max_drop=0.0)
    found = [
        publisher.publish(replace(assignment, gate=gate), now=2.0)
        for gate in (strict, replace(strict, significant=True))
    ]
    sheet = main_of(store).answer_sheet(1)
    assert (sheet is not None) == answers_are_kept
    assert [each.built_upon for each in found] == [False, True], found
    if sheet is not None:
        (compared,) = diff(main_of(store), 1, "head").comparisons.values()
        assert 0 < len(compared.lost) < 6
