"""CL-LoRA's losses, and the reassignment of the distillation's gradient.

    CE     cross-entropy of g(f(x)) over the task's own classes
    KD     H(softmax(g(e(x; U_old)) / T), softmax(g(e(x; U))) / T)), a mean over the batch
    ORT    mean over earlier tasks of |cos(mu, mu_old)|

f reads all blocks and e the shared ones alone. Cross-entropy, not divergence, and no factor T².

Shapes: B images · M classes of the task · W width of a feature · L blocks of the task ·
t tasks before
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, normalize


class CosineHead(NamedTuple):
    """What tells the classes of a task apart while it is learnt: g(z) = scale · cos(z, W).

    Attributes:
        rows: (M, W), of any length.
        scale: sigma, a scalar.
    """

    rows: Tensor
    scale: Tensor | float

    def logits(self, features: Tensor) -> Tensor:
        """Return (B, M) logits of (B, W) features of any length."""
        return self.scale * (normalize(features, dim=-1) @ normalize(self.rows, dim=-1).t())


def distillation(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Return the loss KD of (B, M) logits; gradients reach the teacher where it has a graph."""
    return cross_entropy(student / temperature, (teacher / temperature).softmax(dim=1))


def orthogonality(weights: Tensor, before: Tensor) -> Tensor:
    """Return the loss ORT of block weights (3, L) and those of earlier tasks (t, 3, L).

    Practically inert: two that were drawn freshly have a cosine of 0.93, and the gradient moves
    them by some 0.005 in a thousand steps. It is kept because the source has it.
    """
    return cosine_similarity(weights.flatten()[None], before.flatten(1), dim=1).abs().mean()


def row_weights(up: Tensor) -> Tensor:
    """Return by what the rows of the distillation's gradient with respect to Up are multiplied.

    w_i = d |U_old[i]| / sum over j of |U_old[j]|, for each block and projection by itself, so that
    they are 1 on average; 1 where all rows are zero, by whose sum the source divides.

    Args:
        up: (..., d, r), U_old.

    Returns:
        (..., d, 1).
    """
    norms = up.norm(dim=-1, keepdim=True)
    mean = norms.mean(dim=-2, keepdim=True)
    return torch.where(mean > 0, norms / mean, 1.0)
