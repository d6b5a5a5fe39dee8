"""CL-LoRA through the queue: the trainer dies in every stage, and versions answer as they did."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml

from adapters.methods import method_named
from cluster.client.client import Client
from cluster.config import Config
from tests.support.drivers.learning import small_task
from tests.support.drivers.operations import Target
from tests.support.fakes.dying_store import copy_of, killed_at_every_write
from tests.support.scenes.learnt_twice import (
    LearntTwice,
    answers,
    die_learning,
    learn,
    read_images,
)
from tests.support.scenes.vision import random_clip
from workers.access.audit import PREFIX as AUDIT
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry.record_cache import Versions
from workers.serving.predictor import PredictionRequest, Question
from workers.store import MemoryStore
from workers.store.testing import Fault

pytestmark = pytest.mark.slow

METHOD = "cl_lora"
EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"
SHARED = {"rank": 2, "batch_size": 4, "learning_rate": 0.2}
EPOCHS = {
    # Two batches of four images, each of which is two updates after the first task.
    "fashion": 2,
    "digits": 2,  # eight updates, with a checkpoint between the two of the second batch
    "clip-art": 1,
    "sketched-things": 1,
    "sketched-nature": 1,
}
KILLED = [
    # all is learnt, and nothing is handed over
    (Target("put", "work/ID/0/shared", 0), Fault.CRASH),
    # in the middle of a batch, with a checkpoint
    (Target("put", "work/ID/checkpoint", 0), Fault.CRASH_AFTER),
    # the shared state is handed over, and the record's tensors are not
    (Target("put", "work/ID/2/shared", 0), Fault.CRASH_AFTER),
    # both are, and the record is next
    (Target("put", "work/ID/3/learnt", 0), Fault.CRASH_AFTER),
    # measured, and not published
    (Target("replace", "refs/main.json", 1), Fault.CRASH),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> LearntTwice:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cl_lora")
    encoder = Encoder(EncoderSettings(model=str(random_clip(folder / "clip"))))
    tasks = [task_file(folder, name) for name in EPOCHS]
    undisturbed, survivor = MemoryStore(), MemoryStore()
    for number, path in enumerate(tasks):
        learn(undisturbed, encoder, path, method=METHOD, number=number)
        die_learning(survivor, encoder, path, method=METHOD, number=number, killed=KILLED[number])
        learn(survivor, encoder, path, method=METHOD, number=number)
    return LearntTwice(
        encoder=encoder,
        undisturbed=undisturbed,
        survivor=survivor,
        images=read_images(encoder, folder),
        versions=len(EPOCHS),
    )


def task_file(folder: Path, name: str) -> Path:
    path = small_task(EXAMPLES, folder, name, classes=2, images=4)
    content = yaml.safe_load(path.read_text())
    chosen = {**SHARED, "epochs": EPOCHS[name]}
    path.write_text(yaml.safe_dump({**content, "settings": chosen, "shared_names": "keep"}))
    return path


def test_whoever_dies_when_every_version_is_the_same_to_the_byte(scene: LearntTwice) -> None:
    scene.check_versions_are_the_same()


def test_every_version_keeps_the_down_of_the_first_and_has_an_up_of_its_own(
    scene: LearntTwice,
) -> None:
    versions = Versions(scene.survivor)
    shared = [versions.state("main", number).shared for number in range(1, len(EPOCHS) + 1)]
    tensors = [each.tensors for each in shared if each is not None]
    assert len(tensors) == len(EPOCHS)
    assert all(torch.equal(each["down"], tensors[0]["down"]) for each in tensors)
    pairs = pairwise(each["up"] for each in tensors)
    assert not any(torch.equal(one, other) for one, other in pairs)


def test_images_of_several_versions_go_together_and_each_is_answered_by_its_own(
    scene: LearntTwice,
) -> None:
    predictor = scene.replica(scene.survivor)
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
    scene: LearntTwice,
) -> None:
    assert scene.versions == 5
    scene.check_rollback(2)


def test_a_purge_takes_what_towers_that_had_learnt_from_the_task_have_made(
    scene: LearntTwice,
) -> None:
    store = copy_of(scene.undisturbed)
    first, *tainted = (
        Versions(store).state("main", number) for number in range(1, scene.versions + 1)
    )
    towers = {method_named(METHOD).fingerprint(state) for state in tainted}
    assert towers <= made_by(store)
    client = Client(Config(), by="anna", store=store)
    client.rollback(1)
    client.purge("digits")
    assert made_by(store).isdisjoint(towers)
    assert method_named(METHOD).fingerprint(first) in made_by(store)


def test_a_purge_that_is_killed_at_any_write_is_finished_when_it_is_called_again(
    scene: LearntTwice,
) -> None:
    before = copy_of(scene.undisturbed)
    Client(Config(), by="anna", store=before).rollback(1)
    (_, whole), *others = killed_at_every_write(
        before, lambda client: client.purge("digits"), Config()
    )
    assert len(made_by(before)) > len(made_by(whole))
    for write, store in others:
        assert what_is_left(store) == what_is_left(whole), write


def what_is_left(store: MemoryStore) -> set[str]:
    """Return the keys of all but moves, tombstones and audit, which differ with the time of day."""
    said = ("/history/", "/tombstones/", AUDIT)
    return {each.key for each in store.list("") if not any(one in each.key for one in said)}


def made_by(store: MemoryStore) -> set[str]:
    """Return the fingerprints of the towers of which there are features."""
    return {listed.key.split("/")[1] for listed in store.list("features/")}
