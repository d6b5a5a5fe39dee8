"""The cache: versions told apart by digest, loaded once, sharing what they have in common."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from adapters.adapter import Adapter as Scoring
from adapters.errors import CorruptionError, UnavailableError
from tests.adapters.synthetic import unit_rows
from tests.support.fakes.named_tower import NamedTower
from tests.support.scenes.registry import ANNA
from tests.support.scenes.serving import (
    FINGERPRINT,
    TIMEOUT_S,
    HeldStore,
    TamperedStore,
    publish,
    records_read,
)
from workers.registry import RegisteredAdapter, Registry, drop
from workers.registry.record_cache import Versions
from workers.serving.follower import Follower
from workers.serving.version_cache import MOST_BYTES, LoadedVersion, VersionCache, nbytes
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault, FaultyStore, RecordingStore

TASKS = ("ants", "birds", "boats", "cars")


def cache_on(store: ObjectStore, *, most: int = 3, most_bytes: int = MOST_BYTES) -> VersionCache:
    base = NamedTower(FINGERPRINT)
    return VersionCache(Versions(store), base=base, most=most, most_bytes=most_bytes)


def scores(loaded: LoadedVersion) -> torch.Tensor:
    features = unit_rows(9, 8, seed=4)
    return loaded.adapter.score(features, encoder=FINGERPRINT, logit_scale=20.0).values


class Scene:
    """Versions 1 to 4, each with one task more, and a cache of three."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.adapter: RegisteredAdapter = Registry(self.inner).create("main")
        publish(self.adapter, *TASKS)
        self.store = RecordingStore(self.inner)
        self.cache = cache_on(self.store)

    def load(self, version: int | str) -> LoadedVersion:
        return self.cache.load("main", self.adapter.version(version))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_versions_share_is_read_once_and_the_same_objects(scene: Scene) -> None:
    loaded = [scene.load(number) for number in (2, 4, 1, 3)]
    assert records_read(scene.store) == len(TASKS)
    longest = loaded[1].adapter.records
    for version in loaded:
        shared = zip(version.adapter.records, longest, strict=False)
        assert all(one is other for one, other in shared)


def test_a_loaded_version_is_the_same_object_and_costs_no_read(scene: Scene) -> None:
    first, ref = scene.load(2), scene.adapter.version(2)
    scene.store.reset()
    assert scene.cache.load("main", ref) is first
    assert scene.store.keys == []


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (2, 4, 1, 3)])
def test_versions_score_the_same_in_whatever_order_they_were_loaded(
    scene: Scene, order: tuple[int, ...]
) -> None:
    for number in order:
        loaded = scene.load(number)
        alone = Scoring(Versions(scene.inner).records("main", number))
        assert [record.task for record in loaded.adapter.records] == list(TASKS[:number])
        features = unit_rows(9, 8, seed=4)
        expected = alone.score(features, encoder=FINGERPRINT, logit_scale=20.0).values
        assert torch.equal(scores(loaded), expected)


@pytest.mark.parametrize("loaded", [1, 2, 3])
def test_one_more_task_or_many_cost_their_own_records_alone(scene: Scene, loaded: int) -> None:
    before = scene.load(loaded)
    scene.store.reset()
    grown = scene.load(4)
    assert records_read(scene.store) == 4 - loaded
    assert grown.adapter.records[:loaded] == before.adapter.records
    assert torch.equal(scores(grown), scores(cache_on(scene.inner).load("main", grown.ref)))
    assert nbytes([grown, before]) == nbytes([grown]) == grown.adapter.nbytes


def test_what_versions_that_parted_have_apart_is_counted(scene: Scene) -> None:
    one = scene.load(4)
    scene.adapter.rollback(2, by=ANNA)
    publish(scene.adapter, "zebras")
    other = scene.load("head")
    apart = other.adapter.records[-1].nbytes
    assert nbytes([one, other]) == nbytes([one]) + apart


def test_a_branch_is_not_grown_out_of_what_was_abandoned(scene: Scene) -> None:
    scene.load(4)
    scene.adapter.rollback(2, by=ANNA)
    publish(scene.adapter, "zebras")
    branch = scene.load("head")
    assert [record.task for record in branch.adapter.records] == ["ants", "birds", "zebras"]
    fresh = cache_on(scene.inner).load("main", branch.ref)
    assert torch.equal(scores(branch), scores(fresh))


def test_a_version_without_a_task_shares_the_records_that_are_left(scene: Scene) -> None:
    scene.load(4)
    drop(scene.adapter, "birds", by=ANNA)
    scene.store.reset()
    left = scene.load("head")
    assert [record.task for record in left.adapter.records] == ["ants", "boats", "cars"]
    assert records_read(scene.store) == 0


