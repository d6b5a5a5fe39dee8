"""The maps between two towers' features, by what must hold of them whatever is measured."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.methods.dmc.calibration import (
    AffineMap,
    between,
    composed,
    fitted,
    paired,
    shift,
    sldc,
    transport,
)
from adapters.methods.dmc.class_statistics import ClassStatistics
from adapters.methods.dmc.gaussians import Gaussian, power, root, squared_wasserstein
from adapters.methods.dmc.settings import WITH_MAPS

WIDTH = 6
quick = settings(max_examples=25, deadline=None)


def rows(seed: int, count: int = 40) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, WIDTH, generator=generator, dtype=torch.float64)


def definite(seed: int) -> Tensor:
    """Return a symmetric positive definite matrix whose eigenvalues are between 1 and about 20."""
    drawn = rows(seed, WIDTH)
    return drawn @ drawn.t() / 2 + torch.eye(WIDTH, dtype=torch.float64)


def rotation(seed: int) -> Tensor:
    turned: Tensor = torch.linalg.qr(rows(seed, WIDTH)).Q
    return turned


def gaussian(seed: int) -> Gaussian:
    return Gaussian(rows(seed, 1)[0], definite(seed + 1))


def close(found: Tensor, expected: Tensor, *, rtol: float = 1e-8) -> None:
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=rtol * scale)


@quick
@given(st.integers(0, 10_000))
def test_transport_is_symmetric_positive_definite_and_makes_one_gaussian_of_the_other(
    seed: int,
) -> None:
    source, target = gaussian(seed), gaussian(seed + 7)
    found = between(source, target)
    assert torch.equal(found.matrix, found.matrix.t())
    assert bool((torch.linalg.eigvalsh(found.matrix) > 0).all())
    close(found.spread(source.covariance), target.covariance)
    close(found(source.mean), target.mean)


@quick
@given(st.integers(0, 10_000), st.sampled_from(WITH_MAPS), st.sampled_from([4, 40]))
def test_features_that_stand_still_leave_statistics_where_they_are(
    seed: int, calibrate: str, count: int
) -> None:
    # Also with fewer images than dimensions, whose covariance is singular.
    images = rows(seed, count)
    found = fitted(calibrate, images, images, shrinkage=0.1)  # type: ignore[arg-type]
    assert found is not None
    # sldc pulls towards nothing at all by 1e-4 where it does not stand still.
    loose = 0.5 if calibrate == "sldc" and count < WIDTH else 1e-4 if calibrate == "sldc" else 1e-7
    close(found.matrix, torch.eye(WIDTH, dtype=torch.float64), rtol=loose)
    if calibrate != "sldc":
        before = measured(seed)
        after = before.mapped(found)
        close(after.means, before.means, rtol=1e-6)
        close(after.covariance, before.covariance, rtol=1e-6)


def measured(seed: int) -> ClassStatistics:
    return ClassStatistics.measured(rows(seed), torch.arange(40) % 4, kind="pooled", shrinkage=0.1)


@quick
@given(st.floats(0.01, 10), st.floats(0.01, 10))
def test_in_one_dimension_transport_is_the_ratio_of_deviations(one: float, other: float) -> None:
    def of(deviation: float) -> Gaussian:
        variance = torch.full((1, 1), deviation**2, dtype=torch.float64)
        return Gaussian(torch.zeros(1, dtype=torch.float64), variance)

    assert float(between(of(one), of(other)).matrix) == pytest.approx(other / one)


@quick
@given(st.integers(0, 10_000))
def test_transport_finds_a_symmetric_map_exactly(seed: int) -> None:
    before, true = rows(seed), definite(seed + 3)
    found = transport(before, before @ true, shrinkage=0.0)
    close(found.matrix, true, rtol=1e-7)
    close(found(rows(seed + 9)), rows(seed + 9) @ true, rtol=1e-6)


@quick
@given(st.integers(0, 10_000))
def test_of_a_rotation_transport_knows_the_covariance_alone_and_pairs_the_map(seed: int) -> None:
    before, true = rows(seed), rotation(seed + 3)
    after = before @ true
    moved = transport(before, after, shrinkage=0.0)
    source, target = (Gaussian.of(each, shrinkage=0.0) for each in (before, after))
    close(moved.spread(source.covariance), target.covariance, rtol=1e-7)
    assert float((moved.matrix - true.t()).norm()) > 0.1
    close(paired(before, after, ridge=1e-12).matrix, true.t())
    close(sldc(before.repeat(50, 1), after.repeat(50, 1)).matrix, true.t(), rtol=1e-5)


@quick
@given(st.integers(0, 10_000))
def test_the_distance_of_gaussians_is_zero_for_equal_ones_alone(seed: int) -> None:
    one, other = gaussian(seed), gaussian(seed + 7)
    assert squared_wasserstein(one, one) == pytest.approx(0, abs=1e-9)
    assert squared_wasserstein(one, other) > 1e-3
    assert squared_wasserstein(one, other) == pytest.approx(squared_wasserstein(other, one))
    moved = Gaussian(one.mean + 2, one.covariance)
    assert squared_wasserstein(one, moved) == pytest.approx(4 * WIDTH)


@quick
@given(st.integers(0, 10_000))
def test_the_distance_is_what_the_transport_costs(seed: int) -> None:
    source, target = gaussian(seed), gaussian(seed + 7)
    found = between(source, target)
    moves = found.matrix - torch.eye(WIDTH, dtype=torch.float64)
    spread = (moves @ source.covariance @ moves.t()).trace()
    cost = (target.mean - source.mean).square().sum() + spread
    assert squared_wasserstein(source, target) == pytest.approx(float(cost))


@quick
@given(st.integers(0, 10_000), st.sampled_from(WITH_MAPS))
def test_mapping_twice_is_mapping_once_with_the_composed_map(seed: int, calibrate: str) -> None:
    first, second, third = rows(seed), rows(seed + 1), rows(seed + 2)
    maps = [
        fitted(calibrate, *pair, shrinkage=0.1)  # type: ignore[arg-type]
        for pair in ((first, second), (second, third))
    ]
    assert maps[0] is not None and maps[1] is not None
    before = measured(seed)
    twice = before.mapped(maps[0]).mapped(maps[1])
    once = before.mapped(composed([each for each in maps if each], width=WIDTH))
    close(once.means, twice.means)
    close(once.covariance, twice.covariance)


def test_no_map_at_all_changes_nothing() -> None:
    close(composed([], width=WIDTH)(rows(1)), rows(1))
    nothing = AffineMap.nothing(WIDTH)
    assert torch.equal(nothing.after(nothing).matrix, nothing.matrix)
    assert fitted("none", rows(1), rows(2), shrinkage=0.1) is None
    assert fitted("exact", rows(1), rows(2), shrinkage=0.1) is None


def test_a_shift_moves_means_and_leaves_covariances() -> None:
    before = measured(1)
    after = before.mapped(shift(rows(1), rows(1) + 3))
    close(after.means, before.means + 3)
    close(after.covariance, before.covariance)


@pytest.mark.parametrize("calibrate", WITH_MAPS)
def test_a_single_image_gives_a_map(calibrate: str) -> None:
    found = fitted(calibrate, rows(1, 1), rows(2, 1), shrinkage=0.1)  # type: ignore[arg-type]
    assert found is not None
    assert bool(torch.isfinite(found.matrix).all() and torch.isfinite(found.offset).all())


def test_powers_of_a_singular_matrix_stay_finite_and_undo_each_other() -> None:
    singular = torch.diag(torch.tensor([4.0, 1.0, 0.0], dtype=torch.float64))
    close(root(singular) @ root(singular), singular)
    both = power(singular, -0.5) @ root(singular)
    close(both, torch.eye(3, dtype=torch.float64), rtol=1e-6)
