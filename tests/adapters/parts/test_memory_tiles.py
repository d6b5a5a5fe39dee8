"""Memory tiles: what they sum, how they grow, and the formats in which their rows are kept."""

import pytest
import torch
from torch import Tensor

from adapters.contract.memory_format import MemoryFormat
from adapters.parts.memory_rows import Bfloat16Rows, multiplies_bfloat16
from adapters.parts.memory_tiles import ROWS, ClassRows, MemoryTiles
from tests.adapters.synthetic import unit_rows

WIDTH, VECTORS, BETA = 24, 300, 0.7
"""So many vectors that a tile has six classes in float32 and thirteen in bfloat16."""

CLASSES = 17
FORMATS: tuple[MemoryFormat, ...] = ("float32", "bfloat16")
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}
"""Relative. bfloat16 has eight bits: rows and exponents are rounded to one part in 256."""


def blocks(sizes: list[int], *, device: str = "cpu") -> list[ClassRows]:
    """Return blocks of so many classes; every other class has one vector less."""
    found = []
    for seed, classes in enumerate(sizes):
        padded = unit_rows(classes * VECTORS, WIDTH, seed=seed).view(classes, VECTORS, WIDTH)
        bias = torch.full((classes, VECTORS), -BETA)
        padded[::2, -1], bias[::2, -1] = 0, -torch.inf
        found.append(ClassRows(padded=padded.to(device), bias=bias.to(device), beta=BETA))
    return found


def tiles_of(given: list[ClassRows], kept: MemoryFormat) -> MemoryTiles:
    return MemoryTiles(vectors=VECTORS, kept=kept).extended(given)


def by_definition(given: list[ClassRows], features: Tensor) -> Tensor:
    sums = []
    for block in given:
        assert block.bias is not None
        likeness = torch.einsum("nd,cmd->ncm", features, BETA * block.padded)
        sums.append((likeness + block.bias).exp().sum(dim=2))
    return torch.cat(sums, dim=1)


@pytest.mark.parametrize("kept", FORMATS)
@pytest.mark.parametrize("images", [1, 5, 300])
def test_sums_are_those_of_the_equation(kept: MemoryFormat, images: int) -> None:
    given, features = blocks([5, 1, 11]), unit_rows(images, WIDTH, seed=9)
    tiles = tiles_of(given, kept)
    assert tiles.size == ROWS[kept] // VECTORS and tiles.classes == CLASSES
    found = tiles.logits(features, [range(CLASSES)])
    expected = by_definition(given, features)
    torch.testing.assert_close(found, expected, rtol=TOLERANCE[kept], atol=0)


@pytest.mark.parametrize("kept", FORMATS)
@pytest.mark.parametrize("images", [1, 5, 300])
def test_tiles_that_grow_have_the_bits_of_those_made_at_once(
    kept: MemoryFormat, images: int
) -> None:
    given, features = blocks([5, 1, 11]), unit_rows(images, WIDTH, seed=9)
    whole = tiles_of(given, kept).logits(features, [range(CLASSES)])
    grown = MemoryTiles(vectors=VECTORS, kept=kept)
    for block in given:
        grown = grown.extended([block])
        values = grown.logits(features, [range(grown.classes)])
        assert torch.equal(values, whole[:, : grown.classes])


@pytest.mark.parametrize("kept", FORMATS)
@pytest.mark.parametrize("images", [1, 5])
def test_some_classes_have_the_bits_that_they_have_among_all(
    kept: MemoryFormat, images: int
) -> None:
    features, tiles = unit_rows(images, WIDTH, seed=9), tiles_of(blocks([5, 1, 11]), kept)
    whole = tiles.logits(features, [range(CLASSES)])
    some = tiles.logits(features, [range(1, 3), range(15, 17)])
    assert torch.equal(some, whole[:, [1, 2, 15, 16]])


@pytest.mark.parametrize("kept", FORMATS)
def test_more_classes_copy_the_last_tile_alone(kept: MemoryFormat) -> None:
    features = unit_rows(3, WIDTH, seed=9)
    before = tiles_of(blocks([14]), kept)
    known = before.logits(features, [range(14)])
    after = before.extended(blocks([2]))
    shared = len(before.tiles) - 1
    assert all(after.tiles[number] is before.tiles[number] for number in range(shared))
    assert after.tiles[shared] is not before.tiles[shared]
    assert torch.equal(before.logits(features, [range(14)]), known)


def test_bfloat16_takes_half_the_bytes_once_a_tile_is_full() -> None:
    classes = ROWS["bfloat16"] // VECTORS * (ROWS["float32"] // VECTORS)
    exact, rounded = (tiles_of(blocks([classes]), kept) for kept in FORMATS)
    assert exact.room is None and rounded.room is None
    assert rounded.nbytes == exact.nbytes / 2


@pytest.mark.parametrize("packs", [False, True])
def test_bfloat16_products_agree_with_those_of_exact_rows(packs: bool) -> None:
    if packs and not multiplies_bfloat16(torch.device("cpu")):
        pytest.skip("oneDNN does not multiply bfloat16 on this processor")
    rows, features = unit_rows(64, 32, seed=1), unit_rows(5, 32, seed=2)
    bias = torch.full((64,), -5.3)
    bias[3] = -torch.inf
    kept = Bfloat16Rows(rows, bias, packs=packs)
    found = kept.exponents(kept.prepared(features))
    assert found.dtype == torch.float32
    # Half of the last of eight bits at 5.3, and what rows and features lose.
    torch.testing.assert_close(found, torch.addmm(bias, features, rows.t()), rtol=0, atol=0.02)


@pytest.mark.parametrize("kept", FORMATS)
def test_sums_are_made_on_the_device_where_the_rows_are(kept: MemoryFormat) -> None:
    tiles = tiles_of(blocks([5, 11], device="meta"), kept)
    found = tiles.logits(torch.empty(3, WIDTH, device="meta"), [range(2, 16)])
    assert found.device.type == "meta" and found.shape == (3, 14)
    assert found.dtype == torch.float32
