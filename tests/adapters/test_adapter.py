"""The inference rule, its invariants, and its errors."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.adapter import Adapter, Scores, UnseenClasses
from adapters.contract.records import Record
from adapters.contract.rule import combined
from adapters.errors import (
    EncoderMismatchError,
    FeatureError,
    NotFoundError,
    SettingsError,
)
from tests.adapters.synthetic import ENCODER, SCALE, clusters, entries, learnt, unit_rows

WIDTH = 24


def three_records(**settings: object) -> list[Record]:
    records: list[Record] = []
    for seed, name in enumerate(("first", "second", "third")):
        task = clusters(name, classes=3 + seed, images=6 + seed, seed=seed)
        records.append(learnt(task, records, **settings))
    return records


@cache
def trained() -> list[Record]:
    """Return three records, learnt for the first test that asks for them; nobody changes them."""
    return three_records(steps=4)


def scored(
    records: list[Record],
    features: Tensor,
    *,
    unseen: UnseenClasses | None = None,
    tasks: list[str] | None = None,
) -> Scores:
    return Adapter(records).score(
        features, encoder=ENCODER, logit_scale=SCALE, unseen=unseen, tasks=tasks
    )


def unseen_classes(count: int, *, seed: int = 77) -> UnseenClasses:
    return UnseenClasses(
        classes=entries("unseen", count), text_features=3 * unit_rows(count, WIDTH, seed=seed)
    )


@pytest.mark.parametrize("images", [1, 7, 300])
def test_old_classes_scores_are_bit_equal_whatever_is_learnt_later(images: int) -> None:
    features = unit_rows(images, WIDTH, seed=5)
    alone = scored(trained()[:1], features).values
    for known in (2, 3):
        values = scored(trained()[:known], features).values
        assert torch.equal(values[:, : alone.shape[1]], alone)


def test_without_alpha_predictions_are_those_of_the_text_side() -> None:
    records = [replace(record, settings={**record.settings, "alpha": 0.0}) for record in trained()]
    features = unit_rows(200, WIDTH, seed=6)
    anchors = torch.cat(
        [torch.nn.functional.normalize(r.tensors["text_features"], dim=-1) for r in records]
    )
    assert torch.equal(scored(records, features).winners, (features @ anchors.t()).argmax(dim=1))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), count=st.integers(1, 30))
def test_the_rule_follows_the_text_argmax(seed: int, count: int) -> None:
    features, unseen = unit_rows(60, WIDTH, seed=seed), unseen_classes(count, seed=seed + 1)
    scores = scored(trained(), features, unseen=unseen)
    without_memory = [
        replace(record, settings={**record.settings, "alpha": 0.0}) for record in trained()
    ]
    text_winners = scored(without_memory, features, unseen=unseen).winners
    seen_alone = scored(trained(), features).winners
    unseen_wins = text_winners >= scores.seen
    assert torch.equal(scores.winners[unseen_wins], text_winners[unseen_wins])
    assert torch.equal(scores.winners[~unseen_wins], seen_alone[~unseen_wins])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), level=st.floats(-50, 50))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_added_to_all_logits_changes_no_prediction(
    dtype: torch.dtype, seed: int, level: float
) -> None:
    text = 20 * unit_rows(30, 9, seed=seed, dtype=dtype)
    bonus = 5 * unit_rows(30, 6, seed=seed + 1, dtype=dtype).abs()
    plain = combined(text, text[:, :6] + bonus)
    shifted = combined(text + level, text[:, :6] + level + bonus)
    margins = plain.topk(2, dim=1).values.diff(dim=1).abs()[:, 0]
    clear = margins > 1e-3  # rounding may decide a tie
    assert torch.equal(shifted.argmax(dim=1)[clear], plain.argmax(dim=1)[clear])


def test_equal_anchors_tie_exactly_and_the_first_column_wins() -> None:
    record = trained()[0]
    anchors = record.tensors["text_features"]
    # In a product of another shape, where the same cosine rounds differently.
    rows = torch.cat([anchors, unit_rows(61, WIDTH, seed=1)])
    copies = UnseenClasses(classes=entries("copy", len(rows)), text_features=rows)
    features = torch.nn.functional.normalize(anchors, dim=-1)
    for batch in (features, features[:1], features.repeat(50, 1)):
        scores = scored([record], batch, unseen=copies)
        assert (scores.winners < scores.seen).all()


def test_a_name_that_two_tasks_share_ties_exactly_and_the_older_task_wins() -> None:
    first = clusters("first", classes=3, images=6)
    twin = replace(clusters("twin", classes=3, images=6), classes=entries("twin", 3))
    records = [learnt(first, text="none", memory_per_class=0)]
    records.append(learnt(twin, records, text="none", memory_per_class=0))
    winners = scored(records, first.features[:, 0]).winners
    assert torch.equal(winners, first.labels)


def test_only_the_chosen_tasks_are_candidates() -> None:
    features = unit_rows(20, WIDTH, seed=8)
    scores = scored(trained(), features, tasks=["third", "first"])
    names = [entry.class_id.split("/")[0] for entry in scores.classes]
    assert names == ["first"] * 3 + ["third"] * 5
    both = scored(trained(), features).values
    assert torch.equal(scores.values, torch.cat([both[:, :3], both[:, 7:]], dim=1))


def test_predictions_are_classes() -> None:
    task = clusters("first", classes=3, images=6, seed=0)
    predicted = Adapter(trained()).predict(
        task.features[:, 0], encoder=ENCODER, logit_scale=SCALE, tasks=["first"]
    )
    expected = tuple(task.classes[label] for label in task.labels.tolist())
    assert predicted == expected


def test_no_candidates_but_unseen_ones_is_zero_shot() -> None:
    unseen = unseen_classes(5)
    features = unit_rows(9, WIDTH, seed=3)
    scores = scored(trained(), features, unseen=unseen, tasks=[])
    assert torch.equal(scores.winners, (features @ unseen.text_features.t()).argmax(dim=1))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (unit_rows(3, WIDTH + 1, seed=1), "width"),
        (torch.full((3, WIDTH), torch.nan), "finite"),
        (torch.zeros(3, WIDTH), "unit rows"),
        (unit_rows(3, WIDTH, seed=1)[0], "dimensions"),
        (unit_rows(3, WIDTH, seed=1).half(), "float32"),
    ],
)
def test_bad_features_are_refused(features: Tensor, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        scored(trained(), features)


def test_another_encoders_features_are_refused() -> None:
    with pytest.raises(EncoderMismatchError, match="elsewhere"):
        Adapter(trained()).score(
            unit_rows(2, WIDTH, seed=1), encoder="elsewhere", logit_scale=SCALE
        )


def test_records_of_different_encoders_make_no_adapter() -> None:
    with pytest.raises(EncoderMismatchError):
        Adapter([trained()[0], replace(trained()[1], encoder="elsewhere")])


def test_records_of_different_methods_make_no_adapter() -> None:
    with pytest.raises(SettingsError, match="zero_shot"):
        Adapter([trained()[0], replace(trained()[1], method="zero_shot")])


def test_no_records_make_no_adapter() -> None:
    with pytest.raises(SettingsError, match="at least one"):
        Adapter([])


def test_an_unknown_task_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="fourth"):
        scored(trained(), unit_rows(1, WIDTH, seed=1), tasks=["fourth"])


def test_a_record_is_scored_with_those_that_have_its_anchors_or_count_as_its_classes() -> None:
    first, second, third = trained()
    assert Adapter(trained()).scored_with(2) == ("third",)
    counting = replace(third.classes[0], merged_into="first/0")
    merged = replace(third, classes=(counting, *third.classes[1:]))
    assert Adapter([first, second, merged]).scored_with(2) == ("first", "third")
    anchors = third.tensors["text_features"].clone()
    anchors[1] = second.tensors["text_features"][0]
    alike = replace(third, tensors={**third.tensors, "text_features": anchors})
    assert Adapter([first, second, alike]).scored_with(2) == ("second", "third")
