"""GDA's closed form."""

from dataclasses import replace

import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.nn.functional import normalize

from adapters.adapter import Adapter
from adapters.errors import SettingsError
from adapters.methods import METHODS
from adapters.methods.gda import ALPHAS, GdaSettings, discriminant
from adapters.parts.statistics import class_means as means_of
from adapters.parts.statistics import within_scatter
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.training import learn


def test_the_closed_form_by_hand() -> None:
    # S = diag(4, 0), N = 5, tr(S) / (N - 1) = 1.
    means = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    scatter = torch.diag(torch.tensor([4.0, 0.0], dtype=torch.float64))
    found = discriminant(means, scatter, images=5)
    # P = 5 diag(1 / 5, 1): weight 1 and bias -1/2 for the first class, 5 and -5/2 for the second.
    expected = torch.tensor([[1.0, 0.0], [0.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(found.weights, expected)
    assert found.biases.tolist() == pytest.approx([-0.5, -2.5])


def test_the_precision_is_the_published_one_up_to_a_factor() -> None:
    task = clusters(classes=3, images=20)
    scatter, images = within_scatter(task), len(task.labels)
    covariance = scatter / (images - 1)
    identity = torch.eye(task.width, dtype=torch.float64)
    published = task.width * torch.linalg.pinv(
        (images - 1) * covariance + covariance.trace() * identity
    )
    expected = means_of(task).double() @ published * images / task.width
    found = discriminant(means_of(task), scatter, images=images)
    torch.testing.assert_close(found.weights, expected)


def test_the_discriminant_is_the_gaussian_log_density_up_to_what_all_classes_share() -> None:
    task, images = clusters(classes=3, images=40), unit_rows(9, 24, seed=4).double()
    scatter, count = within_scatter(task), len(task.labels)
    covariance = scatter / count + scatter.trace() / (count * (count - 1)) * torch.eye(24)
    found = discriminant(means_of(task), scatter, images=count)
    densities = torch.stack(
        [
            MultivariateNormal(mean, covariance).log_prob(images)  # type: ignore[no-untyped-call]
            for mean in means_of(task).double()
        ],
        dim=1,
    )
    scores = images @ found.weights.t() + found.biases
    torch.testing.assert_close(
        scores - scores.mean(1, keepdim=True), densities - densities.mean(1, keepdim=True)
    )


def test_alpha_weighs_the_discriminant_beside_the_text_logits() -> None:
    task, images = clusters(), unit_rows(5, 24, seed=4)
    values = {}
    for fusion, alpha in (("alone", 1.0), ("text", 0.0), ("text", 0.5)):
        settings = {"fusion": fusion, "alpha": alpha}
        record = learn(METHODS["gda"], task, [], text=class_means(task), settings=settings, seed=1)
        scores = Adapter([record]).score(images, encoder=ENCODER, logit_scale=SCALE)
        values[fusion, alpha] = scores.values
    text = SCALE * images @ normalize(class_means(task).features, dim=-1).t()
    torch.testing.assert_close(values["text", 0.0], text)
    torch.testing.assert_close(values["text", 0.5], text + 0.5 * values["alone", 1.0])


def test_every_task_adds_what_each_alpha_costs_on_its_held_out_images() -> None:
    task = clusters(classes=3, images=8)
    record = learn(METHODS["gda"], task, [], text=class_means(task), settings={}, seed=1)
    costs = record.tensors["costs"]
    assert costs.shape == (len(ALPHAS),)
    assert (costs >= 0).all() and (costs <= 3 * 2).all()  # two of eight images are for validation


def test_one_image_per_class_is_enough() -> None:
    task = clusters(classes=5, images=1)
    record = learn(METHODS["gda"], task, [], text=class_means(task), settings={}, seed=1)
    scores = Adapter([record]).score(task.features[:, 0], encoder=ENCODER, logit_scale=SCALE)
    assert torch.equal(scores.winners, task.labels)


def test_duplicated_images_are_no_obstacle() -> None:
    task = clusters(classes=2, images=3)
    same = replace(task, features=task.features[::3].repeat_interleave(3, dim=0))
    record = learn(METHODS["gda"], same, [], text=class_means(same), settings={}, seed=1)
    scores = Adapter([record]).score(same.features[:, 0], encoder=ENCODER, logit_scale=SCALE)
    assert torch.isfinite(scores.values).all()


def test_a_wrong_setting_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'alpha'"):
        GdaSettings.from_mapping({"aplha": 1})
    with pytest.raises(SettingsError, match="fusion"):
        GdaSettings.from_mapping({"fusion": "both"})
    with pytest.raises(SettingsError, match="at least 0"):
        GdaSettings.from_mapping({"alpha": -1})
