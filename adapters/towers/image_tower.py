"""The image tower: pixels to unit features, under a name that says everything they depend on.

A version reads images through one tower. For most methods that is the encoder's own; a method that
learns on the image side makes another out of it (`Method.image_tower`), with a fingerprint of its
own, so that features of two towers never meet.

Shapes: N images · S side of the input in pixels · P paths through the tower · D feature width
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize


class ImageTower(Protocol):
    """An image tower that nothing changes any more."""

    @property
    def fingerprint(self) -> str:
        """Names weights, transform, precision, and whatever a method has changed."""

    @property
    def own_bytes(self) -> int:
        """Bytes of memory that it takes besides the encoder's tower, of which it was made."""

    def features(self, pixels: Tensor) -> Tensor:
        """Return the features of images.

        Args:
            pixels: (N, 3, S, S) uint8, as the encoder's transform gives them.

        Returns:
            (N, D) float32 on the CPU, rows of length 1; or (N, P, D) where the method reads every
            image along several paths, the first of which is the one that text is compared with.
        """


class FrozenImageTower:
    """The image tower of an open_clip model as it was trained.

    Args:
        model: An open_clip model; its parameters stop requiring gradients, and it is put into
            evaluation mode.
        normalised: From (N, 3, S, S) uint8 to what the tower reads, float32 on the same device.
        fingerprint: Names the model, its weights, the transform and the precision.
    """

    # Owns: the model, which is never changed.

    def __init__(
        self, model: Any, *, normalised: Callable[[Tensor], Tensor], fingerprint: str
    ) -> None:
        self._model = model.requires_grad_(False).eval()
        self._layout = _quickest_layout(model.visual)
        model.visual.to(memory_format=self._layout)
        self._normalised = normalised
        self._fingerprint = fingerprint
        first = _first_read(model.visual)
        self.device, self.dtype = first.device, first.dtype

    @property
    def fingerprint(self) -> str:
        """Names model, weights, transform and precision."""
        return self._fingerprint

    @property
    def own_bytes(self) -> int:
        """None: it is the encoder's tower itself."""
        return 0

    @property
    def convolves(self) -> bool:
        """Whether it convolves in many layers; a transformer does so in one."""
        return _convolves(self.visual)

    @property
    def visual(self) -> Any:
        """The tower itself, for methods that change it: copy what is to be changed."""
        return self._model.visual

    def prepared(self, pixels: Tensor) -> Tensor:
        """Return (N, 3, S, S) uint8 as the tower reads it, on its device and in its precision."""
        whole = self._normalised(pixels.to(self.device))
        return whole.to(self.dtype, memory_format=self._layout)

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """See `ImageTower`; (N, D)."""
        features = self._model.encode_image(self.prepared(pixels)).float()
        return normalize(features, dim=-1).cpu()


def _quickest_layout(visual: Any) -> torch.memory_format:
    """Return how a tower's images lie in memory: channels last where it convolves in many layers.

    A transformer is no quicker for it. Features differ in the last digits only.
    """
    return torch.channels_last if _convolves(visual) else torch.contiguous_format


def _convolves(visual: Any) -> bool:
    """Return whether a tower convolves in more layers than the first one."""
    convolutions: int = sum(each.ndim == 4 for each in visual.parameters())
    return convolutions > 1


def _first_read(visual: Any) -> Tensor:
    """Return the weight that meets the pixels: embeddings keep their precision in a lower one."""
    weights: list[Tensor] = list(visual.parameters())
    return next((each for each in weights if each.ndim == 4), weights[0])
