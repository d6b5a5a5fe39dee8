"""RanPAC's statistics, and the identities of ridge regression that they rest on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot

from adapters.errors import SettingsError
from adapters.methods import METHODS
from adapters.methods.ran_pac import RIDGES, RanPacSettings, ridge_solution, sums
from adapters.parts.random_features import gaussian_projection, random_features, uniform_projection
from adapters.parts.statistics import Statistic
from tests.adapters.synthetic import class_means, clusters
from tests.support.scenes.training import learn

PROJECTION = gaussian_projection(24, 60, 0)


def test_sums_of_shards_add_up_to_the_sums_of_the_whole() -> None:
    task = clusters(classes=3, images=12)
    whole_sums, whole_gram = sums(task, PROJECTION)
    total_sums, total_gram = torch.zeros_like(whole_sums), torch.zeros_like(whole_gram)
    for shard in (slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)):
        part = replace(task, features=task.features[shard], labels=task.labels[shard])
        part_sums, part_gram = sums(part, PROJECTION)
        total_sums += part_sums
        total_gram += part_gram
    torch.testing.assert_close(total_sums, whole_sums)
    # The products within a shard are float32.
    torch.testing.assert_close(total_gram, whole_gram, rtol=1e-5, atol=1e-4)


def test_solving_over_features_equals_solving_over_images() -> None:
    task, ridge = clusters(classes=3, images=12), 2.0
    class_sums, gram = sums(task, PROJECTION)
    mapped = random_features(task.features[:, 0], PROJECTION).double()
    targets = one_hot(task.labels).double()
    kernel = mapped @ mapped.t() + ridge * torch.eye(len(mapped), dtype=torch.float64)
    over_images = mapped.t() @ torch.linalg.solve(kernel, targets)
    over_features = ridge_solution(class_sums, gram, ridge=ridge).t()
    torch.testing.assert_close(over_features, over_images, rtol=1e-3, atol=1e-5)


def test_with_targets_of_one_and_minus_one_a_class_without_images_starts_at_minus_the_sum() -> None:
    task = clusters(classes=3, images=12)
    class_sums, gram = sums(task, PROJECTION)
    mapped = random_features(task.features[:, 0], PROJECTION).double()
    appended = torch.cat([class_sums, torch.zeros(1, len(PROJECTION))])  # a class not seen yet
    signed_sums = 2 * appended.double() - class_sums.double().sum(dim=0)
    torch.testing.assert_close(signed_sums[3], -mapped.sum(dim=0), rtol=1e-5, atol=1e-4)
    signs = 2.0 * one_hot(task.labels, 4).double() - 1
    expected = torch.linalg.solve(gram + torch.eye(len(gram)), mapped.t() @ signs)
    found = ridge_solution(signed_sums, gram, ridge=1.0).t()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_the_projection_is_the_same_on_every_day() -> None:
    # Written down once: statistics that are stored today are added to those of another release.
    first = gaussian_projection(512, 5000, 0)[0, :3].tolist()
    assert first == pytest.approx([1.7640524, 0.40015721, 0.97873798], abs=1e-6)
    first = uniform_projection(512, 15_000, 0)[0, :3].tolist()
    assert first == pytest.approx([0.00431455, 0.01902023, 0.00908308], abs=1e-6)


def test_the_ridge_is_the_one_whose_squared_errors_are_least_over_all_tasks() -> None:
    settings = {"width": 60}
    task = clusters(classes=3, images=12)
    record = learn(METHODS["ran_pac"], task, [], text=class_means(task), settings=settings, seed=1)
    statistic = Statistic.of_record(record, "gram")
    assert statistic.costs.shape == (len(RIDGES),)
    # The largest ridge answers zero: every validation image (3 of 12 per class) then costs one.
    assert float(statistic.costs[-1]) == pytest.approx(9, abs=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 5657}, "5,656 is the widest"),
        ({"width": 0}, "at least 1"),
        ({"ridge": 0.0}, "at least 0.1"),
        ({"widht": 100}, "did you mean 'width'"),
    ],
)
def test_impossible_settings_are_refused(settings: Mapping[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        RanPacSettings.from_mapping(settings)


def test_the_widest_statistic_fits_in_64_megabytes() -> None:
    assert RanPacSettings(width=5656).width == 5656
