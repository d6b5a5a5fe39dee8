"""CL-LoRA through the queue: the trainer dies in every stage, and versions answer as they did."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from tests.support.drivers.learning import carried_out, small_task, submitted
from tests.support.drivers.operations import Aim, Target
from tests.support.fakes.faulty import MortalStore
from tests.support.scenes.vision import random_clip
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.images.decode import decode_image
from workers.learning.handover import PREFIX as WORK
from workers.learning.trainer import CHECKPOINT_EVERY
from workers.queue.ticket import Stage
from workers.registry import Author, Registry
from workers.registry.record_cache import Versions
from workers.serving.predictor import Candidate, PredictionRequest, Predictor, Question
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault

pytestmark = pytest.mark.slow

METHOD = "cl_lora"
EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"
SHARED = {"rank": 2, "batch_size": 4, "learning_rate": 0.2}
EPOCHS = {
    # Two batches of four images, each of which is two updates after the first task.
    "fashion": 2,
    "digits": CHECKPOINT_EVERY // 4 + 2,  # beyond a checkpoint
    "clip-art": 1,
    "sketched-things": 1,
    "sketched-nature": 1,
}
KILLED = [
    # all is learnt, and nothing is handed over
    (Target("put", "work/ID/0/shared", 0), Fault.CRASH),
    # in the middle, with a checkpoint
    (Target("put", "work/ID/checkpoint", 0), Fault.CRASH_AFTER),
    # the shared state is handed over, and the record's tensors are not
    (Target("put", "work/ID/2/shared", 0), Fault.CRASH_AFTER),
    # both are, and the record is next
    (Target("put", "work/ID/3/learnt", 0), Fault.CRASH_AFTER),
    # measured, and not published
    (Target("replace", "refs/main.json", 1), Fault.CRASH),
]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Five versions, learnt twice.

    Attributes:
        encoder: A random CLIP with a vision transformer.
        undisturbed: A store in which nobody died.
        survivor: One in which the coordinator died once in every task.
        images: Test images of all tasks, as the encoder reads them.
    """

    encoder: Encoder
    undisturbed: ObjectStore
    survivor: ObjectStore
    images: list[Tensor]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cl_lora")
    encoder = Encoder(EncoderSettings(model=str(random_clip(folder / "clip"))))
    tasks = [task_file(folder, name) for name in EPOCHS]
    stores = MemoryStore(), MemoryStore()
    for number, path in enumerate(tasks):
        learn(stores[0], encoder, path, number=number)
        learn(stores[1], encoder, path, number=number, killed=KILLED[number])
    files = sorted(folder.rglob("test/*/*.png"))
    return Scene(
        encoder=encoder,
        undisturbed=stores[0],
        survivor=stores[1],
        images=[encoder.transform(decode_image(each.read_bytes(), origin="")) for each in files],
    )


def task_file(folder: Path, name: str) -> Path:
    path = small_task(EXAMPLES, folder, name, classes=2, images=4)
    content = yaml.safe_load(path.read_text())
    chosen = {**SHARED, "epochs": EPOCHS[name]}
    path.write_text(yaml.safe_dump({**content, "settings": chosen, "shared_names": "keep"}))
    return path


def learn(
    store: ObjectStore,
    encoder: Encoder,
    path: Path,
    *,
    number: int,
    killed: tuple[Target, Fault] | None = None,
) -> None:
    """Have a task learnt and published; a coordinator that is killed is followed by another."""
    submission = submitted(store, path, now=float(number), method=METHOD)
    if killed is not None:
        target, fault = killed
        kind = target.kind.replace("ID", submission.submission_id)
        link = MortalStore(store, Aim(Target(target.operation, kind, target.occurrence), fault))
        carried_out(store, encoder, submission, method=METHOD, link=link)
        assert link.dead
    (state,) = carried_out(store, encoder, submission, method=METHOD)
    ticket = state.ticket
    assert (ticket.stage, ticket.version) == (Stage.PUBLISHED, number + 1), ticket.failures


def answers(
    predictor: Predictor, images: list[Tensor], pinned: int | None = None
) -> list[list[Candidate]]:
    """Return all candidates of every image, by one version."""
    version = predictor.version("main", pinned)
    asked = PredictionRequest(adapter="main", question=Question(top_k=10), version=version)
    found = predictor.predict_together(images, [asked] * len(images))
    assert all(isinstance(each, list) for each in found)
    return found  # type: ignore[return-value]


def replica(scene: Scene, store: ObjectStore) -> Predictor:
    predictor = Predictor(scene.encoder, Versions(store), adapters=("main",))
    assert predictor.follower("main").follow()
    return predictor


def test_whoever_dies_when_every_version_is_the_same_to_the_byte(scene: Scene) -> None:
    first, second = (
        Registry(store).adapter("main") for store in (scene.undisturbed, scene.survivor)
    )
    for number in range(1, len(EPOCHS) + 1):
        one, other = first.manifest(number), second.manifest(number)
        assert [task.record for task in one.tasks] == [task.record for task in other.tasks]
        assert one.shared == other.shared is not None
    assert second.refs().next_version == len(EPOCHS) + 1
    assert list(scene.survivor.list(WORK)) == []


def test_every_version_keeps_the_down_of_the_first_and_has_an_up_of_its_own(scene: Scene) -> None:
    versions = Versions(scene.survivor)
    shared = [versions.state("main", number).shared for number in range(1, len(EPOCHS) + 1)]
    tensors = [each.tensors for each in shared if each is not None]
    assert len(tensors) == len(EPOCHS)
    assert all(torch.equal(each["down"], tensors[0]["down"]) for each in tensors)
    pairs = pairwise(each["up"] for each in tensors)
    assert not any(torch.equal(one, other) for one, other in pairs)


def test_images_of_several_versions_go_together_and_each_is_answered_by_its_own(
    scene: Scene,
) -> None:
    predictor = replica(scene, scene.survivor)
    images = scene.images[:6]
    asked = [
        PredictionRequest(
            adapter="main",
            question=Question(top_k=10),
            version=predictor.version("main", 1 + place % 3),
        )
        for place in range(len(images))
    ]
    for place, found in enumerate(predictor.predict_together(images, asked)):
        (alone,) = answers(predictor, [images[place]], 1 + place % 3)
        assert isinstance(found, list)
        known = {each.class_id: each.score for each in found}
        # The forward of two images rounds otherwise than that of one.
        assert known == pytest.approx({each.class_id: each.score for each in alone}, abs=1e-5)


def test_after_a_rollback_from_five_to_two_answers_are_those_of_two_to_the_bit(
    scene: Scene,
) -> None:
    expected = answers(replica(scene, scene.undisturbed), scene.images, 2)
    predictor = replica(scene, scene.survivor)
    newest = answers(predictor, scene.images)
    assert predictor.version("main").ref.number == 5
    assert newest != expected
    main = Registry(scene.survivor).adapter("main")
    main.rollback(2, by=Author(who="anna", why="the tower moved too far", now=99.0))
    assert predictor.follower("main").follow()
    assert predictor.version("main").ref.number == 2
    assert answers(predictor, scene.images) == expected
    assert answers(replica(scene, scene.survivor), scene.images) == expected
    assert answers(predictor, scene.images, 5) == newest
