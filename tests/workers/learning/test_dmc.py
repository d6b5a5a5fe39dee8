"""DMC-OT through the queue: the trainer dies in each phase, and versions answer as they did."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from adapters.contract.records import unpack
from adapters.methods.dmc.shared_state import DmcState
from tests.support.drivers.learning import small_task
from tests.support.drivers.operations import Target
from tests.support.scenes.learnt_twice import (
    CHECKPOINT_EVERY,
    LearntTwice,
    die_learning,
    learn,
    read_images,
)
from tests.support.scenes.vision import random_clip
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.learning.handover import checkpoint_key, take_over
from workers.registry.record_cache import Versions
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault

pytestmark = pytest.mark.slow

METHOD = "dmc_ot"
EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"
SETTINGS: dict[str, Any] = {"rank": 2, "context": 4, "batch_size": 8, "replay_size": 8}
# One batch for all images of a task, so that an epoch is a step.
EPOCHS = {
    "fashion": {"image_epochs": 3, "prompt_epochs": 3},
    "digits": {"image_epochs": CHECKPOINT_EVERY + 3, "prompt_epochs": 3},
    # One step of images and one of measuring: the first checkpoint is in the prompt phase.
    "clip-art": {"image_epochs": CHECKPOINT_EVERY - 2, "prompt_epochs": 4},
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
class Scene(LearntTwice):
    """Three versions.

    Attributes:
        phases: What the checkpoint held that was there when it died, by the first part of its name.
    """

    phases: list[set[str]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("dmc")
    encoder = Encoder(EncoderSettings(model=str(random_clip(folder / "clip"))))
    tasks = [task_file(folder, name) for name in EPOCHS]
    undisturbed, survivor, phases = MemoryStore(), MemoryStore(), list[set[str]]()
    for number, path in enumerate(tasks):
        learn(undisturbed, encoder, path, method=METHOD, number=number)
        phases.append(killed(survivor, encoder, path, number=number))
        learn(survivor, encoder, path, method=METHOD, number=number)
    return Scene(
        encoder=encoder,
        undisturbed=undisturbed,
        survivor=survivor,
        images=read_images(encoder, folder),
        versions=len(EPOCHS),
        phases=phases,
    )


def task_file(folder: Path, name: str) -> Path:
    path = small_task(EXAMPLES, folder, name, classes=2, images=2)
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, "settings": {**SETTINGS, **EPOCHS[name]}}))
    return path


def killed(store: ObjectStore, encoder: Encoder, path: Path, *, number: int) -> set[str]:
    """Begin to learn a task, and die; return what the checkpoint holds, if there is one."""
    where = KILLED[number]
    name = die_learning(store, encoder, path, method=METHOD, number=number, killed=where)
    if where[0] is not IN_THE_MIDDLE:
        return set()
    tensors, _ = unpack(take_over(store, checkpoint_key(name)))
    return {each.split("/")[0] for each in tensors}


def test_whoever_dies_in_which_phase_every_version_is_the_same_to_the_byte(scene: Scene) -> None:
    assert scene.phases == PHASES
    scene.check_versions_are_the_same()


def test_every_version_has_the_whole_chain_of_maps_in_its_own_shared_state(scene: Scene) -> None:
    versions = Versions(scene.survivor)
    chains = [DmcState.of(versions.state("main", number)).chain for number in (1, 2, 3)]
    assert [len(chain) for chain in chains] == [0, 1, 2]
    assert torch.equal(chains[1][0].matrix, chains[2][0].matrix)


def test_after_a_rollback_answers_are_those_of_the_old_version_to_the_bit(scene: Scene) -> None:
    assert scene.versions == 3
    scene.check_rollback(1)
