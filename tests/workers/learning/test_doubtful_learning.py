"""Roles on a store that denies what it has: nothing is dropped, learnt twice or given up."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import ForkedError
from tests.support.drivers.learning import published_by_hand, small_task, submitted
from tests.support.fakes.doubtful_store import DoubtfulStore, FirstTime, RememberingStore
from workers.encoding.encoder import Encoder
from workers.learning.gate import Gate
from workers.learning.handover import (
    find_handover,
    hand_over,
    handover_key,
    is_handed_over,
    take_over_finished,
)
from workers.learning.publisher import Publisher
from workers.registry import Registry, TaskAccuracy
from workers.registry.documents.accuracy import accuracies_to_bytes
from workers.registry.documents.forks import Fork
from workers.registry.documents.layout import accuracies_key, refs_key
from workers.registry.objects import place
from workers.registry.record_cache import Versions
from workers.store import Listed, MemoryStore

RECORD, SHARED = (handover_key("fruit-1", 0, stage) for stage in ("record", "shared"))


@pytest.fixture
def make_task(examples: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: small_task(examples, tmp_path, name, classes=2)


def exchange_classes(folder: Path) -> None:
    first, second = sorted(folder.iterdir())
    spare = first.with_name("spare")
    for source, target in ((first, spare), (second, first), (spare, second)):
        source.rename(target)


def handed_over(*keys: str) -> RememberingStore:
    store = RememberingStore(MemoryStore())
    for key in keys:
        hand_over(store, key, key.encode())
    return store


def test_what_is_handed_over_and_denied_for_seconds_is_taken_over() -> None:
    seen = DoubtfulStore(handed_over(RECORD, SHARED))
    for read in (take_over_finished, find_handover):
        seen.deny(2.0)
        assert read(seen, RECORD) == RECORD.encode()
    seen.deny(2.0)
    assert is_handed_over(seen, RECORD)


def test_whether_a_stage_has_finished_is_answered_at_once() -> None:
    seen = DoubtfulStore(handed_over(RECORD))
    assert not is_handed_over(seen, SHARED)
    assert find_handover(seen, SHARED, beside=RECORD) is None
    assert seen.slept_s == 0.0


def test_a_listing_without_what_is_known_to_be_there_is_not_believed() -> None:
    class Blind(DoubtfulStore):
        def list(self, prefix: str) -> Iterator[Listed]:
            del prefix
            return iter(())

    seen = Blind(handed_over(RECORD, SHARED))
    seen.deny(2.0)
    assert find_handover(seen, SHARED, beside=RECORD) == SHARED.encode()


@pytest.mark.slow
def test_what_is_denied_at_first_changes_neither_a_record_nor_what_is_measured(
    encoder: Encoder, make_task: Callable[[str], Path]
) -> None:
    paths = [make_task(name) for name in ("fashion", "digits")]
    found = []
    for doubtful in (False, True):
        truth = RememberingStore(MemoryStore())
        seen = DoubtfulStore(truth)
        for number, path in enumerate(paths):
            entry = submitted(truth, path, now=float(number))
            if doubtful:
                seen = DoubtfulStore(truth)  # as another process
                seen.deny(1e9, FirstTime())
            published_by_hand(seen, encoder, entry)
        adapter = Registry(truth).adapter("main")
        found.append(
            (
                [task.record.sha256 for task in adapter.manifest("head").tasks],
                adapter.accuracies("head"),
            )
        )
        assert (len(seen.denied) > 10) == doubtful
    assert found[0] == found[1]
    assert len(found[0][1]) == 2


@pytest.mark.slow
def test_a_baseline_that_is_denied_at_first_is_what_the_gate_compares_with(
    encoder: Encoder, make_task: Callable[[str], Path]
) -> None:
    """What is remembered of version 1 is that it made no mistake, which it will not hold."""
    truth = RememberingStore(MemoryStore())
    path = make_task("fashion")
    exchange_classes(path.parent / "test")
    published_by_hand(truth, encoder, submitted(truth, path, now=1.0))
    version = Registry(truth).adapter("main").version(1)
    key = accuracies_key("main", version.manifest)
    perfect = TaskAccuracy(task="fashion", accuracy=1.0, images=6)
    truth.put(key, accuracies_to_bytes((perfect,)))
    seen = DoubtfulStore(truth)
    seen.deny(1e9, FirstTime())
    entry = submitted(truth, make_task("digits"), now=2.0)
    gate = Gate(mode="gate", max_drop=0.1)
    published = published_by_hand(seen, encoder, entry, gate=gate)
    assert key in seen.denied
    assert "accuracy on 'fashion' drops" in str(published.note)


@pytest.mark.slow
def test_earlier_tasks_of_imported_versions_are_asked_for_together_and_then_left_out(
    encoder: Encoder, make_task: Callable[[str], Path]
) -> None:
    truth = RememberingStore(MemoryStore())
    first = submitted(truth, make_task("fashion"), now=1.0)
    published_by_hand(truth, encoder, first)
    truth.delete(first.key)
    seen = DoubtfulStore(truth)
    published_by_hand(seen, encoder, submitted(truth, make_task("digits"), now=2.0))
    measured = Registry(truth).adapter("main").accuracies("head")
    assert [entry.task for entry in measured] == ["digits"]
    assert seen.slept_s == pytest.approx(3.1)


def test_nothing_is_learnt_for_an_adapter_whose_changes_were_lost(
    encoder: Encoder, make_task: Callable[[str], Path]
) -> None:
    store = MemoryStore()
    adapter = Registry(store).create("main")
    refs = adapter.refs()
    fork = Fork(write_id="ab" * 16, action="commit", history=place(b"lost", area=0))
    etag = store.get(refs_key("main")).etag
    store.replace(refs_key("main"), replace(refs, forks=(fork,), serial=2).to_bytes(), etag)
    publisher = Publisher(encoder, store, Versions(store))
    entry = submitted(store, make_task("fashion"), now=1.0)
    with pytest.raises(ForkedError, match=r"commit \(write abab.*nacre settle --adapter main"):
        publisher.begin(entry, owner="anna", since=None)
