"""A method that trains the image tower, from submission to rollback: each version its own tower."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.adapter_state import SharedState, encode_shared
from adapters.errors import CorruptionError, EncoderMismatchError, SettingsError
from adapters.methods import method_named
from cluster.config import Config, ServeConfig
from cluster.stores.open import open_store
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.learning import carried_out, small_task, submitted
from tests.support.fakes.shifting_tower import ShiftingTower, install
from tests.support.scenes.vision import random_clip
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.encoding.shard_encoder import ShardEncoder
from workers.images.decode import decode_image
from workers.learning.evaluation import accuracies, task_test_set
from workers.queue.ticket import Stage
from workers.registry import Author, Commit, Inline, Registry, SetShared
from workers.registry.record_cache import Versions
from workers.serving.predictor import PredictionRequest, Predictor, Question
from workers.serving.version_cache import VersionCache, nbytes
from workers.store import MemoryStore, ObjectStore
from workers.tasks.submission import Submission

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"


def without_settings(task: Path) -> Path:
    """Leave the method's settings out of a task file, which are LADA's."""
    content = yaml.safe_load(task.read_text())
    task.write_text(yaml.safe_dump({**content, "settings": {}}))
    return task


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Versions 1 (fashion) and 2 (and digits) of `main`, each with a tower of its own."""

    config: Config
    store: ObjectStore
    encoder: Encoder
    submissions: tuple[Submission, ...]

    def adapter(self, number: int) -> Adapter:
        state = Versions(self.store).state("main", number)
        return Adapter(state.records, shared=state.shared)

    def pixels(self) -> list[Tensor]:
        return [
            self.encoder.transform(decode_image(content, origin="test"))
            for _, content in self.files()
        ]

    def files(self) -> list[tuple[str, bytes]]:
        found = sorted(Path(self.config.store.removeprefix("file://")).parent.rglob("test/*/*.png"))
        return [(path.name, path.read_bytes()) for path in found]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("towers")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        install(folder)
        model = random_clip(folder / "clip")
        config = Config(
            store=f"file://{folder}/store",
            encoder=EncoderSettings(model=str(model)),
            serve=ServeConfig(poll_s=0.05),
        )
        store, encoder = open_store(config.store), Encoder(config.encoder)
        submissions = []
        for number, name in enumerate(("fashion", "digits")):
            task = without_settings(small_task(EXAMPLES, folder, name, classes=2))
            one = submitted(store, task, now=float(number), method=ShiftingTower.name)
            (state,) = carried_out(store, encoder, one, method=ShiftingTower.name)
            assert state.ticket.stage is Stage.PUBLISHED, state.ticket.error
            submissions.append(one)
        yield Scene(config=config, store=store, encoder=encoder, submissions=tuple(submissions))


def test_an_installed_package_offers_a_method(scene: Scene) -> None:
    del scene
    assert isinstance(method_named(ShiftingTower.name), ShiftingTower)


def test_every_version_has_shared_state_and_a_tower_of_its_own(scene: Scene) -> None:
    first, second = scene.adapter(1), scene.adapter(2)
    assert len({scene.encoder.fingerprint, first.fingerprint, second.fingerprint}) == 3
    pixels = torch.stack(scene.pixels())
    base = scene.encoder.image_tower
    old, new = (each.image_tower(base).features(pixels) for each in (first, second))
    assert not torch.allclose(old, new, atol=1e-3)
    with pytest.raises(EncoderMismatchError, match=first.fingerprint):
        first.score(new, encoder=second.fingerprint, logit_scale=100.0)


def test_the_gate_measured_every_task_under_the_new_versions_tower(scene: Scene) -> None:
    adapter = scene.adapter(2)
    tower = adapter.image_tower(scene.encoder.image_tower)
    embedder = ShardEncoder(scene.encoder, scene.store)
    for each in scene.submissions:
        embedder.embed_split(each, "held_out", tower)
    tests = [
        task_test_set(scene.store, each, fingerprint=tower.fingerprint)
        for each in scene.submissions
    ]
    published = Registry(scene.store).adapter("main").accuracies(2)
    measured = accuracies(adapter, tests, scene.encoder)
    assert {each.task: each.accuracy for each in published} == measured


def test_images_of_one_batch_are_read_by_the_tower_of_their_version(scene: Scene) -> None:
    predictor = Predictor(scene.encoder, Versions(scene.store), adapters=("main",))
    pixels, question = scene.pixels()[:4], Question(top_k=4)
    asked = [
        PredictionRequest(
            adapter="main", question=question, version=predictor.version("main", 1 + place % 2)
        )
        for place in range(len(pixels))
    ]
    together = predictor.predict_together(pixels, asked)
    for one, request, answer in zip(pixels, asked, together, strict=True):
        assert request.version is not None
        features = request.version.tower.features(one[None])
        (alone,) = predictor.predict(features, request.version, question)
        assert isinstance(answer, list)
        assert [entry.class_id for entry in answer] == [entry.class_id for entry in alone]
        # The forward of two images rounds otherwise than that of one.
        assert [entry.score for entry in answer] == pytest.approx(
            [entry.score for entry in alone], abs=1e-5
        )


