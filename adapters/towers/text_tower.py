"""The text tower of an open_clip model: prompts to features, padding cut off where that is exact.

Prompts are padded to the context length, 77 tokens in CLIP, although most end after ten. In a tower
that is causal, that places tokens absolutely and that reads its feature at the end token, nothing
behind the end token reaches the feature, so that the padding of a batch can be cut off. Every other
tower runs at full length.

Shapes: B prompts · L tokens · D feature width · W width of the tower · m vectors of a context
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from adapters.errors import SettingsError
from adapters.towers.tuner import Tuner

Path = Literal[
    "cut",  # prompts are cut behind the last end token of the batch
    "full",  # prompts run at the context length
]

_READ_AT_END = ("argmax", "eos")
_LEAST_PROMPT = 3
"""Tokens of the shortest prompt: a beginning, a word, an end."""


class TextTower:
    """The text side of `model`, frozen.

    Attributes:
        path: Which way prompts take through this tower.

    Args:
        model: An open_clip model, `CLIP`, `CustomTextCLIP`, `CoCa` or alike. Its parameters stop
            requiring gradients, and it is put into evaluation mode.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model: Any = model.requires_grad_(False).eval()
        self._text: Any = getattr(model, "text", model)
        self.path: Path = "cut" if _is_exact_when_cut(self._text) else "full"

    @property
    def blocks(self) -> int:
        """Number of blocks a tuner branches from; 0 where the tower's blocks are not known."""
        return len(_blocks(self._text))

    @property
    def width(self) -> int:
        """W, the width of the residual stream; 0 where the tower's blocks are not known."""
        return int(self._text.transformer.width) if self.blocks else 0

    def fresh_tuner(self, *, bottleneck: int, generator: torch.Generator) -> Tuner:
        """Return a tuner for this tower that changes nothing yet.

        Raises:
            SettingsError: the tower's blocks are not known, as in Hugging Face towers.
        """
        if not self.blocks:
            raise SettingsError(
                "text 'adaptformer': this text tower has no blocks that a tuner fits; "
                "use text 'residual'"
            )
        return Tuner(
            blocks=self.blocks, width=self.width, bottleneck=bottleneck, generator=generator
        )

    def cut_length(self, tokens: Tensor) -> int:
        """Return the length that `tokens` (B, L) are run at."""
        if self.path == "full":
            return int(tokens.shape[1])
        return int(_end_positions(self._text, tokens).max()) + 1

    def spaced(self, tokens: Tensor, *, places: int) -> Tensor:
        """Return prompts with free places behind their first token, for a context.

        A prompt that grows too long is cut, and ends as it did.

        Args:
            tokens: (B, L) int64, padded to the context length.
            places: m.

        Returns:
            (B, L) int64.

        Raises:
            SettingsError: the tower's blocks are not known, or it reads no more tokens than that.
        """
        length = tokens.shape[1]
        if not self.blocks or places > length - _LEAST_PROMPT:
            raise SettingsError(
                f"context of {places} vectors: expected a text tower of open_clip's own that reads "
                f"at least {places + _LEAST_PROMPT} tokens, found one with {self.blocks} known "
                f"blocks that reads {length}; use prompts 'none', or a shorter context"
            )
        # The first token stands in the free places: it is neither padding nor an end.
        first = tokens[:, :1]
        wide = torch.cat([first, first.expand(-1, places), tokens[:, 1:]], dim=1)
        cut = wide[:, :length].clone()
        if _pool_type(self._text) in _READ_AT_END:
            ends = _end_positions(self._text, wide)
            lost = (ends >= length).nonzero()[:, 0]
            cut[lost, -1] = wide[lost, ends[lost]]
        return cut

    def features(
        self, tokens: Tensor, tuner: Tuner | None = None, *, context: Tensor | None = None
    ) -> Tensor:
        """Return the features of prompts; gradients reach tuner and context only.

        Args:
            tokens: (B, L) int64, padded to the context length.
            tuner: Branches to add to the blocks.
            context: (m, W), vectors in the places of tokens that `spaced` has returned.

        Returns:
            (B, D), not normalised, equal to the model's own `encode_text` to rounding when there is
            no tuner or a fresh one.
        """
        if not self.blocks:
            encoded: Tensor = self._model.encode_text(tokens)
            return encoded
        tokens = tokens[:, : self.cut_length(tokens)]
        stream, mask = _embedded(self._text, tokens, cut=self.path == "cut")
        if context is not None:
            stream = _with_context(self._text, stream, context)
        for index, block in enumerate(_blocks(self._text)):
            stream = _through(block, stream, mask, tuner and tuner.branch(index))
        return _projected(self._text, _pooled(self._text, stream, tokens))


