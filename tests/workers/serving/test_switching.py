"""A registry and the replicas that it tells: all move at once, or find out by looking."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.errors import UnavailableError, UnknownOutcomeError
from tests.support.fakes.faulty import OvertakenStore
from tests.support.scenes.registry import ANNA, BOTH
from tests.support.scenes.serving import (
    TIMEOUT_S,
    Replica,
    Replicas,
    TamperedStore,
    publish,
    records_read,
)
from workers.registry import RegisteredAdapter, Registry, VersionRef
from workers.registry.documents.layout import refs_key
from workers.store import MemoryStore
from workers.store.testing import CrashError, Fault, FaultyStore


class Scene:
    """Two replicas that answer with version 1, and are told of what comes."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        publish(Registry(self.store).create("main"), "ants")
        self.one, self.other = Replica(self.store), Replica(self.store)
        self.adapter = self.telling(self.one, self.other)
        for replica in (self.one, self.other):
            replica.follower.follow()

    def telling(self, *replicas: Replica) -> RegisteredAdapter:
        """Return the adapter, whose moves `replicas` are told of."""
        return Registry(self.store, audience=Replicas(*replicas)).adapter("main")

    @property
    def labels(self) -> tuple[str, str]:
        return self.one.label, self.other.label


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_when_a_version_is_published_all_answer_with_it(scene: Scene) -> None:
    publish(scene.adapter, "birds")
    assert scene.labels == ("main@2", "main@2")
    scene.adapter.rollback(1, by=ANNA)
    assert scene.labels == ("main@1", "main@1")


def test_everything_is_read_before_the_alias_moves(scene: Scene) -> None:
    read: list[int] = []

    def reads() -> None:
        read.append(records_read(scene.one.store))

    overtaken = OvertakenStore(scene.store, refs_key("main"), reads)
    publish(Registry(overtaken, audience=Replicas(scene.one)).adapter("main"), "birds")
    assert scene.one.label == "main@2"
    # The two records of version 2, and none after the one write that takes effect.
    assert read == [records_read(scene.one.store)] == [2]


def test_one_that_missed_the_call_answers_on_and_finds_out_by_looking(scene: Scene) -> None:
    scene.other.told = False
    publish(scene.adapter, "birds", "boats")
    assert scene.labels == ("main@3", "main@1")
    assert scene.other.follower.follow()
    assert scene.labels == ("main@3", "main@3")


def test_one_that_is_cut_off_keeps_nobody_from_moving_and_knows_how_old_it_is(
    scene: Scene,
) -> None:
    scene.other.away = True
    scene.other.clock.now += 7.0
    publish(scene.adapter, "birds")
    assert scene.labels == ("main@2", "main@1")
    assert scene.other.clock.now - scene.other.follower.state.seen_at == 7.0
    scene.other.away = False
    scene.other.follower.follow()
    assert scene.labels == ("main@2", "main@2")
    assert scene.other.follower.state.seen_at == scene.other.clock.now


def test_one_that_cannot_load_a_version_answers_on_and_says_why(scene: Scene) -> None:
    """What goes wrong with an audience never keeps an alias from moving."""
    link = TamperedStore(scene.store)
    broken = Replica(link)
    link.honest = True
    broken.follower.follow()
    link.honest = False
    adapter = scene.telling(scene.one, broken)
    publish(adapter, "birds")
    assert (scene.one.label, broken.label) == ("main@2", "main@1")
    refusal = broken.follower.state.refusal
    assert refusal is not None
    assert refusal.label == "main@2"
    assert "is damaged" in refusal.reason
    adapter.rollback(1, by=ANNA)
    assert (scene.one.label, broken.label) == ("main@1", "main@1")
    assert broken.follower.state.refusal is None


def test_one_that_could_never_load_anything_says_what_and_why(scene: Scene) -> None:
    broken = Replica(TamperedStore(scene.store))
    assert not broken.follower.follow()
    with pytest.raises(
        UnavailableError, match=r"main@1 is in production and cannot be.*is damaged"
    ):
        _ = broken.label


def test_the_store_failing_halfway_through_a_version_is_no_refusal(scene: Scene) -> None:
    """It is a reason to look again, not to say that the version is broken."""
    cut: list[bool] = [True]
    link = FaultyStore(
        scene.store, lambda _n, _op, key: Fault.FAIL if cut and "/records/" in key else None
    )
    replica = Replica(link)
    with pytest.raises(UnavailableError, match="made to fail"):
        replica.follower.follow()
    assert replica.follower.state.refusal is None
    cut.clear()
    assert replica.follower.follow()
    assert replica.label == "main@1"


