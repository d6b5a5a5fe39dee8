"""Own-metric classifiers in low-rank form: what they answer, and what one more task costs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.records import Record, decode_record, encode_record
from adapters.errors import CorruptionError, SettingsError
from adapters.methods import METHODS
from adapters.methods.own_metric.class_tensors import centre_of, class_tensor
from adapters.methods.own_metric.common_metric import FIRST_TASKS, CommonMetric
from adapters.methods.own_metric.low_rank import LowRank
from adapters.methods.own_metric.task_blocks import ROWS, Shape
from adapters.methods.own_metric.whitening import Whitening, freedom, squared_distances
from adapters.parts.statistics import Statistic, total
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.factorisations import Factorisations
from tests.support.scenes.training import inputs, learn

METHOD = METHODS["own_metric"]
IMAGES = unit_rows(70, 24, seed=4)
LATER = 5


@cache
def version(form: str = "low_rank", fusion: str = "text") -> tuple[Record, ...]:
    """Return the first tasks and some more, of different numbers of classes and images."""
    records: tuple[Record, ...] = ()
    for number in range(FIRST_TASKS + LATER):
        records = (*records, learnt(number, records, form=form, fusion=fusion))
    return records


def learnt(number: int, past: Sequence[Record], **chosen: object) -> Record:
    task = clusters(
        f"task {number}", classes=2 + number % 4, images=1 + number % 6, seed=number, spread=0.5
    )
    return learn(METHOD, task, tuple(past), text=class_means(task), settings=chosen, seed=1)


def scores(records: Sequence[Record], images: Tensor = IMAGES, *tasks: str) -> Tensor:
    only = tasks or None
    adapter = Adapter(records)
    return adapter.score(images, encoder=ENCODER, logit_scale=SCALE, tasks=only).values


def test_the_first_tasks_answer_bit_for_bit_as_in_dense_form() -> None:
    dense, low = (version(form)[:FIRST_TASKS] for form in ("dense", "low_rank"))
    assert torch.equal(scores(low), scores(dense))


def test_dense_records_name_no_form_and_low_rank_ones_do() -> None:
    assert "form" not in learnt(0, ()).settings
    assert {record.settings["form"] for record in version()} == {"low_rank"}
    assert "rows" not in learnt(0, ()).tensors


@pytest.mark.parametrize("fusion", ["text", "alone"])
def test_later_tasks_score_as_the_matrix_of_their_metric_says(fusion: str) -> None:
    records = version(fusion=fusion)
    common = CommonMetric.of(records, shrinkage=0.5)
    for record in records[FIRST_TASKS:]:
        own = Statistic.of_record(record, "scatter")
        metric = LowRank.of(own, common, centre=centre_of(record))
        points, means = metric.points(IMAGES), metric.points(class_tensor(record, "means"))
        distances = squared_distances(points, means)
        # The probabilities within a task add up to one.
        expected = -0.025 * distances.amin(dim=1)
        found = scores(records, IMAGES, record.task).logsumexp(dim=1)
        torch.testing.assert_close(found.double(), expected, atol=2e-4, rtol=1e-4)
        if fusion == "alone":
            anchors = metric.vectors(class_tensor(record, "anchors"))
            logits = points / points.norm(dim=1, keepdim=True) @ anchors.t() - 0.025 * distances
            within = scores(records, IMAGES, record.task).log_softmax(dim=1)
            expected = logits.log_softmax(dim=1)
            torch.testing.assert_close(within.double(), expected, atol=1e-3, rtol=1e-3)


@given(st.integers(0, 40), st.integers(1, 24), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_distances_are_those_of_the_matrix_up_to_what_the_left_out_directions_hold(
    images: int, rank: int, seed: int
) -> None:
    task = clusters("own", classes=2, images=1 + images, seed=seed, spread=0.5)
    record = learn(METHOD, task, (), text=class_means(task), settings={}, seed=1)
    first = version("dense")[:FIRST_TASKS]
    common, own = CommonMetric.of(first, shrinkage=0.5), Statistic.of_record(record, "scatter")
    centre = centre_of(record)
    exact = Whitening.of(own, total(first, "scatter"), centre=centre, shrinkage=0.5)
    found = LowRank.of(own, common, centre=centre, rank=rank)
    ratio = found.points(IMAGES).square().sum(dim=1) / exact.points(IMAGES).square().sum(dim=1)
    excess = LowRank.of(own, common, centre=centre, rank=24).excess.tolist()
    every = sorted([*excess, *[0.0] * (24 - len(excess))], reverse=True)
    left_out = [(1 + each) / (1 + found.tail) for each in every[len(found.excess) :]]
    # Records keep the scatter in float32, whose rounding spreads where no image does.
    assert ratio.max() <= max([1.0, *left_out]) * (1 + 1e-5)
    assert ratio.min() >= min([1.0, *left_out]) * (1 - 1e-5)
    if freedom(own) <= rank:
        assert found.tail < 1e-6


def test_whitened_rows_come_back_and_their_products_are_those_of_the_inverse() -> None:
    record = version()[-1]
    own = Statistic.of_record(record, "scatter")
    metric = LowRank.of(own, CommonMetric.of(version(), shrinkage=0.5), centre=centre_of(record))
    rows = IMAGES.double()
    torch.testing.assert_close(metric.unwhitened(metric.vectors(rows)), rows)
    products = metric.vectors(rows) @ metric.vectors(rows).t()
    torch.testing.assert_close(rows @ metric.precise(rows).t(), products)
    curve = (rows @ metric.common.directions).square() @ metric.curve()
    squares = curve - (rows @ metric.directions().t()).square().sum(dim=1)
    torch.testing.assert_close(squares, products.diagonal())


def test_a_grown_version_equals_one_that_is_opened_and_one_asked_for_some_tasks() -> None:
    records = version()
    grown = Adapter(records[:1])
    for record in records[1:]:
        grown = grown.extended(record)
    values = scores(records)
    assert torch.equal(grown.score(IMAGES, encoder=ENCODER, logit_scale=SCALE).values, values)
    names = {records[3].task, records[FIRST_TASKS + 2].task, records[-1].task}
    sizes = [len(record.classes) for record in records]
    wanted = [record.task in names for record in records for _ in record.classes]
    assert sum(sizes) == len(wanted)
    assert torch.equal(scores(records, IMAGES, *names), values[:, torch.tensor(wanted)])


def test_later_tasks_do_not_move_when_tasks_follow() -> None:
    records = version()
    known = sum(len(record.classes) for record in records[:-1])
    assert torch.equal(scores(records)[:, :known], scores(records[:-1]))


def test_one_more_task_is_factorised_nowhere_and_a_version_only_for_its_first_tasks() -> None:
    records = version()
    before = Adapter(records[:-1])
    with Factorisations() as growing:
        before.extended(records[-1])
    assert growing.count == 0
    counts = []
    for length in (FIRST_TASKS + 1, len(records)):
        with Factorisations() as opening:
            Adapter(records[:length])
        counts.append(opening.count)
    assert counts[0] == counts[1] <= 2 * FIRST_TASKS + 1


def test_learning_one_more_task_factorises_the_common_metric_and_its_own() -> None:
    task = clusters("one more", seed=77)
    records = version(fusion="alone")
    for past in (records[: FIRST_TASKS + 1], records):
        given_inputs = inputs(
            task, past, text=class_means(task), settings={"fusion": "alone"}, seed=1
        )
        with Factorisations() as counted:
            METHOD.start(given_inputs)
        assert counted.count == 2


def test_after_a_drop_among_the_first_tasks_rows_are_made_anew() -> None:
    stored = [decode_record(encode_record(record)) for record in version()[1:]]
    bare = [
        replace(record, tensors={k: v for k, v in record.tensors.items() if k != "common"})
        for record in stored
    ]
    found = scores(stored)
    assert torch.equal(found, scores(bare))
    moved = scores(version())[:, len(version()[0].classes) :]
    assert not torch.equal(found, moved)


def test_blocks_of_many_tasks_answer_like_blocks_of_one() -> None:
    records = version()
    place = next(
        place
        for place in range(FIRST_TASKS, len(records))
        if len(records[place].tensors["rows"]) > 2 * len(records[place].classes) + 1
    )
    shape = Shape(directions=8, classes=4, width=24)
    count = ROWS // (shape.directions + 2 * shape.classes + 1)
    copies = [
        replace(
            records[place],
            task=f"copy {number}",
            classes=tuple(
                replace(entry, class_id=f"{number}/{entry.class_id}")
                for entry in records[place].classes
            ),
        )
        for number in range(count + 3)
    ]
    values = scores([*records[:FIRST_TASKS], *copies], IMAGES[:3], *(each.task for each in copies))
    each = values.view(3, len(copies), -1)
    torch.testing.assert_close(each, each[:, :1].expand_as(each))


def test_an_adapter_keeps_the_form_it_began_with() -> None:
    first = learnt(0, (), form="low_rank")
    assert learnt(1, (first,)).settings["form"] == "low_rank"
    with pytest.raises(SettingsError, match="leave `form` out"):
        learnt(1, (first,), form="dense")
    with pytest.raises(SettingsError, match="keeps the form"):
        Adapter([first, learnt(1, (learnt(0, ()),))])


def test_what_may_follow_a_record_is_told_from_its_settings() -> None:
    known = version()[-1].settings
    METHOD.check_follows(METHOD.check_settings({}), known)
    METHOD.check_follows(METHOD.check_settings({"form": "low_rank"}), known)
    with pytest.raises(SettingsError, match="leave `form` out"):
        METHOD.check_follows(METHOD.check_settings({"form": "dense"}), known)


def test_rows_that_do_not_fit_are_damage() -> None:
    records = version()
    tensors = {**records[-1].tensors, "rows": records[-1].tensors["rows"][:3]}
    with pytest.raises(CorruptionError, match="rows"):
        Adapter([*records[:-1], replace(records[-1], tensors=tensors)])


def test_a_training_that_is_stopped_ends_in_the_same_record() -> None:
    task = clusters("one more", seed=77)
    given_inputs = inputs(task, version(), text=class_means(task), settings={}, seed=1)
    whole, begun = METHOD.start(given_inputs), METHOD.start(given_inputs)
    begun.step()
    resumed = METHOD.resume(begun.checkpoint(), replace(given_inputs, settings={}))
    whole.step()
    for learner in (whole, resumed):
        learner.step()
    expected, found = whole.learnt().tensors, resumed.learnt().tensors
    assert expected.keys() == found.keys() and "tail" in found
    assert all(torch.equal(expected[name], found[name]) for name in expected)
