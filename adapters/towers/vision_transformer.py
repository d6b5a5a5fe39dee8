"""Vision transformer: the blocks of an open_clip image tower, with low-rank changes of attention.

The tower's own weights are only read. A change adds to the queries and the values of one block what
a product of two thin matrices makes of the block's input after its first normalisation: LoRA on a
fused `in_proj` (arXiv 2106.09685, section 4). Several changes can be applied at once, each to its
own copy of the images, in one pass.

Shapes: B images · T sets of changes, applied beside each other · L tokens · d width of the tower ·
r rank · D feature width
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from adapters.errors import SettingsError
from adapters.towers.image_tower import FrozenImageTower

Weight = Tensor | float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LowRank:
    """A low-rank change of one projection: x becomes weight · Up(Down x).

    Attributes:
        down: (r, d), or (T, r, d).
        up: (d, r), or (T, d, r).
        weight: A factor, a scalar or (T,).
    """

    down: Tensor
    up: Tensor
    weight: Weight = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        """Return what is added to the projection of `x`.

        Args:
            x: (..., d), or (T, B, L, d) where there are T of them; in any precision.

        Returns:
            The same shape, in the precision of the change.
        """
        x = x.to(self.down.dtype)
        if self.down.ndim == 2:
            return self.weight * linear(linear(x, self.down), self.up)
        rows = x.flatten(1, -2)
        changed = (rows @ self.down.mT @ self.up.mT).view(x.shape)
        weight = self.weight
        if isinstance(weight, Tensor) and weight.ndim == 1:
            weight = weight.view(-1, *[1] * (x.ndim - 1))
        return weight * changed

    def product(self) -> Tensor:
        """Return weight · Up Down, (d, d): what is added to the projection's own matrix."""
        return self.weight * (self.up @ self.down)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AttentionChange:
    """The changes of one block's attention.

    Attributes:
        query: Of the queries.
        value: Of the values.
    """

    query: LowRank
    value: LowRank


class VisionBlocks:
    """A ViT taken apart: embedding, blocks, and the end, each callable alone.

    Attributes:
        count: Number of blocks.
        width: d.

    Args:
        base: The encoder's tower.
        by: The method that needs it, for the error.

    Raises:
        SettingsError: a tower of another kind.
    """

    # Owns: nothing; the tower is only read.

    def __init__(self, base: FrozenImageTower, *, by: str) -> None:
        check_transformer(base.visual, by=by)
        self._base = base
        self._visual: Any = base.visual
        self._blocks = list(self._visual.transformer.resblocks)
        self.count = len(self._blocks)
        self.width = int(self._visual.transformer.width)

    def embedded(self, pixels: Tensor) -> Tensor:
        """Return what the first block reads of images.

        Args:
            pixels: (B, 3, S, S) uint8, as the encoder's transform gives them.

        Returns:
            (B, L, d), on the tower's device and in its precision.
        """
        tokens: Tensor = self._visual._embeds(self._base.prepared(pixels))
        return tokens

    def through(self, block: int, tokens: Tensor, change: AttentionChange | None = None) -> Tensor:
        """Return what a block makes of `tokens`, (..., L, d); gradients reach its change."""
        layer = self._blocks[block]
        attended = _attended(layer.attn, layer.ln_1(tokens), change)
        tokens = tokens + layer.ls_1(attended)
        out: Tensor = tokens + layer.ls_2(layer.mlp(layer.ln_2(tokens)))
        return out

    def pooled(self, tokens: Tensor) -> Tensor:
        """Return the tower's output before its projection, (..., d), of `tokens` (..., L, d)."""
        leading = tokens.shape[:-2]
        pooled: Tensor = self._visual._pool(tokens.reshape(-1, *tokens.shape[-2:]))[0]
        return pooled.view(*leading, -1)

    def projected(self, pooled: Tensor) -> Tensor:
        """Return features in the joint space, (..., D) float32, of any length."""
        projection = self._visual.proj
        return (pooled if projection is None else pooled @ projection).float()


def merged(visual: Any, changes: Mapping[int, AttentionChange]) -> nn.Module:
    """Return a copy of a ViT that does what `changes`, by block, would do to it.

    Blocks without a change, and everything besides the attention's weights, are the original's own.
    """
    copy = _shallow(visual)
    copy.transformer = transformer = _shallow(visual.transformer)
    blocks = list(visual.transformer.resblocks)
    for index, change in changes.items():
        blocks[index] = block = _shallow(blocks[index])
        block.attn = attention = _shallow(block.attn)
        weight = attention.in_proj_weight.detach().float().clone()
        query, _, value = weight.chunk(3)
        query += change.query.product()
        value += change.value.product()
        weight = weight.to(attention.in_proj_weight.dtype)
        attention.in_proj_weight = nn.Parameter(weight, requires_grad=False)
    transformer.resblocks = nn.ModuleList(blocks)
    changed: nn.Module = copy.eval()
    return changed


def check_transformer(visual: Any, *, by: str) -> None:
    """Raise SettingsError, naming method and tower, unless `visual` is a ViT that can be changed.

    It must be open_clip's `VisionTransformer`, with its usual blocks and pooling.
    """
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
    if (
        type(visual).__name__ == "VisionTransformer"
        and visual.attn_pool is None
        and visual.pool_type in ("tok", "avg")
        and all(type(block).__name__ == "ResidualAttentionBlock" for block in blocks)
    ):
        return
    kind = type(getattr(visual, "trunk", visual)).__name__
    raise SettingsError(
        f"method {by!r} changes the attention of a vision transformer: expected an image tower "
        "such as that of ViT-B-16 or ViT-B-32 of open_clip, with pooling by token or by mean, "
        f"found {kind}; name another `encoder` in the configuration, or another method",
        method=by,
        found=kind,
    )


def _attended(attention: Any, normed: Tensor, change: AttentionChange | None) -> Tensor:
    """Return an `nn.MultiheadAttention` over `normed` (..., L, d) with itself, changed."""
    query, key, value = linear(normed, attention.in_proj_weight, attention.in_proj_bias).chunk(
        3, -1
    )
    if change is not None:
        query = query + change.query(normed).to(query.dtype)
        value = value + change.value(normed).to(value.dtype)
    heads = (*normed.shape[:-1], attention.num_heads, -1)
    query, key, value = (one.reshape(heads).transpose(-3, -2) for one in (query, key, value))
    joined = scaled_dot_product_attention(query, key, value).transpose(-3, -2).flatten(-2)
    attended: Tensor = attention.out_proj(joined)
    return attended


def _shallow(module: Any) -> Any:
    """Return a module of its own that shares all parameters and submodules with `module`."""
    copy = object.__new__(type(module))
    copy.__dict__.update(module.__dict__)
    for name in ("_parameters", "_buffers", "_modules"):
        copy.__dict__[name] = dict(module.__dict__[name])
    return copy
