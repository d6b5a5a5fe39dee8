"""Metrics against figures worked out by hand and published ones."""

import json
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import InputError
from adapters.measures import continual_measures

PUBLISHED = json.loads((Path(__file__).parent / "published_matrices.json").read_text())
EXPERIMENTS = pytest.mark.parametrize("experiment", sorted(PUBLISHED["published"]))
SQUARE = st.integers(1, 6).flatmap(
    lambda tasks: st.lists(
        st.lists(st.floats(0, 100), min_size=tasks, max_size=tasks), min_size=tasks, max_size=tasks
    )
)
BY_HAND = [[70.0, 30.0, 40.0], [70.0, 88.0, 44.0], [70.0, 88.0, 82.0]]


def cell_mean(matrix: list[list[float]]) -> float:
    return fmean(value for row, line in enumerate(matrix) for value in line[row + 1 :])


@EXPERIMENTS
def test_published_matrices_reproduce_the_published_scalars(experiment: str) -> None:
    metrics = continual_measures(PUBLISHED["matrices"][experiment])
    found = [metrics.transfer, metrics.average, metrics.last]
    # Cells and scalars are printed with one digit: half a unit each, and a rounding of the binary.
    assert found == pytest.approx(PUBLISHED["published"][experiment], abs=0.0501)


def test_the_two_transfers_of_the_first_order_are_the_known_ones() -> None:
    matrix = PUBLISHED["matrices"]["16shot_order1"]
    assert continual_measures(matrix).transfer == pytest.approx(61.53, abs=0.005)
    assert cell_mean(matrix) == pytest.approx(64.05, abs=0.005)


@EXPERIMENTS
def test_nothing_is_forgotten_in_the_published_matrices(experiment: str) -> None:
    matrix = PUBLISHED["matrices"][experiment]
    assert all(max(column) == column[-1] for column in zip(*matrix, strict=True))
    assert continual_measures(matrix).forgetting == 0


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        ("16shot_order1", 0.78),
        ("fullshot_order1", None),
        ("16shot_order2", None),
        ("fullshot_order2", None),
    ],
)
def test_backward_transfer_of_the_published_matrices(
    experiment: str, expected: float | None
) -> None:
    found = continual_measures(PUBLISHED["matrices"][experiment]).backward_transfer
    known = [0.78, 2.43, 1.03, 2.99]
    assert found is not None
    assert min(abs(found - value) for value in known) < 0.006
    assert expected is None or found == pytest.approx(expected, abs=0.006)


def test_three_tasks_by_hand() -> None:
    metrics = continual_measures(BY_HAND)
    # Task 2: 30; task 3: mean of 40 and 44. The mean over cells would be 38.
    assert metrics.transfer == pytest.approx(36.0)
    assert cell_mean(BY_HAND) == pytest.approx(38.0)
    assert metrics.transfer_by_task == (None, 30.0, 42.0)
    assert metrics.average == pytest.approx(64.667, abs=5e-4)
    assert (metrics.last, metrics.backward_transfer, metrics.forgetting) == (80.0, 0.0, 0.0)


def test_forgetting_is_measured_against_the_best_since_learnt() -> None:
    metrics = continual_measures([[70.0, 99.0], [60.0, 50.0]])
    assert (metrics.forgetting, metrics.backward_transfer) == (10.0, -10.0)


def test_one_task_has_neither_transfer_nor_forgetting() -> None:
    metrics = continual_measures([[55.0]])
    assert (metrics.transfer, metrics.backward_transfer, metrics.forgetting) == (None, None, None)
    assert (metrics.average, metrics.last) == (55.0, 55.0)


@given(SQUARE)
def test_forgetting_is_never_negative_and_means_stay_within_the_cells(
    matrix: list[list[float]],
) -> None:
    metrics = continual_measures(matrix)
    lowest, highest = min(map(min, matrix)) - 1e-9, max(map(max, matrix)) + 1e-9
    assert metrics.forgetting is None or metrics.forgetting >= -1e-9
    assert all(lowest <= mean <= highest for mean in (metrics.average, metrics.last))


@pytest.mark.parametrize("matrix", [[], [[1.0, 2.0]], [[1.0], [2.0]]])
def test_a_matrix_that_is_not_square_is_refused(matrix: list[list[float]]) -> None:
    with pytest.raises(InputError, match="as many columns as rows"):
        continual_measures(matrix)