def _is_exact_when_cut(text: Any) -> bool:
    if not _blocks(text) or getattr(text, "cls_emb", None) is not None:
        return False
    if getattr(text, "use_pad_mask", False) or _pool_type(text) not in _READ_AT_END:
        return False
    positions = getattr(text, "positional_embedding", None)
    return isinstance(positions, Tensor) and positions.ndim == 2 and _is_causal(text.attn_mask)


def _is_causal(mask: Tensor | None) -> bool:
    if mask is None or mask.ndim != 2:
        return False
    causal = torch.full_like(mask, float("-inf")).triu(1)
    return torch.equal(mask, causal)


def _blocks(text: Any) -> list[Any]:
    """Blocks of the kinds open_clip builds its own text towers from; none for foreign towers."""
    transformer = getattr(text, "transformer", None)
    return list(getattr(transformer, "resblocks", []))


def _pool_type(text: Any) -> str:
    return str(getattr(text, "text_pool_type", None) or getattr(text, "pool_type", ""))


def _end_positions(text: Any, tokens: Tensor) -> Tensor:
    if _pool_type(text) == "argmax":
        return tokens.argmax(dim=-1)
    end = int(getattr(text, "text_eos_id", None) or text.eos_id)
    return torch.eq(tokens, end).int().argmax(dim=-1)


def _embedded(text: Any, tokens: Tensor, *, cut: bool) -> tuple[Tensor, Tensor | None]:
    if not cut and hasattr(text, "_embeds"):
        embedded: tuple[Tensor, Tensor | None] = text._embeds(tokens)  # class token, padding mask
        return embedded
    length = tokens.shape[1]
    dtype = text.transformer.get_cast_dtype()
    stream = text.token_embedding(tokens).to(dtype)
    stream = stream + text.positional_embedding[:length].to(dtype)
    mask = text.attn_mask
    return stream, None if mask is None else mask[:length, :length]


def _with_context(text: Any, stream: Tensor, context: Tensor) -> Tensor:
    """Return (B, L, W) with `context`, (m, W), behind the first token, at the places' positions."""
    places = len(context)
    own = context + text.positional_embedding[1 : places + 1]
    own = own.to(stream.dtype).expand(len(stream), -1, -1)
    return torch.cat([stream[:, :1], own, stream[:, places + 1 :]], dim=1)


def _through(block: Any, stream: Tensor, mask: Tensor | None, branch: nn.Module | None) -> Tensor:
    normed: Tensor = block.ln_1(stream)
    if hasattr(block, "attention"):
        attended = block.attention(q_x=normed, attn_mask=mask)
    else:
        attended = block.ln_attn(block.attn(normed, attn_mask=mask))
    stream = stream + block.ls_1(attended)
    out: Tensor = stream + block.ls_2(block.mlp(block.ln_2(stream)))
    return out if branch is None else out + branch(stream.float()).to(out.dtype)


def _pooled(text: Any, stream: Tensor, tokens: Tensor) -> Tensor:
    if getattr(text, "cls_emb", None) is not None:
        appended: Tensor = text.ln_final(stream[:, -1])
        return appended
    normed: Tensor = text.ln_final(stream)
    kind = _pool_type(text)
    rows = torch.arange(len(tokens), device=tokens.device)
    if kind in ("argmax", "eos"):
        column: Tensor | int = _end_positions(text, tokens)
    else:
        column = 0 if kind == "first" else -1
    return normed[rows, column]


def _projected(text: Any, pooled: Tensor) -> Tensor:
    projection = text.text_projection
    if projection is None:
        return pooled
    projected: Tensor = (
        projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection
    )
    return projected
