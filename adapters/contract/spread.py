"""Spread: how images of a task lie about the means of their classes.

Shapes: D feature width · C classes of a task
"""

from typing import NamedTuple

from torch import Tensor


class Spread(NamedTuple):
    """How images of a task lie about the means of their classes.

    Attributes:
        means: (C, D), of its classes.
        covariance: (D, D) float64, of an image about the mean of its class.
    """

    means: Tensor
    covariance: Tensor
