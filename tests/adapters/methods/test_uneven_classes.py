"""Own-metric classifiers of tasks whose classes have different numbers of images."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.adapter import Adapter
from adapters.contract.records import Record, decode_record, encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import CorruptionError, SettingsError
from adapters.methods import METHODS
from adapters.methods.own_metric.classifier import Classifier
from adapters.methods.own_metric.common_metric import FIRST_TASKS, CommonMetric
from adapters.methods.own_metric.low_rank import LowRanks
from adapters.methods.own_metric.settings import OwnMetricSettings
from adapters.methods.own_metric.whitening import Metrics, Whitenings, image_spread
from adapters.parts.statistics import Statistic
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.training import learn

METHOD = METHODS["own_metric"]
WIDTH, CLASSES, MANY, FEW = 24, 6, 16, 1
FORMS = ("dense", "low_rank", "short_list")


def uneven(name: str = "uneven", *, few: int = FEW, seed: int = 3) -> TaskFeatures:
    """Return a task of which every second class keeps few of its images."""
    task = clusters(name, classes=CLASSES, images=MANY, seed=seed, spread=0.5)
    rank = torch.arange(len(task.labels)) % MANY
    kept = (task.labels % 2 == 1) | (rank < few)
    return replace(task, features=task.features[kept], labels=task.labels[kept])


def learnt(task: TaskFeatures, past: Sequence[Record] = (), **chosen: object) -> Record:
    settings = {"fusion": "alone", **chosen}
    return learn(METHOD, task, tuple(past), text=class_means(task), settings=settings, seed=1)


def scores(records: Sequence[Record], images: Tensor, *tasks: str) -> Tensor:
    only = tasks or None
    found = Adapter(records).score(images, encoder=ENCODER, logit_scale=SCALE, tasks=only)
    return found.values


def first_tasks(form: str) -> list[Record]:
    """Return as many tasks as make the common metric."""
    records: list[Record] = []
    for number in range(FIRST_TASKS):
        task = clusters(f"first {number}", classes=2, images=4, seed=50 + number, spread=0.5)
        records.append(learnt(task, records, form=form))
    return records


def test_classes_of_few_images_are_found_more_often_and_others_no_less() -> None:
    shown = 60
    drawn = clusters("many", classes=12, images=MANY + shown, width=256, seed=3, spread=0.1)
    rank = torch.arange(len(drawn.labels)) % (MANY + shown)
    kept = (rank < MANY) & ((drawn.labels % 2 == 1) | (rank < FEW))
    task = replace(drawn, features=drawn.features[kept], labels=drawn.labels[kept])
    images, truth = (rows[rank >= MANY] for rows in (drawn.features[:, 0], drawn.labels))
    right = {}
    for rule in ("plain", "counted"):
        found = scores([learnt(task, rule=rule)], images).argmax(dim=1) == truth
        right[rule] = [float(found[truth % 2 == odd].double().mean()) for odd in (0, 1)]
    assert right["counted"][0] > right["plain"][0] + 0.1
    assert right["counted"][1] > right["plain"][1] - 0.01


def test_where_all_classes_have_as_many_images_nothing_changes() -> None:
    even = clusters("even", classes=4, images=8, seed=2)
    said, asked = learnt(even), learnt(even, rule="counted")
    assert "rule" not in said.settings
    assert encode_record(asked) == encode_record(said)
    plain, images = learnt(even, rule="plain"), unit_rows(9, WIDTH, seed=8)
    assert torch.equal(scores([asked], images), scores([plain], images))
    for name, tensor in plain.tensors.items():
        assert torch.equal(said.tensors[name], tensor)


def test_a_record_names_the_rule_where_it_applies() -> None:
    record = learnt(uneven())
    assert record.settings["rule"] == "counted"
    assert record.tensors["anchors"].shape == (CLASSES, WIDTH + 1)
    plain = learnt(uneven(), rule="plain")
    assert plain.settings["rule"] == "plain"
    assert plain.tensors["anchors"].shape == (CLASSES, WIDTH)


def test_the_spread_of_images_is_that_of_the_covariance_in_its_metric() -> None:
    own = clusters("own", classes=4, images=2000, seed=2, spread=0.3)
    classifier = Classifier(own, Whitenings(None, 0.5), OwnMetricSettings())
    means = torch.stack([own.of_class(each).mean(dim=0) for each in range(4)])
    away = classifier.metric.vectors(own.features[:, 0] - means[own.labels])
    measured = float(away.square().sum(dim=1).mean())
    assert image_spread(classifier.metric, WIDTH) == pytest.approx(measured, rel=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_offsets_are_the_error_of_the_means_in_every_form(form: str) -> None:
    first = first_tasks(form)
    task = uneven()
    record = learnt(task, first, form=form)
    metrics: Metrics = (
        Whitenings(_summed(first), 0.5)
        if form == "dense"
        else LowRanks(CommonMetric.of(first, shrinkage=0.5))
    )
    classifier = Classifier(task, metrics, OwnMetricSettings())
    spread = image_spread(classifier.metric, WIDTH)
    counts = torch.bincount(task.labels).double()
    expected = 0.05 / 2 * spread * (1 / counts - 1 / MANY)
    assert expected.max() > 0.3
    torch.testing.assert_close(
        record.tensors["anchors"][:, WIDTH].double(), expected, atol=1e-5, rtol=1e-4
    )
    images = unit_rows(30, WIDTH, seed=8)
    without = record.tensors["anchors"].clone()
    without[:, WIDTH] = 0.0
    bare = replace(record, tensors={**record.tensors, "anchors": without})
    within, plain = (
        scores([*first, each], images, task.task).log_softmax(dim=1) for each in (record, bare)
    )
    moved = (plain + expected.float()).log_softmax(dim=1)
    torch.testing.assert_close(within, moved, atol=1e-4, rtol=1e-4)
    # What tells the task from others is not touched.
    torch.testing.assert_close(
        scores([*first, record], images, task.task).logsumexp(dim=1),
        scores([*first, bare], images, task.task).logsumexp(dim=1),
        atol=1e-4,
        rtol=1e-4,
    )


def _summed(records: Sequence[Record]) -> Statistic:
    found = Statistic.of_record(records[0], "scatter")
    for record in records[1:]:
        found = found.merged(Statistic.of_record(record, "scatter"))
    return found


def test_the_loss_knows_how_rare_a_class_is() -> None:
    task, settings = uneven(few=2), OwnMetricSettings()
    classifier = Classifier(task, Whitenings(None, settings.shrinkage), settings)
    start = classifier.anchors.clone()
    for _ in range(20):
        classifier.step()
    counts = torch.bincount(task.labels).double()
    means = torch.stack([task.of_class(each).mean(dim=0) for each in range(CLASSES)]).double()
    own = means[task.labels]
    images = own + settings.stretch * (task.features[:, 0].double() - own)
    anchors = classifier.anchors.clone().requires_grad_(True)
    logits = classifier.directions(images) @ anchors.t() + counts.log()
    loss = cross_entropy(logits, task.labels, reduction="sum")
    loss = loss + settings.pull * (anchors - start).square().sum()
    (gradient,) = torch.autograd.grad(loss, anchors)
    assert gradient.abs().max() < 1e-4


def test_a_counted_record_whose_offsets_are_lost_is_damaged() -> None:
    record = learnt(uneven())
    rows = record.tensors["anchors"][:, :WIDTH].contiguous()
    with pytest.raises(CorruptionError, match="anchors of shape"):
        Adapter([replace(record, tensors={**record.tensors, "anchors": rows})])
    unnamed = {name: each for name, each in record.settings.items() if name != "rule"}
    with pytest.raises(CorruptionError, match="anchors of shape"):
        Adapter([replace(record, settings=unnamed)])


def test_records_of_both_rules_go_together() -> None:
    plain = learnt(uneven("one"), rule="plain")
    counted = learnt(uneven("two", seed=4), [plain])
    images = normalize(unit_rows(12, WIDTH, seed=8), dim=-1)
    alone = scores([plain, counted], images, "one").log_softmax(dim=1)
    torch.testing.assert_close(
        alone, scores([plain], images, "one").log_softmax(dim=1), atol=1e-4, rtol=1e-4
    )
    found = decode_record(encode_record(counted))
    assert torch.equal(scores([plain, found], images), scores([plain, counted], images))


def test_another_rule_is_refused() -> None:
    with pytest.raises(SettingsError, match="rule"):
        OwnMetricSettings.from_mapping({"rule": "none"})
