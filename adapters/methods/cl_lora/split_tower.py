"""A vision transformer in two parts: blocks that all tasks share, and blocks of each task's own.

Shapes: B images · T tasks beside each other · L tokens · d width of the tower · D feature width ·
W width of the space, D or d
"""

from collections.abc import Iterable

from torch import Tensor
from torch.nn.functional import normalize

from adapters.methods.cl_lora.changes import BlockChanges
from adapters.methods.cl_lora.settings import Space
from adapters.towers.image_tower import FrozenImageTower
from adapters.towers.vision_transformer import VisionBlocks

METHOD = "cl_lora"


class SplitTower:
    """The encoder's tower, taken apart where the tasks' ways part.

    Attributes:
        blocks: How many the tower has.
        width: d.

    Args:
        base: The encoder's tower, which is only read.
        space: Where features lie.

    Raises:
        SettingsError: a tower that is no vision transformer.
    """

    # Owns: nothing; the tower is only read.

    def __init__(self, base: FrozenImageTower, *, space: Space) -> None:
        self._parts = VisionBlocks(base, by=METHOD)
        self._projects = space == "joint"
        self.blocks, self.width = self._parts.count, self._parts.width

    def lower(self, pixels: Tensor, shared: BlockChanges) -> Tensor:
        """Return what leaves the first blocks, (B, L, d), of pixels (B, 3, S, S) uint8.

        They are as many as `shared` changes.
        """
        return self._through(range(shared.blocks), self._parts.embedded(pixels), shared)

    def upper(self, tokens: Tensor, own: BlockChanges) -> Tensor:
        """Return f, (B, W), of tokens (B, L, d) that have left the first blocks.

        Where `own` is of T tasks beside each other, (T, B, W) of tokens (T, B, L, d).
        """
        return self.read(self._through(range(self.blocks - own.blocks, self.blocks), tokens, own))

    def read(self, tokens: Tensor) -> Tensor:
        """Return the features of tokens (..., L, d) as if the tower ended here, (..., W) float32.

        Unit vectors in the joint space, of any length in the tower's own. Of what leaves the first
        blocks, that is e, the early exit.
        """
        pooled = self._parts.pooled(tokens)
        if not self._projects:
            return pooled.float()
        return normalize(self._parts.projected(pooled), dim=-1)

    def _through(self, blocks: Iterable[int], tokens: Tensor, changes: BlockChanges) -> Tensor:
        for index, block in enumerate(blocks):
            tokens = self._parts.through(block, tokens, changes.of_block(index))
        return tokens