def test_what_was_prepared_for_a_lost_race_never_answers_under_its_number(scene: Scene) -> None:
    """Both writers make a version 2; only that of the winner is ever answered with."""
    winner = Registry(scene.store).adapter("main")
    overtaken = OvertakenStore(
        scene.store, refs_key("main"), lambda: publish(winner, "boats", aliases=("head",))
    )
    publish(Registry(overtaken, audience=Replicas(scene.one)).adapter("main"), "birds")
    assert scene.one.label == "main@3"
    assert scene.one.cache.labels.count("main@2") == 1  # the loser's, under the number it hoped for
    two = scene.one.cache.load("main", scene.adapter.version(2))
    assert [record.task for record in two.adapter.records] == ["ants", "boats"]


class Dying:
    """An audience of replicas, in the midst of whose calls the caller's process dies."""

    def __init__(self, audience: Replicas, call: str) -> None:
        self._audience = audience
        self._call = call

    def prepare(self, adapter: str, version: VersionRef) -> None:
        self._audience.prepare(adapter, version)
        if self._call == "prepare":
            raise CrashError

    def follow(self, adapter: str, serial: int) -> None:
        if self._call == "follow":
            raise CrashError
        self._audience.follow(adapter, serial)


@pytest.mark.parametrize(("call", "label"), [("prepare", "main@1"), ("follow", "main@2")])
def test_whoever_dies_while_telling_leaves_the_old_or_the_new_to_all(
    scene: Scene, call: str, label: str
) -> None:
    audience = Dying(Replicas(scene.one, scene.other), call)
    with pytest.raises(CrashError):
        publish(Registry(scene.store, audience=audience).adapter("main"), "birds")
    assert scene.labels == ("main@1", "main@1")
    for replica in (scene.one, scene.other):
        replica.follower.follow()
    assert scene.labels == (label, label)
    production = scene.adapter.resolve("production")
    assert label == f"main@{production}"


def test_a_write_in_doubt_tells_nobody_and_everybody_finds_out(scene: Scene) -> None:
    """The store goes away right after it took the write: whether it did cannot be known."""
    state = {"away": False}

    def script(_number: int, operation: str, key: str) -> Fault | None:
        if state["away"]:
            return Fault.FAIL
        if operation == "replace" and key == refs_key("main"):
            state["away"] = True
            return Fault.LOSE_ANSWER
        return None

    audience = Replicas(scene.one, scene.other)
    adapter = Registry(FaultyStore(scene.store, script), audience=audience).adapter("main")
    with pytest.raises(UnknownOutcomeError, match="may have"):
        adapter.promote(publish(scene.adapter, "birds", aliases=("head",)).number, by=ANNA)
    assert scene.labels == ("main@1", "main@1")
    assert scene.one.follower.follow()
    assert scene.one.label == "main@2"


def test_who_reads_while_versions_change_always_finds_one_whole_version(scene: Scene) -> None:
    """Version n holds n tasks here, so that a mixture of two would be seen."""
    over = threading.Event()
    begun = threading.Barrier(3, timeout=TIMEOUT_S)

    def look() -> str:
        current = scene.one.follower.current
        assert len(current.adapter.records) == current.ref.number
        return current.label

    def read() -> set[str]:
        begun.wait()
        seen = {look()}
        while not over.is_set():
            seen.add(look())
        return seen | {look()}

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        begun.wait()
        try:
            publish(scene.adapter, *(f"task{number}" for number in range(5)))
        finally:
            over.set()
        published = {f"main@{number}" for number in range(1, 7)}
        for reader in readers:
            assert {"main@6"} <= reader.result(TIMEOUT_S) <= published


def test_several_looks_at_once_move_once(scene: Scene) -> None:
    scene.other.told = False
    publish(scene.adapter, "birds")
    together = threading.Barrier(4, timeout=TIMEOUT_S)

    def look() -> bool:
        together.wait()
        return scene.other.follower.follow()

    with ThreadPoolExecutor(4) as threads:
        moved = [entry.result(TIMEOUT_S) for entry in [threads.submit(look) for _ in range(4)]]
    assert moved.count(True) == 1
    assert scene.other.label == "main@2"


def test_an_alias_that_is_not_production_moves_no_replica(scene: Scene) -> None:
    publish(scene.adapter, "birds", aliases=("head",))
    scene.adapter.alias("canary", 2, by=ANNA)
    assert scene.labels == ("main@1", "main@1")
    assert records_read(scene.one.store) == 1
    publish(scene.adapter, "boats", aliases=BOTH)
    assert scene.labels == ("main@3", "main@3")
