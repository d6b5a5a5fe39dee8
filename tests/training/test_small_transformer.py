"""How the small vision transformer that ships is trained: its views, targets and tokens."""

import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from training.tiny_exclusion import is_demo_image_name
from training.tiny_plain import KEPT, described, plain_of
from training.tiny_pool import Kind, Picture, Pool, fill_pool, read_pool
from training.tiny_signs import may_be_shown
from training.tiny_student import (
    BATCH,
    PLACED,
    SIDE,
    build_tower,
    drawn_tokens,
    fit,
    read_tower,
    said,
    write_tower,
)
from training.tiny_views import view
from workers.encoding.encoder import SHIPPED, Encoder
from workers.encoding.encoder_settings import TINY_VIT, EncoderSettings

FOLDER = SHIPPED[TINY_VIT]


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    torch.set_num_threads(1)
    return torch.rand(BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def first() -> Encoder:
    return Encoder(EncoderSettings())


def shipped() -> torch.nn.Module:
    tower: torch.nn.Module = build_tower()
    read_tower(tower, FOLDER)
    return tower


def test_training_sees_what_the_tower_says(pixels: torch.Tensor) -> None:
    tower = shipped()
    with torch.no_grad():
        expected, found = tower(pixels[:4]), said(tower, pixels[:4]).mean(dim=1)
    # bfloat16 keeps 8 bits: a cosine over 512 terms is right to about 1e-2.
    assert torch.nn.functional.cosine_similarity(expected, found).min() > 0.99


def test_half_of_each_places_tokens_are_drawn() -> None:
    kept = drawn_tokens(50, torch.Generator().manual_seed(0))
    assert sorted(PLACED.flatten().tolist()) == list(range(64))
    for view_tokens in kept.tolist():
        for drawn, place in zip(view_tokens, PLACED.tolist(), strict=True):
            assert len(set(drawn)) == 2
            assert set(drawn) <= set(place)
    assert len({tuple(tokens.flatten().tolist()) for tokens in kept}) == 50


def test_a_tower_is_learnt_on_from_what_was_written(tmp_path: Path) -> None:
    write_tower(shipped(), tmp_path)
    for name in ("image_tower.safetensors", "open_clip_config.json"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("sign", [*"3٣五½ⅧOl", *"♞☂→⇀★☺♫"])
def test_no_sign_is_a_digit_or_names_an_excluded_class(sign: str) -> None:
    assert not may_be_shown(sign), unicodedata.name(sign)


@pytest.mark.parametrize("sign", [*"Agжき&∑"])
def test_letters_and_marks_are_signs(sign: str) -> None:
    assert may_be_shown(sign)
    assert not is_demo_image_name(unicodedata.name(sign))


def test_a_small_view_is_grey_and_shows_all_of_the_picture() -> None:
    picture = Image.new("RGB", (90, 60), "red")
    ImageDraw.Draw(picture).rectangle((30, 20, 59, 39), fill="yellow")
    for seed in range(20):
        shown = np.asarray(view(picture, random.Random(seed), small=1.0))
        assert (shown == shown[..., :1]).all()
        edges = np.concatenate([shown[[0, -1]].reshape(-1, 3), shown[:, [0, -1]].reshape(-1, 3)])
        assert np.ptp(edges.astype(int)) < 30  # the rectangle lies inside, not cut off
        assert np.ptp(shown.astype(int)) > 20


def test_a_description_tells_where_colours_and_edges_lie(pixels: torch.Tensor) -> None:
    one = torch.zeros(1, 3, SIDE, SIDE)
    one[:, :, 10:40, 10:40] = 1.0
    left, right = described(one), described(one.flip(-1))
    assert torch.allclose(left[:, :192].reshape(3, 8, 8).flip(-1).reshape(1, -1), right[:, :192])
    assert not torch.allclose(left[:, 192:], right[:, 192:])
    assert described(pixels[:2]).shape == (2, 192 + 128)


def test_it_is_said_where_the_first_tower_says_least(pixels: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    sizes = torch.linspace(2.0, 0.01, 512)
    embedded = torch.randn(BATCH, 512, generator=generator) * sizes
    rows = torch.nn.functional.normalize(torch.randn(50, 512, generator=generator) * sizes, dim=1)
    plain = plain_of(pixels, embedded, rows)
    assert torch.allclose(plain.space.T @ plain.space, torch.eye(KEPT), atol=1e-4)
    least = (embedded @ plain.space).square().sum() / embedded.square().sum()
    assert least < 0.01
    assert plain.wanted(pixels).var(dim=0).sum() == pytest.approx(plain.variance, rel=1e-3)
    assert (plain.without(embedded) @ plain.space).abs().max() < 1e-4


def test_each_kind_has_its_share_of_the_pool_and_the_pool_is_learnt_from(
    tmp_path: Path, first: Encoder
) -> None:
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 255, (40, 40, 3), dtype=np.uint8) for _ in range(8)]
    pictures = [Picture(one, 1.0, int(number > 5)) for number, one in enumerate(drawn)]
    kinds = (Kind("many", share=0.3, small=0.0), Kind("few", share=0.7, small=1.0))
    tower = first.model.get_submodule("visual")
    fill_pool(tmp_path, pictures, kinds, tower, views=BATCH, side=SIDE, seed=0)
    pool = read_pool(tmp_path)
    assert pool.views.shape == (BATCH, SIDE, SIDE, 3)
    assert pool.answers.shape == (BATCH, 16, first.width)
    # Of 128 draws at 0.7, four deviations are 0.16.
    assert float(np.mean(pool.kinds)) == pytest.approx(0.7, abs=0.16)
    student = shipped()
    rows = torch.nn.functional.normalize(torch.randn(20, first.width), dim=1)
    before = missed(student, pool)
    fit(student, pool, rows, steps=4, seed=0)
    assert missed(student, pool) < before


def missed(tower: torch.nn.Module, pool: Pool) -> float:
    """The squared distance from the pool's answers."""
    seen = torch.from_numpy(pool.views).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    with torch.no_grad():
        embedded = said(tower, seen).mean(dim=1)
    wanted = torch.from_numpy(pool.answers).float().mean(dim=1)
    return float((embedded - wanted).square().mean())
