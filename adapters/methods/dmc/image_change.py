"""Image change: what DMC learns on the image side, and the features that come of it.

Two kinds: a low-rank change of every block's attention in a vision transformer, learnt on pixels;
and a matrix applied to the features of any tower, learnt on cached ones. Parameters come as
arguments, so that features before and after a task are two calls of one function.

Shapes: B images · D feature width · d width of the tower · r rank · L blocks of the tower
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.dmc.settings import DmcSettings
from adapters.towers.vision_transformer import AttentionChange, LowRank, VisionBlocks

Parameters = Mapping[str, Tensor]


class ImageChange(ABC):
    """One kind of change, and where its images come from."""

    device: torch.device

    @abstractmethod
    def fresh(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return parameters that change nothing yet, by name."""

    @abstractmethod
    def read(self, places: Tensor, *, view: int) -> Tensor:
        """Return what the change is applied to.

        Args:
            places: (B,) int64, places among the task's images.
            view: 0 for the test view, other numbers for augmented ones.
        """

    @abstractmethod
    def features(self, given: Tensor, parameters: Parameters) -> Tensor:
        """Return (B, D) float32 unit rows; gradients reach the parameters.

        Args:
            given: What `read` returned.
            parameters: By name, as `fresh` has them.
        """


class TowerChange(ImageChange):
    """A low-rank change of queries and values in all blocks of a vision transformer.

    Parameters: `down` (L, 2, r, d) and `up` (L, 2, d, r), queries before values.

    Args:
        inputs: Has the tower and the pixels.
        rank: r.
        by: The method, for errors.

    Raises:
        SettingsError: another kind of tower, or no images.
    """

    def __init__(self, inputs: TrainingInputs, *, rank: int, by: str) -> None:
        base, self._pixels = inputs.images.required(by=by)
        self._blocks = VisionBlocks(base, by=by)
        self._rank = rank
        self.device = base.device

    def fresh(self, generator: torch.Generator) -> dict[str, Tensor]:
        width = self._blocks.width
        down = torch.empty(self._blocks.count, 2, self._rank, width)
        reach = 1 / math.sqrt(width)
        return {
            "down": down.uniform_(-reach, reach, generator=generator),
            "up": torch.zeros(self._blocks.count, 2, width, self._rank),
        }

    def read(self, places: Tensor, *, view: int) -> Tensor:
        return self._pixels(places.tolist(), view=view)

    def features(self, given: Tensor, parameters: Parameters) -> Tensor:
        tokens = self._blocks.embedded(given)
        for block, change in attention_changes(parameters).items():
            tokens = self._blocks.through(block, tokens, change)
        return normalize(self._blocks.projected(self._blocks.pooled(tokens)), dim=-1)


class FeatureChange(ImageChange):
    """f = unit(f0 + A f0), f0 being the tower's own features, which are cached.

    Parameters: `matrix` (D, D), A. Augmented views are not cached: every view is the test view.

    Args:
        inputs: Has the features.
    """

    def __init__(self, inputs: TrainingInputs) -> None:
        self.device = torch.device(inputs.device)
        self._rows = inputs.task.features[:, 0].to(self.device, torch.float32)

    def fresh(self, generator: torch.Generator) -> dict[str, Tensor]:
        del generator  # nothing is drawn: at zero the loss has a gradient already
        width = self._rows.shape[1]
        return {"matrix": torch.zeros(width, width)}

    def read(self, places: Tensor, *, view: int) -> Tensor:
        del view
        return self._rows[places.to(self.device)]

    def features(self, given: Tensor, parameters: Parameters) -> Tensor:
        return changed_features(given, parameters["matrix"])


def image_change(inputs: TrainingInputs, settings: DmcSettings, *, by: str) -> ImageChange:
    """Return the change that `settings` ask for."""
    if settings.adapter == "feature":
        return FeatureChange(inputs)
    return TowerChange(inputs, rank=settings.rank, by=by)


def changed_features(rows: Tensor, matrix: Tensor) -> Tensor:
    """Return unit(f0 + A f0) of rows f0, (..., D)."""
    return normalize(rows + rows @ matrix.t(), dim=-1)


def attention_changes(parameters: Parameters) -> dict[int, AttentionChange]:
    """Return the change of every block's attention."""
    # Taken apart at once: each index into a stack would have a gradient as large as the stack.
    downs = [pair.unbind() for pair in parameters["down"].unbind()]
    ups = [pair.unbind() for pair in parameters["up"].unbind()]
    return {
        block: AttentionChange(
            query=LowRank(down=down[0], up=up[0]), value=LowRank(down=down[1], up=up[1])
        )
        for block, (down, up) in enumerate(zip(downs, ups, strict=True))
    }
