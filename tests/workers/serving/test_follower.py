"""Followers: prepared first, moved at once, refused where broken, and honest about what they know.

Versions of random records: what is learnt does not matter here.
"""

import threading
from collections.abc import Callable

import pytest

from adapters.errors import (
    CorruptionError,
    EncoderMismatchError,
    MissingError,
    NothingPublishedError,
    UnavailableError,
)
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.scenes.registry import ANNA
from tests.support.scenes.serving import (
    TIMEOUT_S,
    HeldStore,
    Replica,
    publish,
    records_read,
    small_record,
)
from workers.registry import Registry, drop, purge
from workers.serving.follower import TRIED_AGAIN_S
from workers.store import MemoryStore

REFS = "refs/main.json"


class Scene(Replica):
    """A replica, and what is published into its store."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.adapter = Registry(self.inner).create("main")
        self.held = HeldStore(self.inner, "refs", operation="get")
        self.held.holds = False
        super().__init__(self.held)

    def records(self) -> set[str]:
        return {entry.key for entry in self.inner.list("adapters/") if "/records/" in entry.key}

    def records_read(self) -> int:
        return records_read(self.store)

    def publish(self, task: str) -> str:
        """Publish a version, and return the key of its new record."""
        before = self.records()
        publish(self.adapter, task)
        (new,) = self.records() - before
        return new


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_before_the_first_version_it_has_looked_and_has_nothing(scene: Scene) -> None:
    follower = scene.follower
    seen = [follower.has_looked, follower.follow(), follower.has_looked]
    assert seen == [False, False, True]
    with pytest.raises(UnavailableError, match="submit a task"):
        _ = scene.follower.current


def test_following_twice_moves_once(scene: Scene) -> None:
    scene.publish("birds")
    assert [scene.follower.follow(), scene.follower.follow()] == [True, False]
    assert scene.label == "main@1"


def test_what_is_prepared_answers_nothing_before_production_points_to_it(scene: Scene) -> None:
    scene.publish("birds")
    scene.follower.follow()
    scene.publish("boats")
    scene.adapter.rollback(1, by=ANNA, serving_only=True)
    scene.follower.prepare(scene.adapter.version(2))
    assert scene.label == "main@1"
    scene.follower.follow()
    assert scene.label == "main@1"


def test_what_is_prepared_is_moved_to_without_reading_a_record(scene: Scene) -> None:
    scene.publish("birds")
    scene.follower.follow()
    scene.publish("boats")
    scene.follower.prepare(scene.adapter.version(2))
    scene.store.reset()
    assert scene.follower.follow()
    assert scene.label == "main@2"
    assert scene.records_read() == 0


def test_moving_on_reads_only_the_new_record(scene: Scene) -> None:
    scene.publish("birds")
    scene.follower.follow()
    scene.publish("boats")
    scene.store.reset()
    scene.follower.follow()
    assert scene.records_read() == 1


def test_a_rollback_is_followed_back(scene: Scene) -> None:
    scene.publish("birds")
    scene.publish("boats")
    scene.follower.follow()
    scene.adapter.rollback(1, by=ANNA)
    assert scene.follower.follow()
    assert scene.label == "main@1"


def test_what_was_purged_answers_no_more_where_production_was_taken_away(scene: Scene) -> None:
    scene.publish("birds")
    scene.publish("boats")
    scene.follower.follow()
    drop(scene.adapter, "boats", by=ANNA)
    scene.adapter.remove_alias("production", by=ANNA)
    assert not scene.follower.follow()
    assert scene.label == "main@2"
    purge(scene.adapter, "boats", by=ANNA)
    assert scene.follower.follow()
    with pytest.raises(UnavailableError, match="no version in production"):
        _ = scene.follower.current
    scene.adapter.promote("head", by=ANNA)
    assert scene.follower.follow()
    assert scene.label == "main@3"


def test_tombstones_that_cannot_be_read_are_looked_at_again(scene: Scene) -> None:
    scene.publish("birds")
    scene.publish("boats")
    scene.follower.follow()
    drop(scene.adapter, "boats", by=ANNA)
    scene.adapter.remove_alias("production", by=ANNA)
    purge(scene.adapter, "boats", by=ANNA)
    (key,) = (each.key for each in scene.inner.list("") if "/tombstones/" in each.key)
    kept = scene.inner.get(key).data
    scene.inner.put(key, kept[:-1])
    assert not scene.follower.follow()
    assert scene.label == "main@2"
    scene.inner.put(key, kept)
    assert scene.follower.follow()
    with pytest.raises(UnavailableError, match="no version in production"):
        _ = scene.follower.current


Damage = Callable[[MemoryStore, str], None]
DAMAGES: list[Damage] = [
    # one bit, the last byte, everything
    lambda store, key: store.put(
        key, bytes([store.get(key).data[0] ^ 1]) + store.get(key).data[1:]
    ),
    lambda store, key: store.put(key, store.get(key).data[:-1]),
    lambda store, key: store.delete(key),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_is_refused_and_the_old_one_goes_on(scene: Scene, damage: Damage) -> None:
    scene.publish("birds")
    scene.follower.follow()
    damage(scene.inner, scene.publish("boats"))
    with pytest.raises((CorruptionError, MissingError)):
        scene.follower.prepare(scene.adapter.version(2))
    assert not scene.follower.follow()
    assert scene.label == "main@1"
    refusal = scene.follower.state.refusal
    assert refusal is not None
    assert refusal.label == "main@2"
    assert "restore the object" in refusal.reason


def test_a_refused_version_is_fetched_again_only_after_a_while(scene: Scene) -> None:
    scene.publish("birds")
    scene.follower.follow()
    key = scene.publish("boats")
    content = scene.inner.get(key).data
    scene.inner.put(key, content[:-1])
    scene.follower.follow()
    scene.inner.put(key, content)
    scene.store.reset()
    scene.clock.now += TRIED_AGAIN_S / 2
    scene.follower.follow()
    assert (scene.records_read(), scene.label) == (0, "main@1")
    scene.clock.now += TRIED_AGAIN_S
    assert scene.follower.follow()
    assert scene.label == "main@2"
    assert scene.follower.state.refusal is None


def test_a_refusal_is_forgotten_when_production_moves_away(scene: Scene) -> None:
    scene.publish("birds")
    scene.follower.follow()
    scene.inner.delete(scene.publish("boats"))
    scene.follower.follow()
    scene.adapter.rollback(1, by=ANNA)
    scene.follower.follow()
    assert scene.follower.state.refusal is None


def test_a_version_of_another_encoder_is_refused_before_any_record_is_read(scene: Scene) -> None:
    publish(scene.adapter, small_record("birds", encoder="cd" * 32))
    with pytest.raises(EncoderMismatchError, match="cdcd"):
        scene.follower.prepare(scene.adapter.version(1))
    scene.follower.follow()
    assert scene.follower.state.refusal is not None
    assert scene.records_read() == 0


def test_while_the_store_is_away_what_answers_stays_and_grows_old(scene: Scene) -> None:
    scene.publish("birds")
    scene.follower.follow()
    scene.away = True
    scene.clock.now += 7.0
    with pytest.raises(UnavailableError):
        scene.follower.follow()
    assert scene.label == "main@1"
    assert scene.clock.now - scene.follower.state.seen_at == 7.0
    scene.away = False
    scene.follower.follow()
    assert scene.clock.now == scene.follower.state.seen_at


def test_a_follower_that_cannot_reach_the_store_has_not_looked(scene: Scene) -> None:
    scene.publish("birds")
    scene.away = True
    with pytest.raises(UnavailableError):
        scene.follower.follow()
    assert not scene.follower.has_looked


def test_an_older_look_never_undoes_a_newer_one(scene: Scene) -> None:
    """Two threads look at once; the one that asked first may come to its end last."""
    scene.publish("birds")
    scene.follower.follow()
    scene.held.holds = True
    late = threading.Thread(target=scene.follower.follow)
    late.start()
    assert scene.held.reached.wait(TIMEOUT_S)
    scene.held.holds = False
    scene.publish("boats")
    scene.clock.now += 1.0
    assert scene.follower.follow()
    scene.held.go.set()
    late.join(TIMEOUT_S)
    assert scene.label == "main@2"


def test_without_the_alias_what_answers_goes_on(scene: Scene) -> None:
    scene.publish("birds")
    scene.follower.follow()
    scene.adapter.remove_alias("production", by=ANNA)
    scene.clock.now += 9.0
    assert not scene.follower.follow()
    assert scene.label == "main@1"
    assert scene.follower.state.seen_at == scene.clock.now


def test_a_replica_that_starts_without_the_alias_says_which_version_to_promote(
    scene: Scene,
) -> None:
    scene.publish("birds")
    scene.adapter.remove_alias("production", by=ANNA)
    scene.follower.follow()
    with pytest.raises(NothingPublishedError, match="`nacre promote 1 --adapter main` serves that"):
        _ = scene.follower.current


@pytest.mark.parametrize(("is_told_which", "answering"), [(True, "main@3"), (False, "main@2")])
def test_told_of_a_change_it_does_not_believe_refs_from_before_it(
    is_told_which: bool, answering: str
) -> None:
    store = RememberingStore(MemoryStore())
    adapter = Registry(store).create("main")
    publish(adapter, "one")
    publish(adapter, "two")
    doubtful = DoubtfulStore(store, old=lambda key: key == REFS)
    replica = Replica(doubtful)
    replica.follower.follow()
    publish(adapter, "three")
    doubtful.get(REFS)  # so that the next look meets what was there before
    replica.follower.follow(adapter.refs().serial if is_told_which else 0)
    assert doubtful.went_back, "the store was never old"
    assert replica.label == answering
    replica.follower.follow()
    assert replica.label == "main@3"


def test_a_replica_that_starts_begins_with_none_but_the_newest_refs_of_some() -> None:
    store = RememberingStore(MemoryStore())
    adapter = Registry(store).create("main")
    publish(adapter, "one")
    publish(adapter, "two")
    doubtful = DoubtfulStore(store, old=lambda key: key == REFS)
    doubtful.get(REFS)  # so that the first look meets what was there before
    replica = Replica(doubtful)
    replica.follower.follow()
    assert doubtful.went_back, "the store was never old"
    assert replica.label == "main@2"


def test_refs_of_a_change_that_nobody_makes_are_not_waited_for(scene: Scene) -> None:
    scene.publish("one")
    scene.follower.follow(10**9)
    assert scene.label == "main@1"
