"""Mixtures (Eq. 9) and the prototypes drawn from them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract.mixture import Mixture, fit_mixture
from adapters.contract.randomness import generator
from adapters.errors import FeatureError
from adapters.methods.lada.replay import ReplaySource
from tests.adapters.synthetic import unit_rows


def source(*, variance: float, width: int = 64, components: int = 400) -> ReplaySource:
    mixture = Mixture(
        weights=torch.full((components,), 1 / components),
        means=5 * unit_rows(components, width, seed=1),
        variances=torch.full((components,), variance),
    )
    return ReplaySource.of([mixture], width=width)


@settings(deadline=None, max_examples=15)
@given(images=st.integers(1, 20), components=st.integers(1, 6), seed=st.integers(0, 99))
def test_a_mixture_has_weights_of_one_and_no_more_components_than_images(
    images: int, components: int, seed: int
) -> None:
    mixture = fit_mixture(unit_rows(images, 8, seed=seed), components, seed)
    assert len(mixture.weights) == min(images, components)
    assert float(mixture.weights.sum()) == pytest.approx(1, abs=1e-5)
    assert mixture.means.shape == (len(mixture.weights), 8)
    assert (mixture.variances >= 0).all()


def test_the_same_seed_gives_the_same_mixture() -> None:
    features = unit_rows(30, 8, seed=1)
    first, second = fit_mixture(features, 4, 7), fit_mixture(features, 4, 7)
    assert torch.equal(first.means, second.means)
    assert torch.equal(first.variances, second.variances)


def test_one_component_is_mean_and_mean_variance() -> None:
    features = unit_rows(50, 8, seed=1)
    mixture = fit_mixture(features, 1, 0)
    torch.testing.assert_close(mixture.means[0], features.mean(dim=0))
    trace = features.var(dim=0, correction=0).sum()
    # scikit-learn adds 1e-6 to every variance.
    torch.testing.assert_close(mixture.variances[0], trace / 8 + 1e-6)


def test_identical_images_are_one_point_without_spread() -> None:
    features = unit_rows(1, 8, seed=1).repeat(9, 1)
    mixture = fit_mixture(features, 4, 0)
    assert torch.equal(mixture.means, features[:1])
    assert mixture.weights.tolist() == [1.0] and mixture.variances.tolist() == [0.0]


def test_duplicates_lower_the_number_of_components() -> None:
    features = unit_rows(2, 8, seed=1).repeat(5, 1)
    assert len(fit_mixture(features, 4, 0).weights) == 2


@pytest.mark.parametrize(
    "features",
    [torch.zeros(0, 4), torch.zeros(4), torch.full((3, 4), torch.nan)],
)
def test_no_images_or_bad_ones_are_refused(features: torch.Tensor) -> None:
    with pytest.raises(FeatureError, match="mixture"):
        fit_mixture(features, 4, 0)


def test_prototypes_lie_as_far_from_their_means_as_the_trace_says() -> None:
    replay = source(variance=0.03)
    noise = torch.randn(replay.means.shape, generator=generator(1, "noise", 0))
    points = replay.means + noise * replay.deviations[:, None]
    drawn = replay.draw(generator(1, "noise", 0))
    torch.testing.assert_close(drawn.features, torch.nn.functional.normalize(points, dim=-1))
    squared = (points - replay.means).square().sum(dim=1)
    # Tr Sigma = 64 * 0.03; a mean of 400 chi-squares of 64 degrees: relative deviation 0.0088.
    assert float(squared.mean()) == pytest.approx(64 * 0.03, rel=4 * math.sqrt(2 / 64 / 400))


def test_without_variance_a_prototype_is_the_mean() -> None:
    replay = source(variance=0.0)
    expected = torch.nn.functional.normalize(replay.means, dim=-1)
    assert torch.equal(replay.draw(generator(1, "noise", 0)).features, expected)


def test_every_step_draws_fresh_noise_and_the_same_step_the_same() -> None:
    replay = source(variance=0.1)
    first = replay.draw(generator(1, "noise", 0)).features
    assert torch.equal(first, replay.draw(generator(1, "noise", 0)).features)
    assert not torch.equal(first, replay.draw(generator(1, "noise", 1)).features)


def test_replaying_some_classes_keeps_their_columns_and_weights() -> None:
    mixtures = [fit_mixture(unit_rows(9, 6, seed=index), 3, 0) for index in range(5)]
    drawn = (
        ReplaySource.of(mixtures, width=6)
        .of_classes(torch.tensor([4, 1]))
        .draw(generator(0, "noise"))
    )
    assert drawn.labels.tolist() == [1, 1, 1, 4, 4, 4]
    assert float(drawn.weights[:3].sum()) == pytest.approx(1, abs=1e-5)
