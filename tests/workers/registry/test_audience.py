"""Whoever serves is told before `production` moves and after, and never keeps it from moving."""

import pytest

from adapters.errors import ConflictError, UnavailableError, UnknownOutcomeError
from tests.support.fakes.faulty import OvertakenStore
from tests.support.scenes.registry import ANNA, BOTH, addition, learn, registry
from workers.registry import HeadIs, Manifest, Registry, VersionRef, drop
from workers.registry.audience import moved_production
from workers.registry.documents.layout import refs_key
from workers.store import MemoryStore
from workers.store.testing import Fault, FaultyStore


class Listening:
    """Keeps what it is told, and what `production` was at that moment.

    Attributes:
        heard: (call, version named or None, version in production).
    """

    def __init__(self, store: MemoryStore) -> None:
        self._registry = Registry(store)
        self.heard: list[tuple[str, int | None, int | None]] = []

    def prepare(self, adapter: str, version: VersionRef) -> None:
        self.heard.append(("prepare", version.number, self._production(adapter)))

    def follow(self, adapter: str, serial: int) -> None:
        assert self._registry.adapter(adapter).refs().serial == serial
        self.heard.append(("follow", None, self._production(adapter)))

    def _production(self, adapter: str) -> int | None:
        found = self._registry.adapter(adapter).refs().find("production")
        return found.number if found else None


class Scene:
    """Versions 1 and 2, and somebody who listens from then on."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        learn(registry(self.store).create("main"), "fashion", "digits")
        self.audience = Listening(self.store)
        self.adapter = Registry(self.store, audience=self.audience).adapter("main")

    @property
    def heard(self) -> list[tuple[str, int | None, int | None]]:
        return self.audience.heard


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_version_is_prepared_before_it_is_served_and_followed_after(scene: Scene) -> None:
    learn(scene.adapter, "letters")
    assert scene.heard == [("prepare", 3, 2), ("follow", None, 3)]


def test_a_rollback_and_a_promotion_are_announced_too(scene: Scene) -> None:
    scene.adapter.rollback(1, by=ANNA)
    scene.adapter.promote(2, by=ANNA)
    assert [entry[0] for entry in scene.heard] == ["prepare", "follow"] * 2
    assert [entry[1] for entry in scene.heard] == [1, None, 2, None]


def test_what_does_not_move_production_is_nobodys_business(scene: Scene) -> None:
    scene.adapter.commit(addition("letters", parent=2), by=ANNA)  # head alone
    scene.adapter.alias("canary", 1, by=ANNA)
    scene.adapter.promote(2, by=ANNA)  # where it is
    scene.adapter.fence("somebody")
    scene.adapter.note_refusal(scene.adapter.version(2), by=ANNA)
    assert scene.heard == []


def test_a_move_that_is_refused_is_prepared_at_most(scene: Scene) -> None:
    commit = addition("letters", parent=1, aliases=BOTH)
    assert HeadIs(1) in commit.requirements
    with pytest.raises(ConflictError):
        scene.adapter.commit(commit, by=ANNA)
    assert all(call == "prepare" for call, *_ in scene.heard)


def test_a_lost_race_is_followed_once() -> None:
    """Somebody else writes first: it is decided and prepared again, and followed when it holds."""
    scene = Scene()
    raced: list[str] = []

    def race(_number: int, operation: str, key: str) -> Fault | None:
        if operation == "replace" and "refs" in key and not raced:
            raced.append(key)
            Registry(scene.store).adapter("main").alias("canary", 1, by=ANNA)
        return None

    slow = Registry(FaultyStore(scene.store, race), audience=scene.audience).adapter("main")
    slow.rollback(1, by=ANNA)
    assert raced
    assert [entry[0] for entry in scene.heard] == ["prepare", "prepare", "follow"]


def test_a_write_whose_answer_is_lost_is_followed_all_the_same() -> None:
    scene = Scene()
    lost: list[str] = []

    def lose(_number: int, operation: str, key: str) -> Fault | None:
        if operation == "replace" and "refs" in key and not lost:
            lost.append(key)
            return Fault.LOSE_ANSWER
        return None

    adapter = Registry(FaultyStore(scene.store, lose), audience=scene.audience).adapter("main")
    adapter.rollback(1, by=ANNA)
    assert [entry[0] for entry in scene.heard] == ["prepare", "follow"]
    assert scene.heard[-1] == ("follow", None, 1)


def test_a_refusal_stands_in_the_history_once_and_moves_nothing(scene: Scene) -> None:
    before = scene.adapter.refs()
    for _ in range(3):
        scene.adapter.note_refusal(scene.adapter.version(2), by=ANNA)
    after = scene.adapter.refs()
    assert after.aliases == before.aliases
    assert after.next_version == before.next_version
    actions = [entry.action.value for entry in scene.adapter.history()]
    assert actions == ["refuse", "commit", "commit"]
    latest = next(scene.adapter.history())
    assert latest.detail["version"] == "2"
    assert latest.moves == {}
    scene.adapter.rollback(1, by=ANNA)
    scene.adapter.note_refusal(scene.adapter.version(1), by=ANNA)
    assert [entry.action.value for entry in scene.adapter.history()][:2] == ["refuse", "rollback"]


def test_serving_only_is_announced_and_so_is_a_version_without_a_task(scene: Scene) -> None:
    scene.adapter.rollback(1, by=ANNA, serving_only=True)
    drop(scene.adapter, "digits", by=ANNA, promoted=True)
    assert scene.heard == [
        ("prepare", 1, 2),
        ("follow", None, 1),
        ("prepare", 3, 1),
        ("follow", None, 3),
    ]


def test_the_first_version_of_all_is_announced() -> None:
    store = MemoryStore()
    audience = Listening(store)
    learn(Registry(store, audience=audience).create("main"), "fashion")
    assert audience.heard == [("prepare", 1, None), ("follow", None, 1)]


def test_an_alias_that_is_removed_is_no_version_to_prepare(scene: Scene) -> None:
    before = scene.adapter.refs()
    scene.adapter.remove_alias("production", by=ANNA)
    assert scene.adapter.refs().find("production") is None
    assert moved_production(before, scene.adapter.refs()) is None
    assert scene.heard == []


class Reading(Listening):
    """Reads the version that it is to prepare, as a replica does, while it is not published."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.manifests: list[Manifest] = []

    def prepare(self, adapter: str, version: VersionRef) -> None:
        handle = self._registry.adapter(adapter)
        manifest = handle.objects.manifest(version.manifest)
        assert len(list(handle.records(manifest.tasks))) == len(manifest.tasks)
        self.manifests.append(manifest)


