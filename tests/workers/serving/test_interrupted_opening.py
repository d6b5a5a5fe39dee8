"""Openings of a thousand records that are interrupted: a store that stalls, a replica that dies."""

import multiprocessing
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from adapters.errors import UnavailableError
from tests.support.fakes.named_tower import NamedTower
from tests.support.scenes.registry import ANNA, BOTH
from tests.support.scenes.serving import (
    FINGERPRINT,
    TIMEOUT_S,
    Replica,
    adding,
    publish,
    records_read,
    small_record,
)
from workers.registry import Commit, RegisteredAdapter, Registry
from workers.registry.reader import FETCH_AHEAD, TOGETHER
from workers.registry.record_cache import Versions
from workers.serving.version_cache import LoadedVersion, Opening, VersionCache
from workers.store import BlobCache, FileStore, MemoryStore, ObjectStore
from workers.store.testing import RecordingStore, WrappedStore

MANY, STALLS_AT = 1000, 500
AHEAD = FETCH_AHEAD + 2 * TOGETHER
"""Records that may have been read and not been taken over."""


class StallingStore(WrappedStore):
    """Gives so many records; whoever asks for more waits until it goes on, or is refused.

    Attributes:
        stalls: Whether it does so.
        refuses: Whether it refuses instead of waiting.
        stalled: Set when somebody waits.
        go: Set by the test.
    """

    def __init__(self, inner: ObjectStore, *, after: int) -> None:
        super().__init__(inner)
        self._left = after
        self._lock = threading.Lock()
        self.stalls, self.refuses = True, False
        self.stalled, self.go = threading.Event(), threading.Event()

    def before(self, operation: str, key: str) -> None:
        del operation
        if not self.stalls or "/records/" not in key:
            return
        with self._lock:
            self._left -= 1
            gives = self._left >= 0
        if gives:
            return
        if self.refuses:
            raise UnavailableError("the store is overloaded")
        self.stalled.set()
        assert self.go.wait(TIMEOUT_S)


def publish_many(adapter: RegisteredAdapter) -> None:
    """Publish a version that has a thousand tasks more."""
    updates = tuple(
        adding(record) for record in map(small_record, (f"task-{number}" for number in range(MANY)))
    )
    adapter.commit(Commit(updates=updates, aliases=BOTH), by=ANNA)


def answer(version: LoadedVersion) -> list[int]:
    asked = normalize(torch.ones(1, 8), dim=-1)
    scores = version.adapter.score(asked, encoder=FINGERPRINT, logit_scale=20.0)
    return [len(scores.classes), int(scores.winners)]


class Scene:
    """A replica that answers with one version, and a store that will stall in the next one."""

    def __init__(self) -> None:
        inner = MemoryStore()
        adapter = Registry(inner).create("main")
        publish(adapter, "birds")
        # The record of the version that answers is read first.
        self.store = StallingStore(inner, after=1 + STALLS_AT)
        self.replica = Replica(self.store)
        self.replica.follower.follow()
        publish_many(adapter)

    def check_whole(self) -> None:
        assert self.replica.label == "main@2"
        assert self.replica.cache.opening == ()
        assert answer(self.replica.follower.current)[0] == 3 * (MANY + 1)


def test_while_a_store_stalls_the_old_version_answers_and_it_is_said_how_far_the_new_one_is() -> (
    None
):
    scene = Scene()
    follower, cache = scene.replica.follower, scene.replica.cache
    before = answer(follower.current)
    following = threading.Thread(target=follower.follow)
    following.start()
    try:
        assert scene.store.stalled.wait(TIMEOUT_S)
        (opening,) = cache.opening
        assert (opening.label, opening.records) == ("main@2", 1 + MANY)
        assert STALLS_AT - AHEAD <= opening.done <= 1 + STALLS_AT
        assert str(opening) == f"main@2: {opening.done} of 1,001 records"
        assert scene.replica.label == "main@1"
        assert answer(follower.current) == before
    finally:
        scene.store.go.set()
        following.join(TIMEOUT_S)
    scene.check_whole()


def test_what_a_store_refuses_in_the_midst_is_opened_at_the_next_look() -> None:
    scene = Scene()
    scene.store.refuses = True
    with pytest.raises(UnavailableError, match="overloaded"):
        scene.replica.follower.follow()
    assert scene.replica.label == "main@1"
    assert scene.replica.follower.state.refusal is None
    assert scene.replica.cache.opening == ()
    assert answer(scene.replica.follower.current)[0] == 3
    scene.store.stalls = False
    scene.replica.follower.follow()
    scene.check_whole()


def test_how_far_one_more_task_is_is_said_as_well() -> None:
    scene = Scene()
    scene.store.stalls = False
    scene.replica.follower.follow()
    seen = list[Opening]()
    store = scene.replica.store
    store.before = lambda *_: seen.extend(scene.replica.cache.opening)  # type: ignore[method-assign]
    publish(Registry(scene.store.inner).adapter("main"), "more")
    scene.replica.follower.follow()
    assert Opening(label="main@3", done=0, records=1) in seen


def _opening(there: Connection, store: Path, cache: Path) -> None:
    """Open `production` as a replica does, from a store that stalls; say when it does."""
    stalling = StallingStore(FileStore(store), after=STALLS_AT)
    versions = Versions(stalling, BlobCache(cache, 2**30))
    loading = VersionCache(versions, base=NamedTower(FINGERPRINT))
    ref = Registry(stalling).adapter("main").version("production")
    threading.Thread(target=lambda: loading.load("main", ref), daemon=True).start()
    stalling.stalled.wait(TIMEOUT_S)
    there.send(loading.opening[0].done)
    there.recv()  # until it is killed


def _copy(memory: MemoryStore, store: FileStore) -> None:
    """Copy everything, and only the refs as a store writes: a thousand times that takes long."""
    for listed in memory.list(""):
        data = memory.get(listed.key).data
        if listed.key.startswith("refs/"):
            store.put(listed.key, data)
            continue
        path = Path(store.url.removeprefix("file://"), listed.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.slow
def test_the_successor_of_a_replica_that_was_killed_while_it_opened_opens(tmp_path: Path) -> None:
    """What the one that was killed has left in the cache of the machine is of use, and no harm."""
    memory = MemoryStore()
    adapter = Registry(memory).create("main")
    publish(adapter, "birds")
    store = FileStore(tmp_path / "store")
    _copy(memory, store)
    other = Replica(store)
    other.follower.follow()
    publish_many(adapter)
    _copy(memory, store)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    killed = context.Process(target=_opening, args=(there, tmp_path / "store", tmp_path / "cache"))
    killed.start()
    there.close()
    try:
        assert here.poll(TIMEOUT_S)
        assert STALLS_AT - AHEAD <= here.recv() <= STALLS_AT
    finally:
        killed.kill()
        killed.join()
    assert answer(other.follower.current)[0] == 3  # whoever was there before goes on answering
    recorded = RecordingStore(store)
    versions = Versions(recorded, BlobCache(tmp_path / "cache", 2**30))
    successor = VersionCache(versions, base=NamedTower(FINGERPRINT))
    opened = successor.load("main", Registry(recorded).adapter("main").version("production"))
    assert records_read(recorded) <= MANY + 1 - STALLS_AT + AHEAD
    other.follower.follow()
    assert answer(opened) == answer(other.follower.current)
