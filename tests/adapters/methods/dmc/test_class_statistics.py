"""Gaussians of classes, and what is drawn from them."""

import pytest
import torch
from torch import Tensor

from adapters.methods.dmc.class_statistics import ClassReplay, ClassStatistics
from adapters.methods.dmc.settings import Covariance
from adapters.parts.statistics import VARIANCE_WITHOUT_SCATTER
from tests.adapters.synthetic import clusters, unit_rows

WIDTH = 5


def measured(kind: Covariance = "pooled", *, classes: int = 3, seed: int = 0) -> ClassStatistics:
    task = clusters(classes=classes, images=9, width=WIDTH, seed=seed)
    return ClassStatistics.measured(task.features[:, 0], task.labels, kind=kind, shrinkage=0.1)


@pytest.mark.parametrize("kind", ["pooled", "class"])
def test_drawn_points_have_the_mean_and_the_covariance_of_their_class(kind: Covariance) -> None:
    tasks = [measured(kind), measured(kind, classes=2, seed=4)]
    replay = ClassReplay(tasks)
    assert replay.classes == 5
    noise = torch.randn(40_000, WIDTH, generator=torch.Generator().manual_seed(1))
    expected = [
        (
            each.means[c],
            each.scales[c] * (each.covariance if kind == "pooled" else each.covariance[c]),
        )
        for each in tasks
        for c in range(len(each.means))
    ]
    for label, (mean, covariance) in enumerate(expected):
        points = replay.points(torch.full((len(noise),), label), noise).double()
        # 40,000 draws: the error of a mean is about a two-hundredth of the deviation.
        deviation = float(covariance.diagonal().max().sqrt())
        torch.testing.assert_close(points.mean(dim=0), mean, rtol=0, atol=0.03 * deviation)
        torch.testing.assert_close(
            torch.cov(points.t()), covariance, rtol=0, atol=0.04 * deviation**2
        )


def test_draws_are_unit_rows_of_all_classes_and_named_by_their_generator() -> None:
    replay = ClassReplay([measured(), measured(seed=4)])

    def drawn() -> tuple[Tensor, Tensor]:
        return replay.draw(300, generator=torch.Generator().manual_seed(3))

    points, labels = drawn()
    torch.testing.assert_close(points.norm(dim=1), torch.ones(300))
    assert torch.unique(labels).tolist() == list(range(6))
    assert all(
        torch.equal(one, other) for one, other in zip(drawn(), (points, labels), strict=True)
    )


def test_a_class_that_spreads_more_has_a_larger_scale_within_bounds() -> None:
    noise = torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(2))
    spread = torch.tensor([0.0, 1.0, 1.5]).repeat_interleave(20)
    found = ClassStatistics.measured(
        noise * spread[:, None],
        torch.arange(3).repeat_interleave(20),
        kind="pooled",
        shrinkage=0.0,
    )
    still, usual, wide = found.scales.tolist()
    assert still == 0.25
    assert wide / usual == pytest.approx(1.5**2, rel=0.4)
    assert wide <= 4


def test_a_class_of_one_image_has_the_spread_of_its_task() -> None:
    rows = unit_rows(5, WIDTH, seed=1)
    labels = torch.tensor([0, 1, 1, 1, 1])
    found = ClassStatistics.measured(rows, labels, kind="pooled", shrinkage=0.1)
    assert float(found.scales[0]) == 1.0
    torch.testing.assert_close(found.means[0], rows[0].double())


@pytest.mark.parametrize("kind", ["pooled", "class"])
def test_a_task_of_one_image_per_class_can_be_replayed(kind: Covariance) -> None:
    rows = unit_rows(3, WIDTH, seed=1)
    found = ClassStatistics.measured(rows, torch.arange(3), kind=kind, shrinkage=0.1)
    if kind == "pooled":
        assert float(found.covariance[0, 0]) == pytest.approx(VARIANCE_WITHOUT_SCATTER)
    points, _ = ClassReplay([found]).draw(20, generator=torch.Generator().manual_seed(1))
    assert bool(torch.isfinite(points).all())


def test_shrinking_keeps_the_trace_and_fills_all_directions() -> None:
    rows, labels = unit_rows(4, 12, seed=1), torch.tensor([0, 0, 1, 1])
    plain, pulled = (
        ClassStatistics.measured(rows, labels, kind="pooled", shrinkage=amount).covariance
        for amount in (0.0, 0.1)
    )
    torch.testing.assert_close(plain.trace(), pulled.trace())
    assert torch.linalg.matrix_rank(plain) == 2
    assert torch.linalg.matrix_rank(pulled) == 12
