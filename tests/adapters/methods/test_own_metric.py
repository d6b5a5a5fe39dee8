"""Classifiers in their own metrics: the whitening, the training, and what tells tasks apart."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.nn.functional import cross_entropy, normalize

from adapters.adapter import Adapter
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import CorruptionError, SettingsError
from adapters.methods import METHODS
from adapters.methods.own_metric.classifier import Classifier
from adapters.methods.own_metric.settings import TEXT_WEIGHTS, OwnMetricSettings
from adapters.methods.own_metric.whitening import Whitening, Whitenings
from adapters.parts.statistics import Statistic, within_scatter
from adapters.towers.text_side import TextSide
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.training import learn

METHOD = METHODS["own_metric"]
SETTINGS = OwnMetricSettings()


def learnt(
    task: TaskFeatures, *past: Record, text: TextSide | None = None, **chosen: object
) -> Record:
    side = text or class_means(task)
    return learn(METHOD, task, past, text=side, settings=chosen, seed=1)


def scores(records: list[Record], images: torch.Tensor, *tasks: str) -> torch.Tensor:
    only = tasks or None
    found = Adapter(records).score(images, encoder=ENCODER, logit_scale=SCALE, tasks=only)
    return found.values


def statistic(task: TaskFeatures) -> Statistic:
    return Statistic(
        matrix=within_scatter(task),
        images=len(task.labels),
        costs=torch.zeros(0),
        class_ids=frozenset(entry.class_id for entry in task.classes),
    )


def test_whitened_images_spread_alike_in_all_directions() -> None:
    task = clusters(classes=3, images=3000)
    own = statistic(task)
    features = task.features[:, 0].double()
    whitening = Whitening.of(own, own, centre=features.mean(dim=0), shrinkage=1e-9)
    means = torch.stack([task.of_class(index).mean(dim=0) for index in range(3)]).double()
    spread = whitening.points(features) - whitening.points(means)[task.labels]
    covariance = spread.t() @ spread / (len(features) - 3)
    torch.testing.assert_close(covariance, torch.eye(24, dtype=torch.float64), atol=1e-6, rtol=0)
    back = whitening.unwhitened(whitening.vectors(means))
    torch.testing.assert_close(back, means)


def test_few_images_are_measured_by_the_common_metric_and_many_by_their_own() -> None:
    first, few = (
        clusters("first", images=500, seed=1),
        clusters("few", images=2, seed=2, spread=1.0),
    )
    common = statistic(first).merged(statistic(few))
    pooled = common.matrix / (common.images - 8)
    for task, most in ((few, 0.2), (first, 1.0)):
        own = statistic(task)
        factor = Whitening.of(own, common, centre=torch.zeros(24), shrinkage=1e-9).factor
        freedom = own.images - 4
        expected = (own.matrix + 24 * pooled) / (freedom + 24)
        torch.testing.assert_close(factor @ factor.t(), expected, atol=1e-8, rtol=1e-6)
        assert freedom / (freedom + 24) <= most


def test_between_tasks_the_nearest_mean_in_each_tasks_own_metric_decides() -> None:
    first, second = clusters("first", seed=1), clusters("second", classes=3, seed=2)
    records = [learnt(first, fusion="alone")]
    records.append(learnt(second, records[0], fusion="alone"))
    images = unit_rows(9, 24, seed=4)
    common = statistic(first).merged(statistic(second))
    found = scores(records, images)
    for columns, task in ((slice(0, 4), first), (slice(4, 7), second)):
        means = torch.stack([task.of_class(i).mean(dim=0) for i in range(len(task.classes))])
        whitening = Whitening.of(
            statistic(task), common, centre=means.mean(dim=0), shrinkage=SETTINGS.shrinkage
        )
        covariance = whitening.factor @ whitening.factor.t()
        # Twice the distance of a Gaussian's log density from its peak.
        nearest = torch.stack(
            [
                2 * (density.log_prob(mean) - density.log_prob(images.double()))  # type: ignore[no-untyped-call]
                for mean in means.double()
                for density in [MultivariateNormal(mean, covariance)]
            ],
            dim=1,
        ).amin(dim=1)
        expected = -SETTINGS.sharpness / 2 * nearest
        # The probabilities within a task add up to one.
        torch.testing.assert_close(
            found[:, columns].logsumexp(dim=1), expected.float(), atol=1e-3, rtol=1e-3
        )


def test_the_training_ends_where_the_loss_is_flat() -> None:
    task = clusters(classes=4, images=8, spread=0.8)
    classifier = Classifier(task, Whitenings(None, SETTINGS.shrinkage), SETTINGS)
    start = classifier.anchors.clone()
    losses = [classifier.step() for _ in range(20)]
    assert losses[-1] < losses[0]
    means = torch.stack([task.of_class(index).mean(dim=0) for index in range(4)]).double()
    own = means[task.labels]
    images = own + SETTINGS.stretch * (task.features[:, 0].double() - own)
    anchors = classifier.anchors.clone().requires_grad_(True)
    loss = cross_entropy(classifier.directions(images) @ anchors.t(), task.labels, reduction="sum")
    loss = loss + SETTINGS.pull * (anchors - start).square().sum()
    (gradient,) = torch.autograd.grad(loss, anchors)
    assert gradient.abs().max() < 1e-4


def test_anchors_that_are_not_trained_are_the_directions_of_the_class_means() -> None:
    task = clusters(classes=4, images=8)
    classifier = Classifier(task, Whitenings(None, SETTINGS.shrinkage), SETTINGS)
    for index in range(4):
        direction = classifier.directions(task.of_class(index)).mean(dim=0)
        torch.testing.assert_close(
            classifier.anchors[index], SETTINGS.scale * normalize(direction, dim=0)
        )


def test_what_tells_a_tasks_classes_apart_does_not_move_when_tasks_follow() -> None:
    first, images = clusters("first", seed=1), unit_rows(20, 24, seed=4)
    records = [learnt(first)]
    before = scores(records, images, "first").log_softmax(dim=1)
    for number in range(3):
        records.append(learnt(clusters(f"later {number}", seed=10 + number, spread=1.0), *records))
    after = scores(records, images, "first").log_softmax(dim=1)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_text_takes_part_as_far_as_it_helps_with_held_out_images() -> None:
    # Images hardly tell the classes apart; text that knows where they belong does.
    task = clusters(classes=6, images=24, spread=0.6, seed=3)
    known = TextSide(features=unit_rows(6, 24, seed=1003), logit_scale=100.0)
    misleading = replace(known, features=known.features.roll(1, dims=0))
    weights = {}
    for name, text in (("known", known), ("misleading", misleading)):
        costs = learnt(task, text=text).tensors["costs"]
        assert costs.shape == (len(TEXT_WEIGHTS),)
        weights[name] = TEXT_WEIGHTS[int(costs.argmin())]
    assert weights["known"] >= 0.1
    assert weights["misleading"] <= 0.05


def test_alone_the_text_logits_have_no_say_between_seen_classes() -> None:
    task, images = clusters(), unit_rows(5, 24, seed=4)
    turned = replace(class_means(task), features=class_means(task).features.roll(1, dims=0))
    plain = scores([learnt(task, fusion="alone")], images)
    assert torch.equal(scores([learnt(task, fusion="alone", text=turned)], images), plain)


@pytest.mark.parametrize("images", [1, 2])
def test_one_image_per_class_is_enough(images: int) -> None:
    task = clusters(classes=5, images=images)
    found = Adapter([learnt(task)]).score(task.features[:, 0], encoder=ENCODER, logit_scale=SCALE)
    assert torch.equal(found.winners, task.labels)


def test_a_class_that_two_records_hold_is_not_counted_twice() -> None:
    record = learnt(clusters("first", seed=1))
    with pytest.raises(Exception, match="counted already"):
        Adapter([record, replace(record, task="again")])


def test_a_record_without_anchors_is_damaged() -> None:
    record = learnt(clusters("first", seed=1))
    tensors = {name: value for name, value in record.tensors.items() if name != "anchors"}
    with pytest.raises(CorruptionError, match="anchors"):
        Adapter([replace(record, tensors=tensors)])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"shrinkage": 0}, "above 0"),
        ({"fusion": "both"}, "fusion"),
        ({"steps": -1}, "at least 0"),
        ({"sharpnes": 1}, "did you mean 'sharpness'"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        OwnMetricSettings.from_mapping(settings)
