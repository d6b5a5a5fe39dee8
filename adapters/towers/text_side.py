"""The text side of one task: anchors, and the way to tune them.

Shapes: C classes · D feature width · L tokens per prompt
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from adapters.errors import FeatureError
from adapters.towers.text_tower import TextTower


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TextSide:
    """The text side of one task.

    Attributes:
        features: (C, D) float32, the untuned text features of the task's classes, of any length.
        logit_scale: The factor of cosines in text logits, exp of CLIP's parameter, about 100.
        tower: The text tower; for methods that learn on the text side.
        tokens: (C, L) int64, the classes' prompts; only `adaptformer` needs them.
        tokenizer: From texts to tokens, (N, L) int64; for methods that write prompts themselves.
    """

    features: Tensor
    logit_scale: float
    tower: TextTower | None = None
    tokens: Tensor | None = None
    tokenizer: Callable[[list[str]], Tensor] | None = None

    def kept(self) -> Tensor:
        """Return the features as a record keeps them: contiguous float32 on the CPU."""
        return self.features.detach().cpu().float().contiguous()

    def check(self, *, classes: int, width: int) -> None:
        """Raise FeatureError unless there is one finite feature of `width` per class."""
        if tuple(self.features.shape) != (classes, width):
            raise FeatureError(
                f"text features: expected ({classes}, {width}), found {tuple(self.features.shape)}"
            )
        norms = self.features.norm(dim=-1)
        if not bool((norms.isfinite() & (norms > 0)).all()):
            raise FeatureError("text features: expected finite rows other than zero")
