"""History and versions read side by side: what they are, each read once, and damage in its turn."""

import threading
from collections import Counter
from itertools import islice

import pytest

from adapters.errors import CorruptionError
from tests.support.scenes.registry import ANNA, adapter, learn
from workers.registry import Registry, read_versions, verify
from workers.registry.documents.history import walk
from workers.registry.documents.layout import Kind, object_key
from workers.registry.past import AHEAD, ONE_BY_ONE, past_entries
from workers.store import MemoryStore
from workers.store.testing import RecordingStore

MOVES = 300


def much_moved() -> MemoryStore:
    """Return a store with an adapter of two versions and very many moves."""
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b")
    for number in range(MOVES):
        main.alias("canary", number % 2 + 1, by=ANNA)
    return store


@pytest.fixture(scope="module")
def moved() -> MemoryStore:
    return much_moved()


def test_the_past_is_the_history_and_each_entry_is_read_once(moved: MemoryStore) -> None:
    store = RecordingStore(moved)
    objects = Registry(store).adapter("main").objects
    latest = objects.refs().history
    store.reset()
    found = [entry.index for entry in past_entries(objects, latest)]
    assert found == list(reversed(range(MOVES + 2)))
    reads = Counter(key for _, key in store.keys)
    assert len(reads) == len(found) and set(reads.values()) == {1}


def test_a_page_of_the_history_reads_no_more_than_that(moved: MemoryStore) -> None:
    store = RecordingStore(moved)
    history = Registry(store).adapter("main").history()
    assert len(list(islice(history, 20))) == 20
    assert store.operations.total() == 21  # the refs besides


def test_a_longer_page_reads_little_more_than_that() -> None:
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b")
    for number in range(400):
        main.alias("canary", number % 2 + 1, by=ANNA)
    recorded = RecordingStore(store)
    history = Registry(recorded).adapter("main").history()
    assert len(list(islice(history, 50))) == 50
    assert recorded.operations.total() <= 1 + ONE_BY_ONE + AHEAD


@pytest.mark.parametrize("at_hand", [False, True])
def test_a_damaged_entry_is_an_error_in_its_turn(*, at_hand: bool) -> None:
    store = much_moved()
    asked = store if at_hand else RecordingStore(store)
    main = Registry(store).adapter("main")
    refs = main.refs()
    *_, damaged = islice(walk(refs.history, main.objects.entry), 60)
    assert damaged.previous is not None
    key = object_key("main", Kind.HISTORY, damaged.previous.stored)
    store.put(key, b"else")
    found: list[int] = []
    with pytest.raises(CorruptionError, match="damaged"):
        found.extend(
            entry.index
            for entry in past_entries(Registry(asked).adapter("main").objects, refs.history)
        )
    assert len(found) == 60
    problems = verify(asked, "main").problems
    assert [problem.key for problem in problems] == [key]


def test_verifying_reads_every_object_once(moved: MemoryStore) -> None:
    store = RecordingStore(moved)
    found = verify(store, "main")
    assert found.clean
    reads = Counter(key for operation, key in store.keys if operation != "list")
    assert set(reads.values()) == {1}
    assert len(reads) == found.objects


def test_versions_that_share_a_task_share_what_says_so(moved: MemoryStore) -> None:
    second, first = read_versions(Registry(moved).adapter("main"))
    assert second.manifest.tasks[0] is first.manifest.tasks[0]


class Asked(RecordingStore):
    """Notes which threads ask."""

    def __init__(self, inner: MemoryStore, *, at_hand: bool) -> None:
        super().__init__(inner)
        self.threads = set[threading.Thread]()
        self._at_hand = at_hand

    @property
    def at_hand(self) -> bool:
        return self._at_hand

    def before(self, operation: str, key: str) -> None:
        self.threads.add(threading.current_thread())
        super().before(operation, key)


def test_a_store_at_hand_is_asked_without_threads_and_others_by_many(moved: MemoryStore) -> None:
    near, far = (Asked(moved, at_hand=at_hand) for at_hand in (True, False))
    assert read_versions(Registry(near).adapter("main")) == read_versions(
        Registry(far).adapter("main")
    )
    assert near.threads == {threading.current_thread()}
    assert len(far.threads) > 1
