"""The second encoder that ships: a small vision transformer in the first one's joint space."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from adapters.errors import SettingsError
from adapters.methods import method_named
from workers.encoding.encoder import SHIPPED, Encoder, untrained_tower
from workers.encoding.encoder_settings import TINY, TINY_VIT, EncoderSettings
from workers.encoding.joined_towers import IMAGE_TOWER, joined_weights

SETTINGS = EncoderSettings(model=TINY_VIT)
MOST_BYTES = 15_000_000
CLIP_ART = Path(__file__).parents[3] / "cluster" / "examples" / "clip-art" / "test"
CHANGE_THE_TOWER = [
    ("cl_lora", {}),
    ("dmc", {"adapter": "tower"}),
    ("dmc_ot", {"adapter": "tower"}),
]
"""Methods, and settings with which they learn in the image tower."""


@pytest.fixture(scope="module")
def second() -> Encoder:
    torch.set_num_threads(1)
    return Encoder(SETTINGS)


def test_it_has_the_text_tower_of_the_first_to_the_bit(encoder: Encoder, second: Encoder) -> None:
    first, other = encoder.model.state_dict(), second.model.state_dict()
    texts = {name for name in first if not name.startswith("visual.")}
    assert texts == {name for name in other if not name.startswith("visual.")}
    assert all(torch.equal(first[name], other[name]) for name in texts)
    prompts = ["a photo of a bird.", "a drawing of a boat."]
    assert torch.equal(encoder.text_features(prompts), second.text_features(prompts))


def test_features_of_the_two_never_meet(encoder: Encoder, second: Encoder) -> None:
    assert second.fingerprint != encoder.fingerprint
    assert (second.width, second.logit_scale) == (encoder.width, encoder.logit_scale)


def test_its_image_tower_lies_in_the_joint_space_of_the_first(
    encoder: Encoder, second: Encoder
) -> None:
    paths = [path for path in sorted(CLIP_ART.rglob("*")) if path.is_file()][::4]
    one, other = (
        each.image_tower.features(torch.stack([each.transform(opened(path)) for path in paths]))
        for each in (encoder, second)
    )
    nearest = (other @ one.T).argmax(dim=1)
    # By chance one in len(paths) would be right.
    assert (nearest == torch.arange(len(paths))).float().mean() > 0.3


def opened(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


@pytest.mark.parametrize(("name", "settings"), CHANGE_THE_TOWER)
def test_methods_that_change_the_tower_take_the_second_and_refuse_the_first(
    name: str, settings: dict[str, object]
) -> None:
    method_named(name).check_tower(lambda: untrained_tower(SETTINGS), settings)
    with pytest.raises(SettingsError, match="changes the attention of a vision transformer"):
        method_named(name).check_tower(
            lambda: untrained_tower(EncoderSettings(model=TINY)), settings
        )


def test_the_file_that_ships_is_small_in_half_precision_and_the_one_that_was_measured() -> None:
    weights = SHIPPED[TINY_VIT] / IMAGE_TOWER
    assert weights.stat().st_size <= MOST_BYTES
    assert {each.dtype for each in load_file(weights).values()} == {torch.float16}
    (digest,) = re.findall(r"\b[0-9a-f]{64}\b", (SHIPPED[TINY_VIT] / "README.md").read_text())
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == digest


def test_it_is_had_in_lower_precision_under_another_fingerprint(second: Encoder) -> None:
    low = Encoder(EncoderSettings(model=TINY_VIT, precision="bf16"))
    assert low.fingerprint != second.fingerprint
    pictures = [Image.open(path).convert("RGB") for path in sorted(CLIP_ART.glob("*/00.jpg"))]
    pixels = torch.stack([second.transform(picture) for picture in pictures])
    expected, found = (each.image_tower.features(pixels) for each in (second, low))
    assert (expected * found).sum(dim=1).min() > 0.999


def test_weights_are_stored_as_open_clip_names_them(second: Encoder) -> None:
    assert joined_weights().keys() == second.model.state_dict().keys()
