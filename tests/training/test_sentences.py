"""The sentence encoder in plain torch, with made-up weights."""

import pytest
import torch
from safetensors.torch import save_file

from training.tiny_sentences import SentenceEncoder

WORDS = ["[PAD]", *(f"[unused{number}]" for number in range(99)), "[UNK]", "[CLS]", "[SEP]"]
WORDS += ["a", "cafe", "cat", "cat", "##s", "sea", "-", "urchin", "."]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder = tmp_path_factory.mktemp("package") / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    draws = torch.Generator().manual_seed(0)

    def of(*shape: int) -> torch.Tensor:
        return 0.1 * torch.randn(*shape, generator=draws)

    sizes = {"word": len(WORDS), "position": 64, "token_type": 2}
    tensors = {f"embeddings.{name}_embeddings.weight": of(n, 384) for name, n in sizes.items()}
    tensors |= {"embeddings.LayerNorm.weight": 1 + of(384), "embeddings.LayerNorm.bias": of(384)}
    for layer in range(6):
        linear = {f"attention.self.{name}": (384, 384) for name in ("query", "key", "value")}
        linear |= {"attention.output.dense": (384, 384)}
        linear |= {"intermediate.dense": (1536, 384), "output.dense": (384, 1536)}
        for name, shape in linear.items():
            tensors[f"encoder.layer.{layer}.{name}.weight"] = of(*shape)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = of(shape[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[f"encoder.layer.{layer}.{name}.weight"] = 1 + of(384)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = of(384)
    save_file(tensors, folder / "model.safetensors")
    return SentenceEncoder(folder.parent)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Cats", [106, 107]),
        ("a sea-urchin.", [103, 108, 109, 110, 111]),
        ("Café", [104]),
        ("dogs", [100]),  # not in the vocabulary
        ("", []),
    ],
)
def test_words_are_taken_apart_into_the_longest_pieces(
    encoder: SentenceEncoder, text: str, pieces: list[int]
) -> None:
    assert encoder.tokens(text) == [101, *pieces, 102]


def test_a_text_is_embedded_alike_alone_and_beside_longer_ones(encoder: SentenceEncoder) -> None:
    texts = ["a sea-urchin.", "cats", "a cafe " * 40]
    together = encoder(texts)
    alone = torch.cat([encoder([text]) for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    assert (together[0] - together[1]).norm() > 0.01