def test_the_least_recently_used_version_leaves(scene: Scene) -> None:
    for number in (1, 2, 3, 1, 4):
        scene.load(number)
    assert scene.cache.labels == ("main@3", "main@1", "main@4")


def test_versions_leave_when_together_they_are_too_large_and_the_latest_stays(
    scene: Scene,
) -> None:
    sizes = [nbytes([scene.load(number)]) for number in (1, 2)]
    assert 0 < sizes[0] < sizes[1] == nbytes([scene.load(1), scene.load(2)])  # counted once
    cache = cache_on(scene.inner, most_bytes=sizes[1])
    for number, kept in (
        (1, ("main@1",)),
        (2, ("main@1", "main@2")),
        (3, ("main@3",)),
        (1, ("main@1",)),
    ):
        cache.load("main", scene.adapter.version(number))
        assert cache.labels == kept


def test_a_version_that_left_comes_back_without_a_record_being_read(scene: Scene) -> None:
    for number in (1, 2, 3, 4):
        scene.load(number)
    assert "main@1" not in scene.cache.labels
    scene.store.reset()
    scene.load(1)
    assert records_read(scene.store) == 0


def test_what_is_followed_is_never_loaded_again_however_many_are_pinned(scene: Scene) -> None:
    versions = Versions(scene.store)
    cache = VersionCache(versions, base=NamedTower(FINGERPRINT), most=2)
    follower = Follower(cache, versions, adapter="main")
    follower.follow()
    followed = follower.current
    for number in (1, 2, 3):
        cache.load("main", scene.adapter.version(number))
    assert cache.labels == ("main@2", "main@3")
    assert follower.current is followed
    assert cache.load("main", followed.ref) is followed


def test_a_version_is_loaded_once_however_many_ask_at_once() -> None:
    held = HeldStore(MemoryStore(), "/records/")
    ref = publish(Registry(held.inner).create("main"), "ants")
    store = RecordingStore(held)
    cache = cache_on(store)
    together = threading.Barrier(5, timeout=TIMEOUT_S)

    def late() -> LoadedVersion:
        together.wait()
        return cache.load("main", ref)

    with ThreadPoolExecutor(5) as threads:
        first = threads.submit(cache.load, "main", ref)
        assert held.reached.wait(TIMEOUT_S)
        others = [threads.submit(late) for _ in range(4)]
        together.wait()  # they ask while the first is held up
        held.go.set()
        assert all(other.result(TIMEOUT_S) is first.result(TIMEOUT_S) for other in others)
    # Its manifest and its record, each once.
    assert store.operations == {"get_range": 2}


def test_while_a_version_is_loading_others_are_at_hand() -> None:
    inner = MemoryStore()
    adapter = Registry(inner).create("main")
    one = publish(adapter, "ants")
    two = publish(adapter, "birds")
    (key,) = [task.record.sha256 for task in adapter.manifest(2).tasks if task.task == "birds"]
    held = HeldStore(inner, key)
    cache = cache_on(held)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(cache.load, "main", two)
        assert held.reached.wait(TIMEOUT_S)
        assert cache.load("main", one).label == "main@1"
        held.go.set()
        assert slow.result(TIMEOUT_S).label == "main@2"


def test_whoever_waits_for_a_load_that_fails_tries_for_itself() -> None:
    held = HeldStore(MemoryStore(), "/manifests/")
    ref = publish(Registry(held.inner).create("main"), "ants")
    failed: list[str] = []

    def fail_once(_number: int, _operation: str, key: str) -> Fault | None:
        if "/records/" in key and not failed:
            failed.append(key)
            return Fault.FAIL
        return None

    cache = cache_on(FaultyStore(held, fail_once))
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.load, "main", ref)
        assert held.reached.wait(TIMEOUT_S)
        second = threads.submit(cache.load, "main", ref)
        held.go.set()
        outcomes = [entry.exception(TIMEOUT_S) for entry in (first, second)]
    assert sum(isinstance(outcome, UnavailableError) for outcome in outcomes) == 1
    assert outcomes.count(None) == 1
    assert cache.labels == ("main@1",)


def test_every_digest_is_checked_and_nothing_of_a_broken_version_is_kept() -> None:
    store = TamperedStore(MemoryStore())
    ref = publish(Registry(store.inner).create("main"), "ants")
    cache = cache_on(store)
    with pytest.raises(CorruptionError, match="restore the object"):
        cache.load("main", ref)
    assert cache.labels == ()
    store.honest = True
    assert cache.load("main", ref).label == "main@1"


def test_versions_of_two_adapters_are_two_whatever_they_hold(scene: Scene) -> None:
    other = publish(Registry(scene.inner).create("other"), "ants")
    assert scene.load(1).label == "main@1"
    assert scene.cache.load("other", other).label == "other@1"
    assert scene.cache.labels == ("main@1", "other@1")
