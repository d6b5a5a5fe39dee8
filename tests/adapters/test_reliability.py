"""The calibration error, on answers whose probabilities are known."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.reliability import BINS, LEAST, reliability

ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200)


def drawn(images: int, *, shift: float = 0.0, seed: int = 0) -> tuple[list[float], list[bool]]:
    """Return probabilities, and answers that are right as often as that, or less by `shift`."""
    chance = random.Random(seed)
    sure = [chance.uniform(0.4, 0.9) for _ in range(images)]
    return sure, [chance.random() < each - shift for each in sure]


def error(sure: list[float], right: list[bool]) -> float:
    found = reliability(sure, right, [0.0] * len(sure))
    assert found is not None
    return found.error


def test_without_answers_there_is_none() -> None:
    assert reliability([], [], []) is None


@pytest.mark.parametrize("images", [150, 1500, 15_000])
def test_what_chance_makes_is_taken_off(images: int) -> None:
    squares = [error(*drawn(images, seed=seed)) ** 2 for seed in range(50)]
    by_chance = 0.225 * BINS / images  # of probabilities about 0.65, in bins of as many images
    assert sum(squares) / len(squares) < 0.5 * by_chance
    # What is below zero counts as none, so that something is left.
    assert sum(square == 0 for square in squares) > 15


@pytest.mark.parametrize("shift", [0.05, 0.2])
def test_answers_that_are_too_sure_of_themselves_are_told_by_how_much(shift: float) -> None:
    assert error(*drawn(15_000, shift=shift)) == pytest.approx(shift, abs=0.015)


@given(ANSWERS)
def test_bins_hold_every_image_once_from_the_least_sure_on(
    answers: list[tuple[float, bool]],
) -> None:
    sure, right = [each for each, _ in answers], [each for _, each in answers]
    found = reliability(sure, right, [0.0] * len(sure))
    assert found is not None
    assert sum(each.images for each in found.bins) == len(answers) == found.images
    assert len(found.bins) <= BINS
    assert all(each.images >= min(LEAST, len(answers)) for each in found.bins[:-1])
    means = [each.confidence for each in found.bins]
    assert means == sorted(means)
    assert 0 <= found.error <= 1
    # The order of the images says nothing.
    assert reliability(sure[::-1], right[::-1], [0.0] * len(sure)) == found


def test_equal_probabilities_are_one_bin() -> None:
    """Cut among them, the right ones could be sorted away from the wrong ones."""
    sure, right = [0.5] * 100, [True] * 50 + [False] * 50
    found = reliability(sure, right, [0.0] * 100)
    assert found is not None
    assert [each.images for each in found.bins] == [100]
    assert found.error == pytest.approx(0.0)
