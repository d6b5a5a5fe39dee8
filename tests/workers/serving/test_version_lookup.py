"""Numbers and aliases: looked up once in a while, and remembered while the store is away."""

import pytest

from adapters.errors import InputError, NotFoundError, UnavailableError
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.scenes.registry import ANNA, adapter, learn
from tests.support.scenes.serving import Clock
from workers.registry import Registry, drop, purge
from workers.registry.documents.layout import refs_key
from workers.serving.version_lookup import KEPT_S, VersionLookup
from workers.store import MemoryStore
from workers.store.testing import Fault, FaultyStore


class Scene:
    """Versions 1 and 2 of `main`, and a way to the store that can be cut."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.adapter = adapter(self.store)
        learn(self.adapter, "fashion", "digits")
        self.away = False
        faulty = FaultyStore(self.store, lambda *_: Fault.FAIL if self.away else None)
        self.faulty = faulty
        self.clock = Clock()
        self.lookup = VersionLookup(Registry(faulty), clock=self.clock)

    def find(self, pinned: int | str) -> int:
        return self.lookup.find("main", pinned).number


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize(("pinned", "number"), [(1, 1), ("1", 1), ("head", 2), ("production", 2)])
def test_a_pin_is_a_number_or_an_alias(scene: Scene, pinned: int | str, number: int) -> None:
    assert scene.find(pinned) == number


def test_a_number_is_looked_up_once_in_a_while(scene: Scene) -> None:
    scene.find(1)
    before = scene.faulty.count
    assert [scene.find(1), scene.find("1")] == [1, 1]
    assert scene.faulty.count == before
    scene.clock.now += KEPT_S
    scene.find(1)
    assert scene.faulty.count > before


def test_an_alias_is_looked_up_every_time(scene: Scene) -> None:
    assert scene.find("production") == 2
    scene.adapter.rollback(1, by=ANNA)
    assert scene.find("production") == 1


@pytest.mark.parametrize("pinned", [1, "head"])
def test_what_was_found_counts_on_while_the_store_is_away(scene: Scene, pinned: int | str) -> None:
    found = scene.find(pinned)
    scene.away = True
    scene.clock.now += 10 * KEPT_S
    assert scene.find(pinned) == found
    with pytest.raises(UnavailableError):
        scene.find(2 if pinned == 1 else 1)


@pytest.mark.parametrize("pinned", [7, "canary"])
def test_what_does_not_exist_is_named(scene: Scene, pinned: int | str) -> None:
    with pytest.raises(NotFoundError, match=str(pinned)):
        scene.find(pinned)
    with pytest.raises(NotFoundError, match="nobody"):
        scene.lookup.find("nobody", 1)


def test_a_version_is_found_where_every_second_read_is_from_before_it() -> None:
    store = RememberingStore(MemoryStore())
    learn(adapter(store), "fashion", "digits")
    doubtful = DoubtfulStore(store, old=lambda key: "refs" in key)
    doubtful.get(refs_key("main"))  # the next one is from before
    assert VersionLookup(Registry(doubtful)).find("main", 2).number == 2
    assert doubtful.went_back


def test_a_version_with_a_purged_task_is_refused_soon(scene: Scene) -> None:
    assert scene.find(2) == 2
    drop(scene.adapter, "digits", by=ANNA)
    scene.adapter.promote("head", by=ANNA)
    purge(scene.adapter, "digits", by=ANNA)
    scene.clock.now += KEPT_S
    with pytest.raises(InputError, match="purged"):
        scene.find(2)
    assert scene.find(1) == 1
