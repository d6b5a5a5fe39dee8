"""Products of few images: the same numbers whichever product a processor is fast at."""

import pytest
import torch

from adapters.parts import products
from adapters.parts.products import IMAGES_FIRST, products_of_few
from tests.adapters.synthetic import unit_rows


@pytest.mark.parametrize("images", [1, 2, IMAGES_FIRST, IMAGES_FIRST + 1, 9])
@pytest.mark.parametrize("vectors", [False, True])
def test_products_are_those_of_the_definition(
    images: int, vectors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: vectors, raising=False)
    assert products.multiplies_vectors() is vectors
    rows, features, bias = unit_rows(70, 24, seed=1), unit_rows(images, 24, seed=2), torch.rand(70)
    found = products_of_few(bias, rows, features)
    torch.testing.assert_close(found, bias + features @ rows.t())


def test_a_torch_that_does_not_say_takes_the_product_that_is_fast_enough_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert not products.multiplies_vectors()
