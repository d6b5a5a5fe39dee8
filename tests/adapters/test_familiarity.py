"""None of these: what thresholds are fitted to, and what nothing that is learnt later changes."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.adapter import Adapter, Scores, UnseenClasses
from adapters.calibration import learn_calibrated
from adapters.contract.adapter_state import AdapterState
from adapters.contract.records import Record, decode_record, encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.contract.thresholds import MOST_RATE, RATES, Thresholds
from adapters.errors import CorruptionError, FeatureError, InputError
from adapters.familiarity import Familiarities, Verdict, held_out_familiarity, with_thresholds
from adapters.methods import METHODS, method_named
from adapters.parts.spreads import Directions, spread_of
from tests.adapters.synthetic import (
    ENCODER,
    SCALE,
    class_means,
    clusters,
    entries,
    unit_rows,
)
from tests.support.scenes.training import inputs, learn

METHOD = METHODS["own_metric"]
REJECTING = sorted(name for name, method in METHODS.items() if method.rejects)
FOREIGN = unit_rows(200, 24, seed=77)
SETTINGS = {
    "lada": {"text": "residual", "steps": 4, "memory_per_class": 2, "mixture_components": 2}
}


def record_of(
    task: TaskFeatures, past: Sequence[Record] = (), *, method: str = "own_metric"
) -> Record:
    """Return the record of a task as the queue finishes it."""
    chosen = method_named(method)
    given = SETTINGS.get(method, {})
    found = learn(chosen, task, past, text=class_means(task), settings=given, seed=1)
    return with_thresholds(chosen, found, task)


def halves(task: TaskFeatures) -> tuple[TaskFeatures, Tensor]:
    """Return a task with every other image, and the features of the others."""
    kept = torch.arange(len(task.labels)) % 2 == 0
    part = replace(task, features=task.features[kept], labels=task.labels[kept])
    return part, task.features[~kept, 0]


def scored(adapter: Adapter, images: Tensor) -> Scores:
    return adapter.score(images, encoder=ENCODER, logit_scale=SCALE)


def told(adapter: Adapter, images: Tensor, rate: float) -> list[Verdict]:
    return adapter.verdicts(images, scored(adapter, images), rate=rate)


def share(found: Sequence[Verdict]) -> float:
    assert all(each.unknown is not None for each in found)
    return sum(bool(each.unknown) for each in found) / len(found)


@pytest.mark.parametrize("method", REJECTING)
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1, 0.15, MOST_RATE])
def test_about_that_share_of_images_of_learnt_classes_is_unknown(method: str, rate: float) -> None:
    shares, images, measured = [], 0, 0
    for seed in range(4):
        task, others = halves(clusters(classes=8, images=60, seed=seed))
        adapter = Adapter([record_of(task, method=method)])
        shares.append(share(told(adapter, others, rate)))
        images, measured = images + len(others), measured + len(task.labels)
    # Chance of what was measured on, and of what is asked about; three standard deviations.
    chance = 3 * sqrt(rate * (1 - rate) * (1 / images + 1 / measured))
    found = sum(shares) / len(shares)
    assert found <= rate + chance
    assert found >= rate / 2 - chance


@pytest.mark.parametrize("method", REJECTING)
def test_images_of_no_learnt_class_are_unknown_far_more_often(method: str) -> None:
    task, others = halves(clusters(classes=4, images=60, spread=0.1))
    adapter = Adapter([record_of(task, method=method)])
    assert share(told(adapter, FOREIGN, 0.05)) > 0.9
    assert share(told(adapter, others, 0.05)) < 0.15


@given(
    st.lists(st.integers(2, 5), min_size=1, max_size=3),
    st.sampled_from(REJECTING),
    st.sampled_from([0.05, 0.1, 0.2]),
)
@settings(max_examples=15, deadline=None)
def test_later_tasks_change_no_threshold_and_no_verdict_on_an_answer_that_stays(
    later: list[int], method: str, rate: float
) -> None:
    task, others = halves(clusters("task 0", classes=3, images=24, seed=5))
    first = record_of(task, method=method)
    images = torch.cat([others, FOREIGN[:40]])
    adapter, grown, bytes_before = Adapter([first]), Adapter([first]), encode_record(first)
    before = told(adapter, images, rate)
    for number, classes in enumerate(later, 1):
        task = clusters(f"task {number}", classes=classes, images=10, seed=20 + number)
        grown = grown.extended(record_of(task, grown.records, method=method))
    now, after = scored(grown, images), told(grown, images, rate)
    stays = 0
    for column, was, found in zip(now.winners.tolist(), before, after, strict=True):
        if now.classes[column].class_id.startswith("task 0/"):
            assert found.unknown == was.unknown
            assert found.familiarity == pytest.approx(was.familiarity, rel=1e-4, abs=1e-5)
            stays += 1
    assert stays > 0
    assert encode_record(grown.records[0]) == bytes_before
    # Whatever came before a task is dropped from beside it: it says the same.
    alone = Adapter([grown.records[-1]])
    own = f"task {len(later)}/"
    for column, found, single in zip(
        now.winners.tolist(), after, told(alone, images, rate), strict=True
    ):
        if now.classes[column].class_id.startswith(own):
            assert (found.unknown is None) or found.unknown == single.unknown


def test_scores_are_the_same_to_the_bit_with_thresholds_and_without() -> None:
    record = record_of(clusters())
    plain = replace(record, thresholds=None)
    assert record.thresholds is not None
    assert torch.equal(
        scored(Adapter([record]), FOREIGN).values, scored(Adapter([plain]), FOREIGN).values
    )


def test_an_answer_of_a_task_without_thresholds_is_not_measured() -> None:
    old = replace(record_of(clusters("old", seed=3)), thresholds=None)
    new = record_of(clusters("new", seed=4), [old])
    adapter = Adapter([old, new])
    now = scored(adapter, FOREIGN)
    for column, found in zip(now.winners.tolist(), told(adapter, FOREIGN, 0.1), strict=True):
        is_old = now.classes[column].class_id.startswith("old/")
        assert (found.unknown is None) is is_old
        assert (found.familiarity is None) is is_old


def test_a_label_that_nobody_has_learnt_is_not_measured() -> None:
    adapter = Adapter([record_of(clusters())])
    further = UnseenClasses(classes=entries("none", 1), text_features=FOREIGN[:1])
    found = adapter.score(FOREIGN[:1], encoder=ENCODER, logit_scale=SCALE, unseen=further)
    assert found.winners.tolist() == [found.seen]
    assert adapter.verdicts(FOREIGN[:1], found, rate=0.1) == [Verdict(None, None)]


def bare(record: Record) -> Record:
    """Return a record of LADA as an earlier release has written it."""
    added = ("spread", "spread_rest")
    kept = {name: tensor for name, tensor in record.tensors.items() if name not in added}
    return replace(record, tensors=kept, thresholds=None)


def test_a_record_of_lada_that_knows_of_no_spread_scores_the_same_and_is_not_measured() -> None:
    new = record_of(clusters("new", seed=4), method="lada")
    old = decode_record(encode_record(bare(record_of(clusters("old", seed=3), method="lada"))))
    assert new.tensors["spread"].shape == (24, 24)
    assert torch.equal(
        scored(Adapter([new]), FOREIGN).values, scored(Adapter([bare(new)]), FOREIGN).values
    )
    with pytest.raises(InputError, match="`replaces: `"):
        told(Adapter([old]), FOREIGN, 0.1)
    adapter = Adapter([old, new])
    now = scored(adapter, FOREIGN)
    for column, found in zip(now.winners.tolist(), told(adapter, FOREIGN, 0.1), strict=True):
        is_old = now.classes[column].class_id.startswith("old/")
        assert (found.unknown is None) is is_old


@pytest.mark.parametrize("method", REJECTING)
def test_records_tell_the_spread_of_their_images(method: str) -> None:
    task = clusters(classes=3, images=20, width=24)
    expected = spread_of(task.features[:, 0], task.labels, classes=3)
    found = METHODS[method].spread(record_of(task, method=method))
    assert torch.allclose(found.means.double(), expected.means, atol=1e-6)
    assert torch.allclose(found.covariance, expected.covariance, atol=1e-6)


@pytest.mark.parametrize("method", REJECTING)
def test_a_record_without_what_tells_its_spread_is_damaged(method: str) -> None:
    record = record_of(clusters(), method=method)
    for name in {"scatter", "means", "image_counts", "images", "spread"} & record.tensors.keys():
        kept = {key: tensor for key, tensor in record.tensors.items() if key != name}
        with pytest.raises(CorruptionError, match=name):
            METHODS[method].spread(replace(record, tensors=kept))


def test_of_merged_classes_the_task_decides_to_which_an_image_is_most_familiar() -> None:
    first = record_of(clusters("first", classes=2, images=30, seed=1, spread=0.1))
    task = clusters("second", classes=2, images=30, seed=8, spread=0.1)
    merged = (replace(task.classes[0], merged_into="first/0"), task.classes[1])
    second = record_of(replace(task, classes=merged), [first])
    adapter = Adapter([first, second])
    own = task.features[task.labels == 0, 0]
    # Answered as a class of the first task, to which none of them is familiar.
    now = scored(adapter, own)
    assert {now.classes[column].class_id for column in now.winners.tolist()} == {"first/0"}
    assert share(told(adapter, own, 0.05)) < 0.2
    assert share(adapter.verdicts(own, now, rate=0.05, tasks=["first"])) > 0.9


@pytest.mark.parametrize(
    "rate", [0.0, -0.1, 0.21, 2.0, float("nan"), float("inf"), True, "0.05", torch.tensor(0.05)]
)
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    adapter = Adapter([record_of(clusters())])
    with pytest.raises(InputError, match=r"above 0 and up to 0\.2"):
        told(adapter, FOREIGN, rate)


def test_a_rate_lower_than_was_measured_names_the_lowest() -> None:
    adapter = Adapter([record_of(clusters(classes=2, images=12))])
    with pytest.raises(InputError, match=r"measured, 0\.05 to 0\.2, found 0\.01"):
        told(adapter, FOREIGN, 0.01)
    assert len(told(adapter, FOREIGN, 0.05)) == len(FOREIGN)


def test_where_one_task_knows_the_rate_answers_of_the_others_are_not_measured() -> None:
    few = record_of(clusters("few", classes=2, images=6, seed=1))
    many = record_of(clusters("many", classes=4, images=60, seed=2), [few])
    adapter = Adapter([few, many])
    assert few.thresholds is not None
    assert few.thresholds.least_rate == 0.1
    now = scored(adapter, FOREIGN)
    for column, found in zip(now.winners.tolist(), told(adapter, FOREIGN, 0.02), strict=True):
        is_few = now.classes[column].class_id.startswith("few/")
        assert (found.unknown is None) is is_few
        assert found.familiarity is not None


def test_records_that_keep_none_say_what_to_do() -> None:
    old = replace(record_of(clusters()), thresholds=None)
    with pytest.raises(InputError, match="`replaces: `"):
        told(Adapter([old]), FOREIGN, 0.1)
    plain = record_of(clusters(), method="nearest_mean")
    assert with_thresholds(METHODS["nearest_mean"], plain, clusters()) is plain
    with pytest.raises(InputError, match=r"'nearest_mean'.*dual_rail, gda, lada, own_metric"):
        told(Adapter([plain]), FOREIGN, 0.1)


def test_methods_that_reject_are_those_that_sentences_name() -> None:
    assert REJECTING == ["dual_rail", "gda", "lada", "own_metric"]


@pytest.mark.parametrize("method", REJECTING)
def test_images_that_are_all_the_same_are_no_false_alarms(method: str) -> None:
    single = clusters(classes=3, images=1)
    task = replace(
        single,
        features=single.features.repeat_interleave(16, dim=0),
        labels=single.labels.repeat_interleave(16),
    )
    adapter = Adapter([record_of(task, method=method)])
    for images in (task.features[:, 0], single.features[:, 0], single.features[:1, 0]):
        assert share(told(adapter, images, 0.05)) == 0
    assert share(told(adapter, FOREIGN, 0.05)) == 1


@pytest.mark.parametrize("method", REJECTING)
def test_the_only_class_of_a_version_is_certain_and_a_foreign_image_unknown(method: str) -> None:
    task, others = halves(clusters(classes=1, images=60, spread=0.1))
    adapter = Adapter([record_of(task, method=method)])
    assert float(scored(adapter, FOREIGN).probabilities.min()) == 1
    assert share(told(adapter, FOREIGN, 0.05)) > 0.9
    assert share(told(adapter, others, 0.05)) < 0.2


@pytest.mark.parametrize(
    "images",
    [FOREIGN * float("nan"), FOREIGN[:, :1], FOREIGN.repeat(1, 2) / sqrt(2), 2 * FOREIGN],
)
def test_features_that_would_not_be_scored_are_not_judged(images: Tensor) -> None:
    adapter = Adapter([record_of(clusters())])
    with pytest.raises(FeatureError):
        adapter.verdicts(images, scored(adapter, FOREIGN), rate=0.1)


def test_other_images_than_were_scored_are_not_judged() -> None:
    adapter = Adapter([record_of(clusters())])
    with pytest.raises(FeatureError, match="200 images that were scored, found 3"):
        adapter.verdicts(FOREIGN[:3], scored(adapter, FOREIGN), rate=0.1)


def test_an_image_alone_in_its_class_is_held_out_of_nothing() -> None:
    task = clusters(classes=3, images=5)
    kept = torch.tensor([0, 5, 6, 7, 8, 9, 10])  # one, five and one
    few = replace(task, features=task.features[kept], labels=task.labels[kept])
    assert len(held_out_familiarity(few, METHOD)) == 5
    single = replace(task, features=task.features[::5], labels=task.labels[::5])
    assert len(held_out_familiarity(single, METHOD)) == 0
    assert record_of(single).thresholds is None


def test_held_out_images_are_less_familiar_than_they_are_to_what_has_learnt_them() -> None:
    task = clusters(classes=4, images=16)
    known = Familiarities(METHOD).of(record_of(task), task.features[:, 0])
    assert float(held_out_familiarity(task, METHOD).mean()) < float(known.mean())


def test_metrics_that_are_not_kept_are_made_again() -> None:
    first, second = (record_of(clusters(name, seed=place)) for place, name in enumerate("ab"))
    few, many = Familiarities(METHOD, kept=1), Familiarities(METHOD)
    for record in (first, second, first, second):
        assert torch.equal(few.of(record, FOREIGN), many.of(record, FOREIGN))


def test_the_queue_of_one_process_keeps_thresholds_too() -> None:
    task = clusters()
    given = inputs(task, (), text=class_means(task), settings={}, seed=1)
    state = learn_calibrated(METHOD, replace(given, past=AdapterState()))
    assert state.records[-1].thresholds == record_of(task).thresholds


# Directions


def test_few_directions_keep_what_is_widest_and_the_mean_of_the_rest() -> None:
    variances = torch.tensor([5.0, 3.0, 0.5, 0.3, 0.1]).double()
    turned = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1)))[0]
    turned = turned.double()
    turned = torch.linalg.qr(turned)[0]
    matrix = turned.t() @ torch.diag(variances) @ turned
    found = Directions.of(matrix, most=2)
    assert found.rows.shape == (2, 5)
    assert float(found.rest) == pytest.approx(0.3)
    expected = torch.tensor([5.0, 3.0, 0.3, 0.3, 0.3]).double()
    assert torch.allclose(turned @ found.covariance @ turned.t(), torch.diag(expected), atol=1e-6)
    assert torch.allclose(Directions.of(matrix, most=9).covariance, matrix, atol=1e-9)


def test_of_images_that_do_not_spread_no_direction_is_kept() -> None:
    found = Directions.of(torch.zeros(6, 6).double(), most=3)
    assert found.rows.shape == (0, 6)
    assert torch.equal(found.covariance, torch.zeros(6, 6).double())


# Thresholds


def test_thresholds_are_order_statistics_of_so_many_and_one_more() -> None:
    found = Thresholds.of([float(score) for score in reversed(range(99))])
    assert found is not None
    assert found.rates == RATES[1:]  # half a per cent of a hundred is none
    assert [found.at(rate) for rate in (0.01, 0.05, 0.1, 0.2)] == [0, 4, 9, 19]
    assert found.at(0.005) is None
    assert found.at(0.0625) == pytest.approx(5.0)  # between 4 at 0.05 and 6 at 0.075


@pytest.mark.parametrize("images", [0, 1, 2, 3])
def test_of_fewer_than_four_images_nothing_is_kept(images: int) -> None:
    assert Thresholds.of([0.0] * images) is None
    assert Thresholds.of([0.0] * 4) == Thresholds(rates=(0.2,), scores=(0.0,))


@given(st.lists(st.floats(-100, 100), min_size=4, max_size=300))
def test_never_more_than_that_share_of_what_it_was_fitted_to_is_below(scores: list[float]) -> None:
    found = Thresholds.of(scores)
    assert found is not None
    for rate in (*found.rates, 0.2):
        floor = found.at(rate)
        assert floor is not None
        assert sum(score < floor for score in scores) <= rate * (len(scores) + 1) + 1e-6


@pytest.mark.parametrize(
    ("rates", "scores"),
    [
        ((), ()),
        ((0.1,), ()),
        ((0.2, 0.1), (0.0, 1.0)),
        ((0.1, 0.2), (1.0, 0.0)),
        ((0.0, 0.1), (0.0, 1.0)),
        ((0.1, 0.3), (0.0, 1.0)),
        ((0.1, 0.2), (0.0, float("nan"))),
        ((0.1, 0.2), (0.0, float("inf"))),
    ],
)
def test_what_are_no_thresholds_is_refused(
    rates: tuple[float, ...], scores: tuple[float, ...]
) -> None:
    with pytest.raises(FeatureError, match="ascending rates"):
        Thresholds(rates=rates, scores=scores)
    with pytest.raises(CorruptionError, match="nobody wrote it so"):
        Thresholds.read([*zip(rates, scores, strict=False)] if scores else [], task="t")


def test_a_record_gives_its_thresholds_back() -> None:
    record = record_of(clusters(images=40))
    decoded = decode_record(encode_record(record))
    assert decoded.thresholds == record.thresholds
    assert encode_record(decoded) == encode_record(record)
