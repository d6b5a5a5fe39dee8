"""The predictor: each answer from one version, bit for bit the same for ever."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from adapters.errors import (
    CorruptionError,
    EncoderMismatchError,
    NotFoundError,
    UnavailableError,
)
from tests.suites.learning import published_by_hand, small_task, submitted
from workers.encoder import Encoder
from workers.encoder_settings import EncoderSettings
from workers.predictor import Candidate, Predictor
from workers.registry import Author, Registry
from workers.store import MemoryStore
from workers.store.wrappers import RecordingStore
from workers.submission import Submission
from workers.versions import Versions

ANNA = Author(who="anna", why="digits were mislabelled", now=9.0)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A store with version 1 of two, and the way to version 2."""

    store: MemoryStore
    encoder: Encoder
    later: Submission

    def predictor(self) -> Predictor:
        """Return a new replica's predictor, which has read nothing yet."""
        return Predictor(self.encoder, Versions(self.store), adapter="main")

    def publish_version_2(self) -> None:
        published_by_hand(self.store, self.encoder, self.later)

    def features(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        rows = torch.randn(7, self.encoder.width, generator=generator)
        return torch.nn.functional.normalize(rows, dim=1)


@dataclass(frozen=True)
class Stored:
    """What a store held at one moment."""

    objects: dict[str, bytes]

    def store(self) -> MemoryStore:
        copy = MemoryStore()
        for key, data in self.objects.items():
            copy.put(key, data)
        return copy


@pytest.fixture(scope="module")
def first_version(
    encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Stored, Submission]:
    folder = tmp_path_factory.mktemp("predictor")
    examples = Path(__file__).parents[2] / "deploy" / "examples"
    store = MemoryStore()
    tasks = [small_task(examples, folder, name, classes=2) for name in ("fashion", "digits")]
    first, later = (submitted(store, path, now=float(n)) for n, path in enumerate(tasks))
    published_by_hand(store, encoder, first)
    return Stored({entry.key: store.get(entry.key).data for entry in store.list("")}), later


@pytest.fixture
def scene(encoder: Encoder, first_version: tuple[Stored, Submission]) -> Scene:
    stored, later = first_version
    return Scene(store=stored.store(), encoder=encoder, later=later)


Answers = list[list[Candidate]]


def answers(scene: Scene, predictor: Predictor, number: int) -> Answers:
    return predictor.predict(scene.features(), predictor.prepare(number), top_k=100)


def test_before_the_first_version_there_is_no_answer(encoder: Encoder) -> None:
    predictor = Predictor(encoder, Versions(MemoryStore()), adapter="main")
    assert not predictor.follow()
    with pytest.raises(UnavailableError, match="'main' has no version in production yet"):
        _ = predictor.current


def test_answers_of_a_pinned_version_are_the_same_to_the_bit_after_the_next(scene: Scene) -> None:
    old = scene.predictor()
    before = answers(scene, old, 1)
    scene.publish_version_2()
    assert old.follow()
    assert old.current.label == "main@2"
    assert answers(scene, old, 1) == before
    assert answers(scene, scene.predictor(), 1) == before


def test_a_replica_that_grew_answers_like_one_that_began_with_the_newest(scene: Scene) -> None:
    grown = scene.predictor()
    grown.follow()
    scene.publish_version_2()
    grown.follow()
    assert len(grown.current.adapter.records) == 2
    assert answers(scene, grown, 2) == answers(scene, scene.predictor(), 2)


def test_following_twice_moves_once(scene: Scene) -> None:
    predictor = scene.predictor()
    assert [predictor.follow(), predictor.follow()] == [True, False]


def test_a_rollback_is_followed_back(scene: Scene) -> None:
    predictor = scene.predictor()
    predictor.follow()
    before = answers(scene, predictor, 1)
    scene.publish_version_2()
    predictor.follow()
    Registry(scene.store).adapter("main").rollback(1, by=ANNA)
    assert predictor.follow()
    assert predictor.current.number == 1
    assert predictor.predict(scene.features(), predictor.current, top_k=100) == before


def test_a_version_that_is_prepared_answers_nothing_until_it_is_committed(scene: Scene) -> None:
    predictor = scene.predictor()
    predictor.follow()
    scene.publish_version_2()
    prepared = predictor.prepare(2)
    assert predictor.current.number == 1
    predictor.commit(prepared)
    assert predictor.current is prepared


def test_moving_on_reads_only_the_new_record(scene: Scene) -> None:
    store = RecordingStore(scene.store)
    predictor = Predictor(scene.encoder, Versions(store), adapter="main")
    predictor.follow()
    scene.publish_version_2()
    store.reset()
    predictor.follow()
    assert sum("/records/" in key for _, key in store.keys) == 1


def records(store: MemoryStore) -> set[str]:
    return {entry.key for entry in store.list("adapters/") if "/records/" in entry.key}


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
    predictor = scene.predictor()
    predictor.follow()
    before = records(scene.store)
    scene.publish_version_2()
    (new,) = records(scene.store) - before
    damage(scene.store, new)
    with pytest.raises(CorruptionError, match="restore the object"):
        predictor.follow()
    assert predictor.current.label == "main@1"
    assert predictor.predict(scene.features(), predictor.current, top_k=1)


@pytest.fixture(scope="module")
def other_encoder() -> Encoder:
    return Encoder(EncoderSettings(precision="bf16"))


def test_another_encoder_is_refused_before_any_record_is_read(
    scene: Scene, other_encoder: Encoder
) -> None:
    store = RecordingStore(scene.store)
    predictor = Predictor(other_encoder, Versions(store), adapter="main")
    with pytest.raises(EncoderMismatchError, match=other_encoder.fingerprint[:12]):
        predictor.follow()
    assert not [key for _, key in store.keys if "/records/" in key]


def test_a_task_is_not_learnt_on_top_of_another_encoders(
    scene: Scene, other_encoder: Encoder
) -> None:
    with pytest.raises(EncoderMismatchError):
        published_by_hand(scene.store, other_encoder, scene.later)


def test_a_version_that_does_not_exist_is_named(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match="no version 7"):
        scene.predictor().prepare(7)


def test_candidates_come_best_first_and_share_one_whole(scene: Scene) -> None:
    scene.publish_version_2()
    for candidates in answers(scene, scene.predictor(), 2):
        scores = [entry.score for entry in candidates]
        assert scores == sorted(scores, reverse=True)
        # Four float32 terms of a softmax sum to 1 within 1e-6.
        assert sum(scores) == pytest.approx(1, abs=1e-6)
        assert {entry.task for entry in candidates} == {"fashion", "digits"}
        assert all(entry.class_id.startswith(f"{entry.task}/") for entry in candidates)


@pytest.mark.parametrize(("top_k", "found"), [(1, 1), (2, 2), (50, 2)])
def test_at_most_so_many_candidates(scene: Scene, top_k: int, found: int) -> None:
    predictor = scene.predictor()
    predictor.follow()
    ranked = predictor.predict(scene.features(), predictor.current, top_k=top_k)
    assert [len(candidates) for candidates in ranked] == [found] * 7


def test_a_record_that_both_versions_hold_is_decoded_once(scene: Scene) -> None:
    scene.publish_version_2()
    versions = Versions(scene.store)
    assert versions.records("main", 1)[0] is versions.records("main", 2)[0]
    assert versions.head("main") == (2, versions.records("main", 2))
    assert versions.head("another") == (None, ())
