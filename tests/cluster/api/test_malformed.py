"""Every picture gets the right answer, or a 4xx that says what is wrong with it."""

import io
import math
import struct
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from cluster.wire.predictions import PredictAnswer
from cluster.wire.problems import Problem
from tests.cluster.api.conftest import Scene


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_of_zeros(width: int, height: int) -> bytes:
    """Return a small file that unpacks to `width` times `height` black pixels."""
    rows = zlib.compress(bytes(1 + (width + 7) // 8) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def answered(api: httpx.Client, content: bytes) -> PredictAnswer:
    response = api.post("/v1/predict", files={"images": ("image", content)})
    assert response.status_code == 200, response.text
    return PredictAnswer.model_validate_json(response.content)


def best(answer: PredictAnswer) -> str | None:
    return answer.results[0].predictions[0].class_id


def turned(image: Image.Image) -> bytes:
    """Return the picture lying on its side, with the word that it is to be turned back."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)


def with_odd_exif(jpeg: bytes) -> bytes:
    """Return a JPEG with the resolution -5/3, as some cameras write it."""
    resolution = struct.pack(">HHII", 0x011A, 10, 1, 26) + bytes(4) + struct.pack(">ii", -5, 3)
    block = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + resolution
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


SAME: dict[str, Callable[[Image.Image], bytes]] = {
    "png": lambda image: encoded(image, "PNG"),
    "bmp": lambda image: encoded(image, "BMP"),
    "tiff": lambda image: encoded(image, "TIFF"),
    "webp": lambda image: encoded(image, "WEBP", lossless=True),
    "jpeg": lambda image: encoded(image.convert("RGB"), "JPEG", quality=95),
    "cmyk jpeg": lambda image: encoded(image.convert("CMYK"), "JPEG", quality=95),
    "alpha": lambda image: encoded(image.convert("RGBA"), "PNG"),
    "palette": lambda image: encoded(image.convert("P"), "PNG"),
    "gray": lambda image: encoded(image.convert("L"), "PNG"),
    "16 bits": lambda image: encoded(
        image.convert("L").convert("I").point(lambda value: value * 257).convert("I;16"), "PNG"
    ),
    "12 bits in 16": lambda image: encoded(
        image.convert("L").convert("I").point(lambda value: value * 16).convert("I;16"), "PNG"
    ),
    "floating point": lambda image: encoded(
        image.convert("L").convert("F").point(lambda value: value / 255), "TIFF"
    ),
    "jpeg 2000": lambda image: encoded(image, "JPEG2000"),
    "avif": lambda image: encoded(image, "AVIF", quality=95),
    "odd exif": lambda image: with_odd_exif(encoded(image, "JPEG", quality=95)),
    "animated gif": lambda image: encoded(
        image.convert("L"), "GIF", save_all=True, append_images=[Image.new("L", image.size)] * 3
    ),
    "animated webp": lambda image: encoded(
        image, "WEBP", save_all=True, lossless=True, append_images=[Image.new("RGB", image.size)]
    ),
    "turned by exif": turned,
    "trailing bytes": lambda image: encoded(image, "PNG") + b"more",
}


@pytest.mark.parametrize("kind", SAME)
def test_one_picture_is_the_same_in_every_form(api: httpx.Client, scene: Scene, kind: str) -> None:
    picture = opened(scene.bag).convert("RGB")
    expected = answered(api, encoded(picture, "PNG"))
    found = answered(api, SAME[kind](picture))
    assert best(found) == best(expected)
    score, known = (answer.results[0].predictions[0].score for answer in (found, expected))
    assert score == pytest.approx(known, abs=0.1)


def test_a_single_pixel_is_a_picture(api: httpx.Client) -> None:
    assert answered(api, encoded(Image.new("RGB", (1, 1), "red"), "PNG")).results


def test_a_long_strip_is_a_picture(api: httpx.Client) -> None:
    assert answered(api, encoded(Image.new("RGB", (1, 20_000), "red"), "PNG")).results


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "empty file"),
    "text": (lambda _: b"this is no picture", "image"),
    "html": (lambda _: b"<html><body>404</body></html>", "image"),
    "svg": (lambda _: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image"),
    "pdf": (lambda _: b"%PDF-1.7\n", "image"),
    "half": (lambda image: image[: len(image) // 2], "image"),
    "its beginning": (lambda image: image[:20], "image"),
    "half a jpeg": (
        lambda image: encoded(opened(image).convert("RGB").resize((200, 200)), "JPEG")[:2000],
        "image",
    ),
    "20,000 by 20,000": (lambda _: png_of_zeros(20_000, 20_000), "pixels"),
    "a bomb": (lambda _: png_of_zeros(60_000, 60_000), "pixels"),
    "no pixels": (
        lambda _: (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0))
            + chunk(b"IEND", b"")
        ),
        "image",
    ),
    "too many bytes": (lambda image: image + bytes(21 * 2**20), "bytes"),
    "not a number": (lambda _: encoded(Image.new("F", (9, 9), math.nan), "TIFF"), "not finite"),
    "a range that nobody knows": (
        lambda _: encoded(Image.new("F", (9, 9), 900.0), "TIFF"),
        "0 to 1 or 0 to 255",
    ),
    "an icon": (lambda image: encoded(opened(image).convert("RGB"), "ICO"), "icon"),
    "a video": (lambda _: b"\0\0\0\x18ftypisom" + bytes(100), "video"),
    "postscript": (lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_picture_is_refused_with_the_reason(
    api: httpx.Client, scene: Scene, kind: str
) -> None:
    make, reason = REFUSED[kind]
    response = api.post("/v1/predict", files={"images": ("photo.png", make(scene.bag))})
    assert response.status_code == 422
    problem = Problem.model_validate_json(response.content)
    assert reason in problem.detail
    assert "photo.png" in problem.detail


def test_one_bad_picture_refuses_the_request_and_is_named(api: httpx.Client, scene: Scene) -> None:
    files = [("images", ("good.png", scene.bag)), ("images", ("bad.png", b"no picture"))]
    response = api.post("/v1/predict", files=files)
    assert response.status_code == 422
    assert "bad.png" in response.json()["detail"]


def test_an_address_is_not_fetched(api: httpx.Client) -> None:
    """Only bytes are taken: a URL is refused like any other text."""
    response = api.post("/v1/predict", json={"images": [{"url": "http://127.0.0.1/secret"}]})
    assert response.status_code == 422
