"""The probes show what continual learning is about."""

from dataclasses import replace

import pytest
import torch

from adapters.adapter import Adapter
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import InputError, SettingsError
from adapters.methods import measured_method
from adapters.methods.probes import ProbeSettings
from adapters.towers.text_side import TextSide
from tests.adapters.synthetic import ENCODER, SCALE, clusters, unit_rows
from tests.support.scenes.training import inputs, learn


def first_task_accuracy(name: str, tasks: list[TaskFeatures]) -> float:
    """Return the accuracy on the first task after the last, from anchors that know nothing."""
    method, records = measured_method(name), list[Record]()
    for place, task in enumerate(tasks):
        anchors = unit_rows(len(task.classes), task.width, seed=60 + place)
        text = TextSide(features=anchors, logit_scale=SCALE)
        settings = {"steps": 150, "learning_rate": 0.05, "weight_decay": 0.0}
        records.append(learn(method, task, records, text=text, settings=settings, seed=1))
    scores = Adapter(records, method=method).score(
        tasks[0].features[:, 0], encoder=ENCODER, logit_scale=SCALE
    )
    return float((scores.winners == tasks[0].labels).float().mean())


def test_without_replay_the_first_task_is_forgotten_and_with_all_images_it_is_not() -> None:
    tasks = [clusters(f"task {n}", classes=4, images=10, seed=n, spread=0.15) for n in range(4)]
    forgotten = first_task_accuracy("probe", tasks)
    replayed = first_task_accuracy("probe_replay", tasks)
    joint = first_task_accuracy("joint", tasks)
    assert forgotten < replayed < joint + 1e-9
    assert joint > 0.9


def test_replay_keeps_four_images_of_every_class_and_joint_all() -> None:
    task = clusters(classes=3, images=10)
    text = TextSide(features=unit_rows(3, 24, seed=1), logit_scale=SCALE)
    for name, kept in (("probe", 0), ("probe_replay", 12), ("joint", 30)):
        method = measured_method(name)
        record = learn(method, task, [], text=text, settings={"steps": 1}, seed=1)
        assert len(record.tensors["images"]) == len(record.tensors["image_labels"]) == kept


def test_a_checkpoint_of_other_features_is_refused() -> None:
    task, other = clusters(seed=1), clusters(seed=2)
    text = TextSide(features=unit_rows(4, 24, seed=1), logit_scale=SCALE)
    method = measured_method("probe")
    learner = method.start(inputs(task, [], text=text, settings={"steps": 3}, seed=1))
    learner.step()
    with pytest.raises(InputError, match="other features"):
        method.resume(learner.checkpoint(), inputs(other, [], text=text))


def test_no_more_steps_than_there_are() -> None:
    task = clusters()
    text = TextSide(features=unit_rows(4, 24, seed=1), logit_scale=SCALE)
    learner = measured_method("probe").start(
        inputs(task, [], text=text, settings={"steps": 1}, seed=1)
    )
    learner.step()
    with pytest.raises(SettingsError, match="at most 1"):
        learner.step()


def test_steps_and_epochs_exclude_each_other() -> None:
    assert ProbeSettings(epochs=3).total_steps(classes=4, images=100) == 6
    assert ProbeSettings().total_steps(classes=100, images=1600) == 600
    with pytest.raises(SettingsError, match="one of"):
        ProbeSettings(epochs=1, steps=1)


def test_weights_are_those_of_all_classes_so_far() -> None:
    first, second = clusters("first", classes=2), clusters("second", classes=3)
    method = measured_method("probe")
    records: list[Record] = []
    for task in (first, second):
        text = TextSide(features=unit_rows(len(task.classes), 24, seed=1), logit_scale=SCALE)
        records.append(learn(method, task, records, text=text, settings={"steps": 1}, seed=1))
    assert [len(record.tensors["weights"]) for record in records] == [2, 5]
    assert torch.isfinite(records[1].tensors["weights"]).all()


@pytest.mark.parametrize("name", ["probe_replay", "joint"])
def test_merged_classes_are_no_negatives_of_each_other(name: str) -> None:
    first, twin = clusters("first", classes=3), clusters("twin", classes=3)
    entries = tuple(
        replace(mine, merged_into=theirs.class_id)
        for mine, theirs in zip(twin.classes, first.classes, strict=True)
    )
    text = TextSide(features=unit_rows(3, 24, seed=1), logit_scale=SCALE)
    settings, losses = {"steps": 150, "learning_rate": 0.05}, []
    for second in (twin, replace(twin, classes=entries)):
        method, past = measured_method(name), list[Record]()
        past.append(learn(method, first, [], text=text, settings=settings, seed=1))
        learner = method.start(inputs(second, past, text=text, settings=settings, seed=1))
        losses.append([learner.step() for _ in range(learner.total_steps)][-1])
    apart, together = losses
    # The same images under two names share the probability, unless the names are one.
    assert apart > 0.3
    assert together < 0.1