def test_all_of_a_version_is_in_the_store_when_it_is_to_be_prepared() -> None:
    store = MemoryStore()
    audience = Reading(store)
    manifest = learn(Registry(store, audience=audience).create("main"), "fashion", "digits")
    assert audience.manifests[-1] == manifest
    assert [len(entry.tasks) for entry in audience.manifests] == [1, 2]


class BrokenError(Exception):
    """A fault of an audience, which promises to have none."""


class Broken:
    """An audience that breaks its promise never to raise."""

    def prepare(self, adapter: str, version: VersionRef) -> None:
        raise BrokenError(adapter, version)

    def follow(self, adapter: str, serial: int) -> None:
        del serial
        raise AssertionError(adapter)


def test_an_audience_that_breaks_before_the_swap_leaves_everything_as_it_was(scene: Scene) -> None:
    before = scene.adapter.refs()
    adapter = Registry(scene.store, audience=Broken()).adapter("main")
    with pytest.raises(BrokenError):
        adapter.promote(1, by=ANNA)
    assert scene.adapter.refs() == before


def test_nobody_is_told_to_follow_a_move_that_somebody_else_made_impossible(scene: Scene) -> None:
    """The move was prepared, the race lost, and decided again it is refused."""
    winner = Registry(scene.store).adapter("main")
    overtaken = OvertakenStore(
        scene.store, refs_key("main"), lambda: winner.rollback(1, by=ANNA, serving_only=True)
    )
    adapter = Registry(overtaken, audience=scene.audience).adapter("main")
    learn(registry(scene.store).adapter("main"), "letters")
    with pytest.raises(ConflictError, match="expected version 3, found 1"):
        adapter.promote(2, by=ANNA, expected=3)
    assert scene.heard == [("prepare", 2, 3)]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.FAIL, UnavailableError),  # nothing was written
        (Fault.LOSE_ANSWER, UnknownOutcomeError),  # it was, and the store is away from then on
    ],
)
def test_nobody_is_told_to_follow_what_may_not_have_happened(
    scene: Scene, fault: Fault, error: type[Exception]
) -> None:
    gone: list[str] = []

    def script(_number: int, operation: str, key: str) -> Fault | None:
        if gone:
            return Fault.FAIL
        if operation == "replace":
            gone.append(key)
            return fault
        return None

    store = FaultyStore(scene.store, script)
    with pytest.raises(error):
        Registry(store, audience=scene.audience).adapter("main").rollback(1, by=ANNA)
    assert scene.heard == [("prepare", 1, 2)]
