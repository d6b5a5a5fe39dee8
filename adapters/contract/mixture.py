"""Gaussian mixture models: the spherical mixture that stands for a class in replay (Eq. 9).

Shapes: n images of the class · D feature width · K mixture components
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adapters.errors import FeatureError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mixture:
    """A mixture of K spherical Gaussians.

    Attributes:
        weights: (K,) float32, summing to 1.
        means: (K, D) float32.
        variances: (K,) float32, the variance of every coordinate, Tr(Sigma) / D.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor


def fit_mixture(class_features: Tensor, components: int, seed: int) -> Mixture:
    """Return the mixture of one class (Eq. 9), the same for the same arguments.

    A class with fewer distinct images than `components` gets one component per distinct image; one
    distinct image gives its own point with variance 0.

    Args:
        class_features: (n, D) float32, n at least 1.
        components: Components wanted, lambda2.
        seed: In [0, 2**32); see `mixture_seed`.

    Raises:
        FeatureError: no features, or features that are not finite.
    """
    if class_features.ndim != 2 or class_features.shape[0] == 0:
        raise FeatureError(
            f"mixture: expected (n, D) features with n at least 1, found "
            f"{tuple(class_features.shape)}"
        )
    if not torch.isfinite(class_features).all():
        raise FeatureError("mixture: expected finite features, found NaN or infinity")
    points = class_features.detach().cpu().numpy().astype(np.float64)  # EM loses digits in float32
    distinct = len(np.unique(points, axis=0))
    if distinct == 1:
        return _point_mass(class_features[0])
    return _fitted(points, components=min(components, distinct), seed=seed)


def _point_mass(point: Tensor) -> Mixture:
    return Mixture(
        weights=torch.ones(1),
        means=point.detach().cpu().float().reshape(1, -1).clone(),
        variances=torch.zeros(1),
    )


def _fitted(
    points: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", *, components: int, seed: int
) -> Mixture:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(components, covariance_type="spherical", random_state=seed)
    with warnings.catch_warnings():
        # A mixture that stopped after 100 rounds of EM is good enough to draw from.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    return Mixture(
        weights=torch.tensor(model.weights_, dtype=torch.float32),
        means=torch.tensor(model.means_, dtype=torch.float32),
        variances=torch.tensor(model.covariances_, dtype=torch.float32),
    )