def test_two_versions_that_share_a_tower_hold_one(scene: Scene) -> None:
    store = copied(scene.store)
    first = Versions(store).state("main", 1).shared
    assert first is not None
    adapter = Registry(store).adapter("main")
    adapter.commit(
        Commit(updates=(SetShared(state=Inline(encode_shared(first))),), aliases=("head",)),
        by=Author(who="anna", why="the tower moved too far", now=9.0),
    )
    cache = VersionCache(Versions(store), base=scene.encoder.image_tower)
    one, two, three = (cache.load("main", adapter.version(number)) for number in (1, 2, 3))
    assert one.tower is three.tower is not two.tower
    assert one.adapter.shared is three.adapter.shared
    assert one.tower.own_bytes > 100_000
    everything = nbytes([one, two, three])
    assert everything < nbytes([two, three]) + one.tower.own_bytes


def copied(store: ObjectStore) -> ObjectStore:
    """Return a store with the same objects."""
    copy = MemoryStore()
    for listed in store.list(""):
        copy.put(listed.key, store.get(listed.key).data)
    return copy


def test_shared_state_of_another_method_or_encoder_is_refused(scene: Scene) -> None:
    state = Versions(scene.store).state("main", 1)
    assert state.shared is not None
    foreign = SharedState(method="lada", encoder=state.shared.encoder, tensors=state.shared.tensors)
    with pytest.raises(SettingsError, match="one of 'lada'"):
        Adapter(state.records, shared=foreign)
    elsewhere = SharedState(
        method=state.shared.method, encoder="another", tensors=state.shared.tensors
    )
    with pytest.raises(EncoderMismatchError, match="another"):
        Adapter(state.records, shared=elsewhere)


def test_a_version_that_its_method_cannot_put_together_is_refused_and_harms_nobody(
    scene: Scene,
) -> None:
    store = copied(scene.store)
    adapter = Registry(store).adapter("main")
    adapter.commit(
        Commit(updates=(SetShared(state=None),), aliases=("head", "production")),
        by=Author(who="anna", why="a writer that is mistaken", now=9.0),
    )
    predictor = Predictor(scene.encoder, Versions(store), adapters=("main",))
    follower = predictor.follower("main")
    assert not follower.follow()
    assert follower.has_looked
    assert follower.state.refusal is not None
    assert "shared state" in follower.state.refusal.reason


def test_a_tower_that_fails_fails_those_who_asked_it_alone(scene: Scene) -> None:
    predictor = Predictor(scene.encoder, Versions(scene.store), adapters=("main",))
    good, bad = (predictor.version("main", number) for number in (1, 2))
    broken = replace(bad, tower=BrokenTower())
    asked = [
        PredictionRequest(adapter="main", question=Question(), version=version)
        for version in (good, broken)
    ]
    fine, failed = predictor.predict_together(scene.pixels()[:2], asked)
    assert isinstance(fine, list)
    assert isinstance(failed, CorruptionError)


def test_a_package_whose_method_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = tmp_path / "broken_method-1.0.dist-info"
    where.mkdir()
    (where / "METADATA").write_text("Metadata-Version: 2.1\nName: broken_method\nVersion: 1.0\n")
    (where / "entry_points.txt").write_text("[nacre.methods]\nbroken = broken_method:Broken\n")
    (tmp_path / "broken_method.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="mend or remove that package"):
        method_named("broken")


class BrokenTower:
    """Reads no image."""

    fingerprint, own_bytes = "broken", 0

    def features(self, pixels: Tensor) -> Tensor:
        """Raise an error that is none of nacre's."""
        raise RuntimeError(f"no features of {tuple(pixels.shape)}")


def test_a_rollback_answers_bit_for_bit_what_was_answered_before(scene: Scene) -> None:
    registry = Registry(scene.store)
    files = [("images", (name, content)) for name, content in scene.files()]
    with ApiServer(scene.config) as server, server.client() as client:

        def answer(**pinned: str) -> tuple[str, object]:
            found = client.post("/v1/predict", files=files, params=pinned).json()
            return found["version"], found["results"]

        newest = answer()
        before = answer(version="1")
        assert (newest[0], before[0]) == ("main@2", "main@1")
        assert newest[1] != before[1]
        author = Author(who="anna", why="the tower moved too far", now=9.0)
        registry.adapter("main").rollback(1, by=author)
        server.follow("main")
        assert answer() == before
        assert answer(version="2") == newest
