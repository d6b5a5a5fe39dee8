"""Settings, the budget rule and the schedule."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import SettingsError
from adapters.methods.lada.settings import LadaSettings
from adapters.parts.schedule import one_cycle, training_budget

# X-TAIL, order I (arXiv 2505.23271).
CLASSES = {
    "Aircraft": 100,
    "Caltech101": 100,
    "DTD": 47,
    "EuroSAT": 10,
    "Flowers": 102,
    "Food": 101,
    "MNIST": 10,
    "Pets": 37,
    "Cars": 196,
    "SUN397": 397,
}
# Epochs of the published 16-shot runs, order I; 16 images per class, batches of 64.
EPOCHS = [40, 10, 30, 100, 30, 5, 200, 10, 30, 10]
PUBLISHED_STEPS = [1000, 250, 360, 300, 780, 130, 600, 100, 1470, 1000]


def test_defaults_are_the_published_values() -> None:
    defaults = LadaSettings()
    assert (defaults.memory_per_class, defaults.mixture_components) == (16, 4)
    assert (defaults.alpha, defaults.beta, defaults.replay_weight) == (1.0, 1.0, 64.0)
    assert (defaults.learning_rate, defaults.weight_decay, defaults.batch_size) == (1e-3, 5e-4, 64)
    assert (defaults.text, defaults.bottleneck, defaults.weighting) == ("adaptformer", 16, "code")


def test_a_mapping_makes_the_settings_and_comes_back() -> None:
    chosen = LadaSettings.from_mapping({"alpha": 0.5, "text": "residual", "steps": 7})
    assert (chosen.alpha, chosen.text, chosen.steps) == (0.5, "residual", 7)
    assert LadaSettings.from_mapping(chosen.as_mapping()) == chosen


def test_settings_that_equal_known_ones_and_are_none_are_refused_all_the_same() -> None:
    assert LadaSettings.from_mapping({"alpha": 1}).alpha == 1
    for impossible in (True, [1], {"a": 1}):
        with pytest.raises(SettingsError, match="alpha"):
            LadaSettings.from_mapping({"alpha": impossible})


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("aplha", "alpha"), ("lr", "learning_rate"), ("batchsize", "batch_size"), ("step", "steps")],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest(wrong: str, nearest: str) -> None:
    if wrong == "lr":
        with pytest.raises(SettingsError, match="unknown setting 'lr'; did you mean"):
            LadaSettings.from_mapping({wrong: 1})
        return
    with pytest.raises(SettingsError, match=f"did you mean '{nearest}'"):
        LadaSettings.from_mapping({wrong: 1})


@pytest.mark.parametrize(
    "values",
    [
        {"text": "adapter"},
        {"weighting": "mean"},
        {"autocast": "int8"},
        {"memory_per_class": -1},
        {"mixture_components": 0},
        {"batch_size": 2.5},
        {"batch_size": True},
        {"beta": float("nan")},
        {"learning_rate": "fast"},
        {"steps": 5, "epochs": 5},
        {"epochs": 0},
    ],
)
def test_an_impossible_value_is_an_error(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="expected"):
        LadaSettings.from_mapping(values)


def test_epochs_make_the_published_steps() -> None:
    steps = [
        LadaSettings(epochs=epochs).total_steps(classes=classes, images=16 * classes)
        for epochs, classes in zip(EPOCHS, CLASSES.values(), strict=True)
    ]
    assert steps == PUBLISHED_STEPS
    assert sum(steps) == 5990


def test_the_budget_rule_spends_what_was_published_over_the_ten_tasks() -> None:
    steps = [
        LadaSettings().total_steps(classes=classes, images=16 * classes)
        for classes in CLASSES.values()
    ]
    assert sum(steps) == 5826


@given(classes=st.integers(1, 10_000), batches=st.integers(1, 100_000))
def test_the_budget_is_between_two_and_a_hundred_passes(classes: int, batches: int) -> None:
    steps = training_budget(classes=classes, batches=batches)
    assert 2 * batches <= steps <= 100 * batches
    assert steps <= max(1200, 2 * batches)


def test_steps_override_everything() -> None:
    assert LadaSettings(steps=3).total_steps(classes=500, images=10**6) == 3


def test_the_schedule_starts_and_ends_at_the_published_rates() -> None:
    first = one_cycle(0, total_steps=1000, peak=1e-3)
    last = one_cycle(999, total_steps=1000, peak=1e-3)
    assert first == pytest.approx((4e-5, 0.95))
    assert last == pytest.approx((4e-9, 0.95))


@pytest.mark.parametrize("total_steps", [4, 7, 10, 100, 751])
def test_the_schedule_is_torchs_one_cycle(total_steps: int) -> None:
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=1e-3)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1e-3, total_steps=total_steps)
    for step in range(total_steps):
        group = optimiser.param_groups[0]
        rate = one_cycle(step, total_steps=total_steps, peak=1e-3)
        assert rate == pytest.approx((group["lr"], group["betas"][0]), rel=1e-9)
        optimiser.step()
        if step + 1 < total_steps:
            reference.step()


@pytest.mark.parametrize("total_steps", [1, 2, 3])
def test_a_very_short_training_has_sensible_rates(total_steps: int) -> None:
    rates = [one_cycle(step, total_steps=total_steps, peak=1e-3) for step in range(total_steps)]
    assert all(0 < rate.learning_rate <= 1e-3 for rate in rates)
