"""LADA's training: weights, text modes, hard classes, checkpoints."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from adapters.contract.records import encode_record, pack
from adapters.errors import (
    ClassNameError,
    CorruptionError,
    FeatureError,
    InputError,
    SettingsError,
)
from adapters.methods.lada.learner import LadaLearner
from adapters.methods.lada.past import replay_of
from adapters.methods.lada.rows import RowSource
from adapters.methods.lada.settings import LadaSettings
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from tests.adapters.synthetic import class_means, clusters, learnt, unit_rows
from tests.adapters.towers.test_text_tower import build, prompts
from tests.support.scenes.training import inputs

CPU = torch.device("cpu")


def learner(*, images: int = 6, views: int = 1, **settings: object) -> LadaLearner:
    task = clusters(images=images, views=views)
    chosen = LadaSettings.from_mapping({"text": "residual", "views": views, **settings})
    return LadaLearner(inputs(task, [], text=class_means(task), seed=1), settings=chosen)


def rows_of(weighting: str, *, images: list[int], batch_size: int = 64) -> RowSource:
    past = [learnt(clusters("old", classes=5, images=20), steps=0)]
    task = clusters("new", classes=len(images), images=max(images))
    place = torch.arange(len(task.labels)) % max(images)
    kept = place < torch.tensor(images)[task.labels]
    task = replace(task, features=task.features[kept], labels=task.labels[kept])
    chosen = LadaSettings.from_mapping({"weighting": weighting, "batch_size": batch_size})
    replay = replay_of(past, chosen, width=task.width)
    return RowSource(task, replay, settings=chosen, seed=1, device=CPU)


def test_in_code_weighting_an_old_class_weighs_as_much_as_the_batch() -> None:
    step = rows_of("code", images=[32, 32, 32]).at(0)
    assert float(step.rows.weights.sum()) == pytest.approx(64 * 5 + 64, rel=1e-6)
    assert step.normaliser == 5 * 4 + 64
    assert (step.rows.weights[20:] == 1).all()


def test_in_paper_weighting_every_class_weighs_one() -> None:
    source = rows_of("paper", images=[10, 4, 2], batch_size=16)
    step = source.at(0)
    by_class: Counter[int] = Counter()
    for label, weight in zip(step.rows.labels.tolist(), step.rows.weights.tolist(), strict=True):
        by_class[label] += weight
    assert dict(by_class) == pytest.approx(dict.fromkeys(range(8), 1.0), rel=1e-5)
    assert step.normaliser == 8


def test_an_epoch_shows_every_image_once() -> None:
    source = rows_of("code", images=[10, 4, 2], batch_size=5)
    shown = [row for step in range(4) for row in source.at(step).rows.features[20:].tolist()]
    assert len(shown) == len({tuple(row) for row in shown}) == 16


def test_the_rows_of_a_step_depend_on_its_number_alone() -> None:
    source = rows_of("code", images=[10, 4, 2], batch_size=5)
    expected = source.at(3).rows.features
    source.at(0)
    assert torch.equal(source.at(3).rows.features, expected)


def test_training_lowers_the_loss() -> None:
    trained = learner(images=30, steps=40, memory_per_class=4)
    losses = [trained.step() for _ in range(40)]
    assert losses[-1] < losses[0]


def test_a_step_after_the_last_is_an_error() -> None:
    trained = learner(steps=1)
    trained.step()
    with pytest.raises(SettingsError, match="one more"):
        trained.step()


@pytest.mark.parametrize("images", [1, 2, 5])
def test_few_images_are_learnt(images: int) -> None:
    record = learnt(clusters(images=images), steps=2, memory_per_class=16)
    assert record.tensors["memory_offsets"].tolist() == [images * index for index in range(5)]
    assert all(torch.isfinite(tensor).all() for tensor in record.tensors.values())


def test_identical_images_are_learnt() -> None:
    task = clusters(images=20, spread=0.0)
    record = learnt(task, steps=2, memory_per_class=3)
    assert record.tensors["mixture_variances"].tolist() == [0.0] * 4
    later = learnt(clusters("later", seed=4), [record], steps=2)
    assert all(torch.isfinite(tensor).all() for tensor in later.tensors.values())


@pytest.mark.parametrize(
    ("bad", "message"), [(0.0, "unit rows"), (float("nan"), "finite"), (float("inf"), "finite")]
)
def test_zero_and_non_finite_features_are_refused(bad: float, message: str) -> None:
    task = clusters()
    features = task.features.clone()
    features[3] = bad
    with pytest.raises(FeatureError, match=message):
        replace(task, features=features)


def test_a_class_without_images_is_refused_by_name() -> None:
    task = clusters()
    kept = task.labels != 2
    with pytest.raises(ClassNameError, match="first/2"):
        replace(task, features=task.features[kept], labels=task.labels[kept])


@pytest.mark.parametrize("labels", [torch.zeros(3).long(), torch.full((48,), 9)])
def test_labels_that_do_not_fit_are_refused(labels: torch.Tensor) -> None:
    with pytest.raises(FeatureError, match="labels"):
        replace(clusters(), labels=labels)


def test_text_features_that_do_not_fit_are_refused() -> None:
    task = clusters()
    settings = LadaSettings(text="none")
    for features in (torch.ones(3, 24), torch.zeros(4, 24)):
        with pytest.raises(FeatureError, match="text features"):
            text = TextSide(features=features, logit_scale=1.0)
            LadaLearner(inputs(task, [], text=text, seed=0), settings=settings)


def test_more_views_than_cached_are_refused() -> None:
    task = clusters(views=2)
    with pytest.raises(SettingsError, match="expected 3 cached views"):
        LadaLearner(
            inputs(task, [], text=class_means(task), seed=0),
            settings=LadaSettings(text="none", views=3),
        )


def test_every_view_of_an_image_is_shown_sometime() -> None:
    task = clusters(classes=1, images=1, views=3)
    settings = LadaSettings(text="none", views=3)
    source = RowSource(
        task, replay_of([], settings, width=24), settings=settings, seed=1, device=CPU
    )
    shown = {tuple(source.at(step).rows.features[0].tolist()) for step in range(30)}
    assert shown == {tuple(view) for view in task.features[0].tolist()}


def test_memory_alone_leaves_the_anchors_and_anchors_alone_leave_no_memory() -> None:
    task = clusters()
    fixed = learnt(task, text="none")
    assert torch.equal(fixed.tensors["text_features"], class_means(task).features)
    assert len(learnt(task, memory_per_class=0).tensors["memory"]) == 0


def test_the_tuner_changes_text_features_and_not_the_tower() -> None:
    model, tokens = build("CLIP"), prompts()
    tower = TextTower(model)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    task = clusters(width=24)
    text = TextSide(features=tower.features(tokens), logit_scale=10.0, tower=tower, tokens=tokens)
    settings = LadaSettings(steps=6, bottleneck=4)
    trained = LadaLearner(inputs(task, [], text=text, seed=1), settings=settings)
    assert torch.equal(trained.learnt().tensors["text_features"], text.features)
    for _ in range(3):
        trained.step()
    resumed = LadaLearner.resumed(trained.checkpoint(), inputs(task, [], text=text))
    for _ in range(3):
        trained.step()
        resumed.step()
    tuned = trained.learnt().tensors["text_features"]
    assert not torch.allclose(tuned, text.features)
    assert torch.equal(resumed.learnt().tensors["text_features"], tuned)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_adaptformer_without_a_tower_is_an_error() -> None:
    with pytest.raises(SettingsError, match="text 'residual'"):
        learner(text="adaptformer")


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_low_precision_products_learn_nearly_the_same(autocast: str) -> None:
    task = clusters(images=8)
    past = [learnt(clusters("old", seed=9))]
    exact = learnt(task, past, steps=20).tensors["memory"]
    found = learnt(task, past, steps=20, autocast=autocast).tensors["memory"]
    # Twenty steps of at most 1e-3 each; low precision may turn a few of them around.
    torch.testing.assert_close(found, exact, rtol=0, atol=4e-3)


def test_replay_keeps_old_classes_apart_from_new_ones() -> None:
    old = clusters("old", images=20, seed=1)
    past = [learnt(old, memory_per_class=2)]
    settings = {"steps": 5, "memory_per_class": 2}
    fresh = learnt(clusters("new", seed=2), past, **settings)
    centres = learnt(clusters("new", seed=2), past, replay="centres", **settings)
    nothing = learnt(clusters("new", seed=2), past, replay="none", **settings)
    assert len({encode_record(record) for record in (fresh, centres, nothing)}) == 3


def test_a_checkpoint_of_other_inputs_is_refused() -> None:
    task = clusters()
    settings = LadaSettings(text="none", steps=5)
    blob = LadaLearner(
        inputs(task, [], text=class_means(task), seed=1), settings=settings
    ).checkpoint()
    other = replace(task, features=normalize(task.features + 0.01, dim=-1))
    with pytest.raises(InputError, match="other features"):
        LadaLearner.resumed(blob, inputs(other, [], text=class_means(task)))


@pytest.mark.parametrize(
    "blob",
    [
        b"nonsense",
        pack({}, {"checkpoint": 1, "method": "zero_shot"}),
        pack({}, {"checkpoint": 1, "method": "lada"}),
        pack({"x": unit_rows(2, 2, seed=0)}, {}),
    ],
)
def test_other_bytes_are_no_checkpoint(blob: bytes) -> None:
    task = clusters()
    with pytest.raises(CorruptionError):
        LadaLearner.resumed(blob, inputs(task, [], text=class_means(task)))
