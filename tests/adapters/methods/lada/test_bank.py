"""Banks of replay: scored once, with the numbers of a step that scores everything anew."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from adapters.contract.records import Record, encode_record, unpack
from adapters.contract.task_features import TaskFeatures
from adapters.errors import SettingsError
from adapters.methods.lada.bank import DRAWS, PORTIONS, Bank, chances_of, full_bank, sampled_bank
from adapters.methods.lada.learner import LadaLearner
from adapters.methods.lada.past import old_classes, replay_of
from adapters.methods.lada.past_softmax import old_logits, own_logits
from adapters.methods.lada.settings import MOST_DRAWN_ANEW, LadaSettings
from adapters.methods.lada.softmax import NewClasses
from adapters.methods.lada.step_rows import Rows
from tests.adapters.synthetic import SCALE, class_means, clusters, learnt, unit_rows
from tests.support.scenes.training import inputs

STEPS = 12


def past() -> list[Record]:
    first = learnt(clusters("first", images=9), steps=2)
    return [first, learnt(clusters("second", classes=3, images=7, seed=2), [first], steps=2)]


def learner(
    task: TaskFeatures, records: Sequence[Record], *, scale: float = SCALE, **settings: object
) -> LadaLearner:
    text = replace(class_means(task), logit_scale=scale)
    usual = {"text": "residual", "steps": STEPS, "memory_per_class": 4}
    chosen = LadaSettings.from_mapping({**usual, **settings})
    return LadaLearner(inputs(task, records, text=text, seed=1), settings=chosen)


def merged(task: TaskFeatures) -> TaskFeatures:
    """Return the task, its second class counting as one of the first task's."""
    classes = list(task.classes)
    classes[1] = replace(classes[1], merged_into="first/0")
    return replace(task, classes=tuple(classes))


