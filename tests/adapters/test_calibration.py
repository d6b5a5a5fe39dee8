"""Temperatures: what they are fitted to, and what they leave as it was."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.adapter import Adapter, Scores, UnseenClasses
from adapters.calibration import STEP, WIDEST, Trial, learn_calibrated, temperature_of
from adapters.contract.adapter_state import AdapterState
from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record, encode_record
from adapters.methods import method_named
from tests.adapters.synthetic import class_means, clusters, entries, unit_rows
from tests.support.fakes.random_records import random_record
from tests.support.scenes.training import inputs

ENCODER, SCALE = "synthetic", 10.0
TEMPERATURES = st.sampled_from([0.1, 0.5, 1.0, 3.0, 50.0])


def record(name: str, seed: int, temperature: float | None = None) -> Record:
    drawn = random_record(name, encoder=ENCODER, width=8, classes=3, vectors=2, seed=seed, noun="x")
    return replace(drawn, temperature=temperature)


def scored(records: list[Record], unseen: UnseenClasses | None = None) -> Scores:
    images = unit_rows(20, 8, seed=4)
    return Adapter(records).score(images, encoder=ENCODER, logit_scale=SCALE, unseen=unseen)


def scores_of(values: Tensor) -> tuple[Scores, tuple[ClassEntry, ...]]:
    classes = entries("first", values.shape[1])
    return Scores(values=values, classes=classes, seen=len(classes)), classes


@settings(max_examples=30)
@given(st.lists(st.none() | TEMPERATURES, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_scores_and_their_order_stay_whatever_the_temperatures(
    temperatures: list[float | None], is_merged: bool, has_unseen: bool
) -> None:
    plain = [record(str(place), place) for place in range(len(temperatures))]
    if is_merged:
        first, *others = plain[-1].classes
        merged = replace(first, merged_into="0/1") if len(plain) > 1 else first
        plain[-1] = replace(plain[-1], classes=(merged, *others))
    warm = [
        replace(each, temperature=temperature)
        for each, temperature in zip(plain, temperatures, strict=True)
    ]
    further = UnseenClasses(classes=entries("none", 2), text_features=unit_rows(2, 8, seed=9))
    before, after = (scored(each, further if has_unseen else None) for each in (plain, warm))
    assert torch.equal(before.values, after.values)
    assert torch.equal(before.winners, after.winners)
    for row, values in enumerate(after.values):
        winner = after.classes[int(after.winners[row])]
        own = {entry.class_id: each.temperature for each in warm for entry in each.classes}
        expected = (values / (own.get(winner.class_id) or 1.0)).softmax(dim=0)
        torch.testing.assert_close(after.probabilities[row], expected)
        assert after.confidences[row] == pytest.approx(float(expected.max()), rel=1e-4)


@given(st.integers(1, 4))
def test_records_without_temperatures_answer_as_before_bit_for_bit(count: int) -> None:
    found = scored([record(str(place), place) for place in range(count)])
    assert found.temperatures is None
    assert torch.equal(found.probabilities, found.values.softmax(dim=1))
    assert torch.equal(found.log_sums, found.values.logsumexp(dim=1))
    one = scored([record(str(place), place, 1.0) for place in range(count)])
    assert torch.equal(one.probabilities, found.probabilities)


def test_a_grown_adapter_has_the_temperatures_of_one_built_at_once() -> None:
    records = [record("a", 0), record("b", 1, 2.0), record("c", 2)]
    images = unit_rows(20, 8, seed=4)
    grown = Adapter(records[:1])
    for each in records[1:]:
        grown.score(images, encoder=ENCODER, logit_scale=SCALE)  # finds the candidates once
        grown = grown.extended(each)
    found = grown.score(images, encoder=ENCODER, logit_scale=SCALE)
    assert torch.equal(found.probabilities, scored(records).probabilities)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 6.0, 500.0])
def test_the_temperature_is_found_that_answers_were_drawn_at(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 6, generator=generator)
    labels = logits.softmax(dim=1).multinomial(1, generator=generator)[:, 0]
    scores, classes = scores_of(logits * temperature)
    found = temperature_of(scores, [classes[label] for label in labels.tolist()])
    assert found == pytest.approx(temperature, rel=0.1)


def test_few_images_that_are_all_right_make_no_certainty() -> None:
    scores, classes = scores_of(torch.tensor([[9.0, 0.0], [0.0, 9.0]]))
    found = temperature_of(scores, list(classes))
    assert found is not None
    sure = replace(scores, temperatures=torch.full((2,), found)).confidences
    assert sure.tolist() == pytest.approx([2.5 / 3] * 2, abs=0.02)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (torch.zeros(0, 3), None),  # no images
        (torch.zeros(4, 1), None),  # nothing to choose from
        (torch.full((4, 3), torch.nan), None),
        (torch.tensor([[0.0, torch.inf]]), None),
        (torch.zeros(4, 3), None),  # every temperature says the same
        (torch.tensor([[1e-7, 0.0]] * 4), STEP**-WIDEST),  # hardly any difference, and all right
        (torch.tensor([[1e9, 0.0]] * 4).flip(1), STEP**WIDEST),  # very sure, and all wrong
    ],
)
def test_a_temperature_is_within_bounds_and_there_is_none_where_nothing_tells_it(
    values: Tensor, expected: float | None
) -> None:
    scores, classes = scores_of(values)
    assert temperature_of(scores, [classes[0]] * len(values)) == expected


def test_all_images_equal_make_the_answer_as_probable_as_it_is_right() -> None:
    scores, classes = scores_of(torch.tensor([[3.0, 2.0]] * 99))
    found = temperature_of(scores, [classes[place % 3 == 0] for place in range(99)])
    assert found is not None
    sure = replace(scores, temperatures=torch.full((2,), found)).confidences
    assert sure[0] == pytest.approx(2 / 3, abs=0.01)


def test_a_task_without_validation_images_takes_the_temperature_before() -> None:
    method = method_named("nearest_mean")
    alone = clusters("alone", classes=3, images=1, seed=1)
    assert Trial.of(method, inputs(alone, text=class_means(alone))) is None
    first = learn_calibrated(method, inputs(alone, text=class_means(alone)))
    assert first.records[-1].temperature is None
    assert encode_record(first.records[-1])  # of the schema of earlier releases
    known = clusters("known", classes=3, images=8, seed=2)
    second = learn_calibrated(method, after(first, known))
    third = learn_calibrated(method, after(second, clusters("third", images=1, seed=3)))
    temperatures = [each.temperature for each in third.records]
    assert temperatures[0] is None
    assert temperatures[1] == temperatures[2] is not None


@pytest.mark.parametrize("name", ["nearest_mean", "own_metric", "gda", "lada"])
@pytest.mark.parametrize(("classes", "images"), [(1, 1), (1, 9), (2, 1), (2, 2), (2, 9)])
def test_the_smallest_tasks_are_learnt(name: str, classes: int, images: int) -> None:
    method, state = method_named(name), AdapterState()
    settings = {"own_metric": {"steps": 2}, "lada": {"steps": 2, "text": "residual"}}.get(name, {})
    for seed, task in enumerate(("first", "second")):
        drawn = clusters(task, classes=classes, images=images, seed=seed)
        given = replace(after(state, drawn), settings=settings)
        state = learn_calibrated(method, given)
    found = Adapter(state.records).score(drawn.features[:, 0], encoder=ENCODER, logit_scale=20.0)
    assert torch.isfinite(found.probabilities).all()
    assert torch.equal(found.probabilities.argmax(dim=1), found.winners)


@pytest.mark.parametrize("name", ["nearest_mean", "own_metric", "gda", "dual_rail"])
def test_a_task_of_equal_images_is_learnt(name: str) -> None:
    drawn = clusters("first", classes=3, images=6)
    same = drawn.features[:1].expand_as(drawn.features).contiguous()
    given = inputs(replace(drawn, features=same), text=class_means(drawn))
    state = learn_calibrated(method_named(name), given)
    assert encode_record(state.records[-1])
    images = drawn.features[:, 0]
    found = Adapter(state.records).score(images, encoder=ENCODER, logit_scale=20.0)
    assert torch.isfinite(found.probabilities).all()


def after(state: AdapterState, task):  # type: ignore[no-untyped-def]
    return inputs(task, state.records, text=class_means(task))
