"""DMC-OT through the queue: the trainer dies in each phase, and versions answer as they did."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from adapters.contract.records import unpack
from adapters.methods.dmc.shared_state import DmcState
from tests.support.drivers.learning import carried_out, small_task, submitted
from tests.support.drivers.operations import Aim, Target
from tests.support.fakes.faulty import MortalStore
from tests.support.scenes.vision import random_clip
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.images.decode import decode_image
from workers.learning.handover import PREFIX as WORK
from workers.learning.handover import checkpoint_key, take_over
from workers.learning.trainer import CHECKPOINT_EVERY
from workers.queue.ticket import Stage
from workers.registry import Author, Registry
from workers.registry.record_cache import Versions
from workers.serving.predictor import Candidate, PredictionRequest, Predictor, Question
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault

pytestmark = pytest.mark.slow

METHOD = "dmc_ot"
EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"
SETTINGS: dict[str, Any] = {"rank": 2, "context": 4, "batch_size": 8, "replay_size": 8}
# One batch for all images of a task, so that an epoch is a step.
EPOCHS = {
    "fashion": {"image_epochs": 3, "prompt_epochs": 3},
    "digits": {"image_epochs": CHECKPOINT_EVERY + 5, "prompt_epochs": 3},
    "clip-art": {"image_epochs": 3, "prompt_epochs": CHECKPOINT_EVERY + 5},
}
IN_THE_MIDDLE = Target("put", "work/ID/checkpoint", 0)
KILLED = [
    # all is learnt, and nothing is handed over
    (Target("put", "work/ID/0/shared", 0), Fault.CRASH),
    # in the image phase, with a checkpoint
    (IN_THE_MIDDLE, Fault.CRASH_AFTER),
    # in the prompt phase, with a checkpoint
    (IN_THE_MIDDLE, Fault.CRASH_AFTER),
]
PHASES: list[set[str]] = [set(), {"image"}, {"image", "measured", "found", "prompts"}]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Three versions, learnt twice.

    Attributes:
        encoder: A random CLIP with a vision transformer.
        undisturbed: A store in which nobody died.
        survivor: One in which the coordinator died once in every task.
        phases: What the checkpoint held that was there when it died, by the first part of its name.
        images: Test images of all tasks, as the encoder reads them.
    """

    encoder: Encoder
    undisturbed: ObjectStore
    survivor: ObjectStore
    phases: list[set[str]]
    images: list[Tensor]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("dmc")
    encoder = Encoder(EncoderSettings(model=str(random_clip(folder / "clip"))))
    tasks = [task_file(folder, name) for name in EPOCHS]
    undisturbed, survivor, phases = MemoryStore(), MemoryStore(), list[set[str]]()
    for number, path in enumerate(tasks):
        learn(undisturbed, encoder, path, number=number)
        phases.append(killed(survivor, encoder, path, number=number))
        learn(survivor, encoder, path, number=number)
    files = sorted(folder.rglob("test/*/*.png"))
    return Scene(
        encoder=encoder,
        undisturbed=undisturbed,
        survivor=survivor,
        phases=phases,
        images=[encoder.transform(decode_image(each.read_bytes(), origin="")) for each in files],
    )


def task_file(folder: Path, name: str) -> Path:
    path = small_task(EXAMPLES, folder, name, classes=2, images=2)
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, "settings": {**SETTINGS, **EPOCHS[name]}}))
    return path


def learn(store: ObjectStore, encoder: Encoder, path: Path, *, number: int) -> None:
    """Have a task learnt and published, from where somebody else has died."""
    submission = submitted(store, path, now=float(number), method=METHOD)
    (state,) = carried_out(store, encoder, submission, method=METHOD)
    ticket = state.ticket
    assert (ticket.stage, ticket.version) == (Stage.PUBLISHED, number + 1), ticket.failures


def killed(store: ObjectStore, encoder: Encoder, path: Path, *, number: int) -> set[str]:
    """Begin to learn a task, and die; return what the checkpoint holds, if there is one."""
    submission = submitted(store, path, now=float(number), method=METHOD)
    target, fault = KILLED[number]
    key = target.kind.replace("ID", submission.submission_id)
    link = MortalStore(store, Aim(Target(target.operation, key, target.occurrence), fault))
    carried_out(store, encoder, submission, method=METHOD, link=link)
    assert link.dead
    if target is not IN_THE_MIDDLE:
        return set()
    tensors, _ = unpack(take_over(store, checkpoint_key(submission.submission_id)))
    return {name.split("/")[0] for name in tensors}


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


def test_whoever_dies_in_which_phase_every_version_is_the_same_to_the_byte(scene: Scene) -> None:
    assert scene.phases == PHASES
    first, second = (
        Registry(store).adapter("main") for store in (scene.undisturbed, scene.survivor)
    )
    for number in range(1, len(EPOCHS) + 1):
        one, other = first.manifest(number), second.manifest(number)
        assert [task.record for task in one.tasks] == [task.record for task in other.tasks]
        assert one.shared == other.shared is not None
    assert second.refs().next_version == len(EPOCHS) + 1
    assert list(scene.survivor.list(WORK)) == []


def test_every_version_has_the_whole_chain_of_maps_in_its_own_shared_state(scene: Scene) -> None:
    versions = Versions(scene.survivor)
    chains = [DmcState.of(versions.state("main", number)).chain for number in (1, 2, 3)]
    assert [len(chain) for chain in chains] == [0, 1, 2]
    assert torch.equal(chains[1][0].matrix, chains[2][0].matrix)


def test_after_a_rollback_answers_are_those_of_the_old_version_to_the_bit(scene: Scene) -> None:
    expected = answers(replica(scene, scene.undisturbed), scene.images, 1)
    predictor = replica(scene, scene.survivor)
    newest = answers(predictor, scene.images)
    assert newest != expected
    assert answers(predictor, scene.images, 1) == expected
    main = Registry(scene.survivor).adapter("main")
    main.rollback(1, by=Author(who="anna", why="the tower moved too far", now=99.0))
    assert predictor.follower("main").follow()
    assert predictor.version("main").ref.number == 1
    assert answers(predictor, scene.images) == expected
    assert answers(replica(scene, scene.survivor), scene.images) == expected
    assert answers(predictor, scene.images, 3) == newest