@pytest.mark.parametrize("steps", [STEPS, 2])  # two are too few to see all views of all images
@pytest.mark.parametrize("weighting", ["code", "paper"])
@pytest.mark.parametrize("change", [merged, lambda task: task])
def test_without_noise_a_bank_of_all_classes_learns_what_replay_drawn_anew_does(
    steps: int, weighting: str, change: Callable[[TaskFeatures], TaskFeatures]
) -> None:
    task = change(clusters("third", classes=3, images=10, views=2, seed=3))
    usual: dict[str, Any] = {
        "replay": "centres",
        "weighting": weighting,
        "views": 2,
        "steps": steps,
    }
    usual["batch_size"] = 8
    anew = learner(task, past(), replay_bank="none", **usual)
    banked = learner(task, past(), replay_bank="all", **usual)
    losses = [(anew.step(), banked.step()) for _ in range(steps)]
    # Sums run in another order; AdamW may turn a rounding of a tiny gradient into a step.
    torch.testing.assert_close(*map(torch.tensor, zip(*losses, strict=True)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        banked.learnt().tensors["text_features"],
        anew.learnt().tensors["text_features"],
        rtol=0,
        atol=1e-3,
    )


def test_a_step_takes_one_draw_of_every_component() -> None:
    settings = LadaSettings(replay_bank="all")
    replay = replay_of(past(), settings, width=24)
    bank = full_bank(replay, settings=settings, seed=1)
    drawn = [bank.at(step) for step in range(DRAWS + 1)]
    assert all(torch.equal(each.labels, replay.labels) for each in drawn)
    assert torch.equal(drawn[0].features, drawn[DRAWS].features)
    assert not torch.equal(drawn[0].features, drawn[1].features)
    assert float(drawn[0].weights.sum()) == pytest.approx(64 * 7, rel=1e-5)


def sampled(settings: LadaSettings, records: Sequence[Record], task: TaskFeatures) -> Bank:
    """Return the bank of a training of `task`, and check that its chances are chances."""
    old = old_classes(
        records, scale=SCALE, width=24, dtype=torch.float32, device=torch.device("cpu")
    )
    anchors = SCALE * normalize(class_means(task).features, dim=-1)
    replay = replay_of(records, settings, width=24)
    chances = chances_of(replay, old, NewClasses(anchors, None, 1.0))
    assert float(chances.sum()) == pytest.approx(1.0, rel=1e-5) and (chances > 0).all()
    return sampled_bank(replay, chances, settings=settings, seed=1)


def test_a_sampled_bank_has_its_size_and_weighs_classes_alike_whatever_their_chances() -> None:
    settings = LadaSettings(replay_bank="sample", replay_classes=100)
    bank = sampled(settings, past(), clusters("third", classes=3, seed=3))
    assert len(bank.rows.labels) == PORTIONS * 100 * 4
    assert len(bank.at(5).labels) == 100 * 4
    weights = torch.zeros(7).index_add_(0, bank.rows.labels, bank.rows.weights) / PORTIONS
    # Of 3,200 prototypes each class has a hundred or more: one more or fewer is a percent.
    torch.testing.assert_close(weights, torch.full((7,), 64.0), rtol=0.03, atol=0)


def test_classes_near_the_new_ones_are_sampled_more_often() -> None:
    near, far = clusters("near", classes=2, seed=3), clusters("far", classes=2, seed=8)
    records = [learnt(near, steps=0)]
    records.append(learnt(far, records, steps=0))
    settings = LadaSettings(replay_bank="sample", replay_classes=25)
    new = clusters("new", classes=2, seed=3)  # where `near` is
    counts = torch.bincount(sampled(settings, records, new).rows.labels, minlength=4)
    assert int(counts[:2].min()) > 2 * int(counts[2:].max()) > 0


def test_the_logit_of_a_rows_own_class_is_that_among_all() -> None:
    records = past()
    old = old_classes(
        records, scale=SCALE, width=24, dtype=torch.float32, device=torch.device("cpu")
    )
    labels = torch.tensor([6, 0, 3, 3, 5, 1])
    features = unit_rows(6, 24, seed=4)
    expected = old_logits(features, old)[torch.arange(6), labels]
    found = own_logits(Rows(features, labels, torch.ones(6)), old)
    torch.testing.assert_close(found, expected)


def test_the_loss_of_sampled_replay_is_right_in_the_mean() -> None:
    task, records = clusters("third", classes=3, seed=3), past()
    exact = learner(task, records, replay_bank="none").step()
    seeds = range(40)
    first_losses = []
    for seed in seeds:
        given = inputs(task, records, text=class_means(task), seed=seed)
        settings = LadaSettings(
            text="residual", memory_per_class=4, replay_bank="sample", replay_classes=1
        )
        first_losses.append(LadaLearner(given, settings=settings).step())
    found = torch.tensor(first_losses)
    # Four standard errors of the mean of forty banks.
    assert abs(float(found.mean()) - exact) < 4 * float(found.std()) / len(found) ** 0.5


def test_nothing_is_replayed_from_a_bank_of_nothing() -> None:
    task = clusters("third", classes=3, seed=3)
    found = [
        learner(task, past(), replay="none", replay_bank=bank).step() for bank in ("none", "sample")
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_first_task_has_no_bank() -> None:
    task = clusters("only")
    assert encode_record(learnt(task)) != encode_record(learnt(task, replay_bank="sample"))
    plain, banked = learnt(task).tensors, learnt(task, replay_bank="sample").tensors
    assert all(torch.equal(plain[name], banked[name]) for name in plain)


@pytest.mark.parametrize(
    ("old_classes", "asked", "bank"),
    [
        (0, "sample", "none"),  # nothing to replay
        (MOST_DRAWN_ANEW, None, "none"),  # all classes of the papers' suites
        (MOST_DRAWN_ANEW + 1, None, "sample"),
        (MOST_DRAWN_ANEW + 1, "none", "none"),
        (7, "all", "all"),
    ],
)
def test_the_bank_is_the_one_asked_for_or_the_number_of_old_classes_decides(
    old_classes: int, asked: str | None, bank: str
) -> None:
    settings = LadaSettings.from_mapping({"replay_bank": asked})
    assert settings.bank(old_classes=old_classes) == bank


def test_settings_without_a_bank_have_the_keys_that_they_always_had() -> None:
    assert "replay_bank" not in LadaSettings().as_mapping()
    assert LadaSettings(replay_bank="all").as_mapping()["replay_bank"] == "all"


def test_a_bank_of_all_classes_replays_all_of_them() -> None:
    with pytest.raises(SettingsError, match="replay_bank 'sample'"):
        LadaSettings(replay_bank="all", replay_classes=3)


@pytest.mark.parametrize("bank", ["none", "sample"])
def test_a_step_leaves_no_denormal_numbers(bank: str) -> None:
    task = clusters("third", classes=3, seed=3)
    trained = learner(task, past(), scale=400.0, replay_bank=bank)
    for _ in range(4):
        trained.step()
    moments, _ = unpack(trained.checkpoint())
    least = torch.finfo(torch.float32).tiny
    for name, tensor in moments.items():
        assert not ((tensor != 0) & (tensor.abs() < least)).any(), name
