"""Pixels: whole numbers that are open_clip's own, to the bit, once they are normalised."""

import hashlib
import io
import random
from dataclasses import asdict
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from adapters.errors import ImageError
from workers.encoding.encoder import Encoder
from workers.images.pixels import Decoder, PixelTransform
from workers.images.torchvision_ops import ensure_torchvision_imports
from workers.images.views import Views


def open_clip_config(**changes: Any) -> dict[str, Any]:
    """Return how open_clip prepares pictures for ViT-B-32, with some `changes`."""
    ensure_torchvision_imports()
    import open_clip
    from open_clip.transform import PreprocessCfg

    trained = open_clip.get_pretrained_cfg("ViT-B-32", "laion2b_s34b_b79k")
    known = {key: trained[key] for key in ("mean", "std", "interpolation") if key in trained}
    return asdict(PreprocessCfg(**{**known, "size": 224, **changes}))


def theirs(config: dict[str, Any], picture: Image.Image) -> Tensor:
    """Return what open_clip's own transform makes of a picture."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    transformed: Tensor = image_transform_v2(PreprocessCfg(**config), is_train=False)(picture)
    return transformed


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    content = random.Random(width * height).randbytes(3 * width * height)
    return Image.frombytes("RGB", (width, height), content).convert(mode)


def configurations(encoder: Encoder) -> dict[str, dict[str, Any]]:
    return {
        "tiny": encoder.transform.config,
        "ViT-B-32": open_clip_config(),
        "squashed": open_clip_config(resize_mode="squash", interpolation="bilinear"),
        "padded": open_clip_config(resize_mode="longest", fill_color=7),
    }


SIZES = [(224, 224), (64, 64), (500, 333), (37, 410), (300, 20), (1, 1)]
MODES = ["RGB", "L", "RGBA", "P", "CMYK", "1"]


@pytest.mark.parametrize("name", ["tiny", "ViT-B-32", "squashed", "padded"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_normalised_pixels_are_those_of_open_clip_to_the_bit(
    encoder: Encoder, name: str, width: int, height: int
) -> None:
    config = configurations(encoder)[name]
    transform, picture = PixelTransform(config), photo(width, height)
    pixels = transform(picture)
    assert pixels.dtype is torch.uint8
    assert torch.equal(transform.normalised(pixels[None])[0], theirs(config, picture))


@pytest.mark.parametrize("name", ["tiny", "ViT-B-32"])
@pytest.mark.parametrize("mode", MODES)
def test_whatever_the_mode_of_the_picture(encoder: Encoder, name: str, mode: str) -> None:
    config = configurations(encoder)[name]
    transform, picture = PixelTransform(config), photo(90, 60, mode)
    found = transform.normalised(transform(picture)[None])[0]
    assert torch.equal(found, theirs(config, picture))


def test_many_pictures_are_normalised_as_each_alone(encoder: Encoder) -> None:
    pixels = torch.stack([encoder.transform(photo(40 + n, 50)) for n in range(5)])
    before = pixels.clone()
    together = encoder.transform.normalised(pixels)
    alone = [encoder.transform.normalised(each[None]) for each in pixels]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(pixels, before)


def file_of(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("count", [1, 3])
def test_an_images_views_follow_each_other_and_the_first_is_the_test_view(
    encoder: Encoder, count: int
) -> None:
    pictures = [photo(60, 40), photo(50, 70)]
    files = [file_of(picture) for picture in pictures]
    digests = [hashlib.sha256(file).hexdigest() for file in files]
    found = Decoder(encoder.transform).decode(files, digests, Views(count=count))
    side = encoder.transform(pictures[0]).shape[-1]
    assert (found.shape, found.dtype) == ((2 * count, 3, side, side), torch.uint8)
    for number, picture in enumerate(pictures):
        assert torch.equal(found[number * count], encoder.transform(picture))


def test_what_is_no_image_is_named_by_its_digest(encoder: Encoder) -> None:
    decoder = Decoder(encoder.transform)
    with pytest.raises(ImageError, match="abababababab"):
        decoder.decode([b"no image"], ["ab" * 32], Views())
