"""Image files of every kind that is read, and some that no camera would write."""

import base64
import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

FULL = 20 * 2**20 - 4096
"""Bytes of a file that is almost too large."""
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA"
    "AAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAADwAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABo"
    "dmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEA"
    "GEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAAD"
    "AIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAEAAAAAEA"
    "AAAIAAAAAf///9AAAAAC////yAAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAARG1k"
    "YXQAAAA4KAGvEyF4YsDlMjb/gZPvXPrw1f2jiM6J/Dww16wpjT19a+4C+vJRpoB8x+jj2e4y+eekyy9Dz/A="
)
"""Sixteen by eight pixels, red beside blue; nothing that nacre needs writes HEIC."""


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the file that Pillow makes of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str, size: tuple[int, int] = (23, 17)) -> Image.Image:
    """Return a picture of random pixels, always the same ones."""
    draw = np.random.default_rng(7)
    if mode == "F":
        return Image.fromarray(draw.random(size[::-1], dtype=np.float32))
    if mode in ("I", "I;16"):
        values = draw.integers(0, 2**16, size[::-1])
        return Image.fromarray(values.astype(np.int32 if mode == "I" else np.uint16))
    bands = draw.integers(0, 256, (*size[::-1], len(Image.new(mode, (1, 1)).getbands())))
    if mode in ("1", "P"):
        return Image.fromarray(bands[..., 0].astype(np.uint8)).convert(mode)
    return Image.frombytes(mode, size, bands.astype(np.uint8).tobytes())


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks: bytes, mode: str = "RGB") -> bytes:
    """Return a PNG that has `chunks` right after its head."""
    plain = encoded(noise(mode))
    return plain[:33] + b"".join(chunks) + plain[33:]


def flat_png(width: int, height: int, *, color: int = 2) -> bytes:
    """Return a small file of many pixels, all of them nothing; `color` as in the head of a PNG."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    packing = zlib.compressobj(1)
    row = bytes(1 + samples * width)
    return _png_of(
        width,
        height,
        color,
        b"".join(packing.compress(row) for _ in range(height)) + packing.flush(),
    )


def promising_png(width: int, height: int) -> bytes:
    """Return a file that promises so many pixels, and has none."""
    return _png_of(width, height, 0, zlib.compress(b""))


def _png_of(width: int, height: int, color: int, packed: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)


def jpeg_with(*segments: bytes, **options: Any) -> bytes:
    """Return a JPEG that has `segments` right at its beginning."""
    plain = encoded(noise("RGB"), "JPEG", **options)
    return plain[:2] + b"".join(segments) + plain[2:]


def jpeg_segment(marker: int, data: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg2000_of_size(width: int, height: int) -> bytes:
    """Return a JPEG 2000 code stream that promises a size, and has less."""
    plain = bytearray(encoded(Image.new("L", (8, 8)), "JPEG2000", no_jp2=True))
    plain[8:16] = struct.pack(">II", width, height)
    return bytes(plain)


def jpeg_of_many_scans(scans: int) -> bytes:
    """Return a progressive JPEG of 6 megapixels whose last scan is said again and again."""
    plain = encoded(Image.new("L", PHOTO), "JPEG", progressive=True)
    last = plain[plain.rindex(b"\xff\xc4") : -2]
    return plain[:-2] + last * scans + b"\xff\xd9"


def exif_block(entries: list[tuple[int, int, int, bytes]], *, order: str = ">") -> bytes:
    """Return EXIF of entries, each a tag, a type, a count and four bytes, as they are given."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return head + struct.pack(order + "H", len(entries)) + body + bytes(4)


def tiff_of(tags: list[tuple[int, int, int, int]], data: bytes = b"") -> bytes:
    """Return a TIFF of entries, each a tag, a type, a count and a value, and what follows them."""
    entries = [
        (tag, kind, count, struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value))
        for tag, kind, count, value in tags
    ]
    return exif_block(entries, order="<") + data


def tiff_of_strips(strips: int) -> bytes:
    """Return a TIFF one pixel wide, whose every row is a strip."""
    start = 8 + 2 + 12 * 10 + 4
    tags = [
        (256, 4, 1, 1), (257, 4, 1, strips), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, strips, start), (277, 3, 1, 1), (278, 4, 1, 1),
        (279, 4, strips, start + 4 * strips), (284, 3, 1, 1),
    ]  # fmt: skip
    return tiff_of(tags, struct.pack("<I", 8) * strips + struct.pack("<I", 1) * strips)


def tiff_of_one_tile(width: int, height: int) -> bytes:
    """Return a TIFF of a single pixel in a large tile."""
    start = 8 + 2 + 12 * 10 + 4
    packed = zlib.compress(bytes(2**20))
    tags = [
        (256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1),
        (277, 3, 1, 1), (322, 4, 1, width), (323, 4, 1, height), (324, 4, 1, start),
        (325, 4, 1, len(packed)),
    ]  # fmt: skip
    return tiff_of(tags, packed)


def gif_with(extension: bytes) -> bytes:
    """Return a GIF that has an extension before its picture."""
    plain = encoded(noise("L"), "GIF")
    start = 13 + (3 << ((plain[10] & 7) + 1))
    return plain[:start] + extension + plain[start:]


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Return a file cut off, with some bytes changed, or with some bytes put in."""
    spoilt = bytearray(content)
    how = draw.random()
    if how < 0.2:
        return bytes(spoilt[: draw.randrange(len(spoilt))])
    if how < 0.3:
        at = draw.randrange(len(spoilt))
        spoilt[at:at] = draw.randbytes(draw.choice([1, 2, 4, 100]))
        return bytes(spoilt)
    for _ in range(draw.choice([1, 1, 2, 4, 10])):
        # Heads are short, and most of what can go wrong is there.
        at = draw.randrange(min(len(spoilt), draw.choice([64, 300, len(spoilt)])))
        spoilt[at] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
    return bytes(spoilt)


def of_every_format() -> dict[str, bytes]:
    """Return small files by what they are: each format in each of its modes and codings."""
    written: list[tuple[str, tuple[str, ...], tuple[dict[str, Any], ...]]] = [
        ("PNG", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), ({},)),
        ("JPEG", ("L", "RGB", "CMYK"), ({}, {"progressive": True})),
        ("WEBP", ("RGB", "RGBA"), ({}, {"lossless": True})),
        ("GIF", ("L", "P", "RGB"), ({}, {"comment": b"hello"})),
        ("BMP", ("1", "L", "P", "RGB"), ({},)),
        (
            "TIFF",
            ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"),
            ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}),
        ),
        ("TIFF", ("L", "RGB"), ({"compression": "jpeg"},)),
        ("TIFF", ("1",), ({"compression": "group4"},)),
        ("PPM", ("1", "L", "RGB", "I", "F"), ({},)),
        ("JPEG2000", ("L", "LA", "RGB", "RGBA", "I;16"), ({}, {"no_jp2": True})),
        ("AVIF", ("L", "RGB", "RGBA"), ({},)),
    ]
    found = {
        f"{kind} {mode} {' '.join(map(str, options.values()))}".strip(): encoded(
            noise(mode), kind, **options
        )
        for kind, modes, choices in written
        for mode in modes
        for options in choices
    }
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        frames = {"save_all": True, "append_images": [noise("RGB", (11, 9))]}
        found[f"{kind} of two frames"] = encoded(noise("RGB", (11, 9)), kind, **frames)
    return found | {"HEIC": HEIC}


@dataclass(frozen=True, kw_only=True)
class Costly:
    """A file that costs, or would cost, much.

    Attributes:
        make: Writes it.
        pixels: How many are decoded; 0 where it is refused.
        message: What is said of it; empty where it is used.
    """

    make: Callable[[], bytes]
    pixels: int = 0
    message: str = ""


def many(piece: bytes) -> bytes:
    """Return so many of a piece that a file is almost too large."""
    return piece * (FULL // len(piece))


PHOTO = (3000, 2000)
PHOTO_PIXELS = 6_000_000
STRIP = 20_000
COSTLY: dict[str, Costly] = {
    # strips and large pictures: a few bytes each
    "a strip": Costly(make=lambda: flat_png(1, STRIP), pixels=STRIP),
    "a lying strip": Costly(make=lambda: flat_png(STRIP, 1), pixels=STRIP),
    "a strip of 900,000": Costly(make=lambda: flat_png(1, 900_000), pixels=900_000),
    "a strip of 2,000,000": Costly(
        make=lambda: promising_png(1, 2_000_000), message="sides of 1 to"
    ),
    "49 megapixels": Costly(make=lambda: flat_png(7000, 7000, color=6), pixels=49_000_000),
    "51 megapixels": Costly(make=lambda: promising_png(7150, 7150), message="at most 50000000"),
    "a photograph in JPEG": Costly(
        make=lambda: encoded(Image.new("CMYK", PHOTO), "JPEG", progressive=True),
        pixels=PHOTO_PIXELS,
    ),
    "a photograph in WebP": Costly(
        make=lambda: encoded(Image.new("RGBA", PHOTO), "WEBP", method=0), pixels=PHOTO_PIXELS
    ),
    "a photograph in AVIF": Costly(
        make=lambda: encoded(Image.new("RGB", PHOTO), "AVIF", speed=10), pixels=PHOTO_PIXELS
    ),
    "a photograph in TIFF": Costly(
        make=lambda: encoded(Image.new("F", PHOTO), "TIFF", compression="tiff_adobe_deflate"),
        pixels=PHOTO_PIXELS,
    ),
    "a photograph in GIF": Costly(
        make=lambda: encoded(Image.new("L", PHOTO), "GIF"), pixels=PHOTO_PIXELS
    ),
    # JPEG 2000 holds half as many pixels in as much memory
    "JPEG 2000": Costly(
        make=lambda: encoded(Image.new("RGB", (1500, 1000)), "JPEG2000"), pixels=2 * 1_500_000
    ),
    "a large JPEG 2000": Costly(
        make=lambda: jpeg2000_of_size(5200, 5000), message="at most 25000000"
    ),
    # pieces: each is read by itself
    "empty comments": Costly(make=lambda: jpeg_with(many(b"\xff\xfe\0\2")), message="segments"),
    "escaped bytes": Costly(make=lambda: jpeg_with(many(b"\xff\0")), message="segments"),
    "nothing but filling": Costly(make=lambda: jpeg_with(many(b"\xff")), pixels=391),
    "a long profile": Costly(
        make=lambda: jpeg_with(many(jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1".ljust(65_000)))),
        pixels=391,
    ),
    "scans": Costly(make=lambda: jpeg_of_many_scans(70), message="more than 64 scans"),
    "empty chunks": Costly(make=lambda: png_with(many(png_chunk(b"prIv", b""))), message="chunks"),
    "long texts": Costly(
        make=lambda: png_with(png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(30 * 2**20)))),
        pixels=391,
    ),
    "a profile that unpacks": Costly(
        make=lambda: png_with(png_chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(30 * 2**20)))),
        pixels=391,
    ),
    "blocks of a byte": Costly(
        make=lambda: gif_with(b"\x21\xfe" + many(b"\1x") + b"\0"), message="blocks"
    ),
    "a comment of blocks": Costly(
        make=lambda: gif_with(b"\x21\xfe" + many(b"\xff" + bytes(255)) + b"\0"), pixels=391
    ),
    "no picture among filling": Costly(
        make=lambda: encoded(noise("L"), "GIF")[:13] + bytes(FULL), message="cannot be decoded"
    ),
    "a head of spaces": Costly(make=lambda: b"P6" + many(b" ") + b"1 1 255 abc", message="a head"),
    "a head of comments": Costly(
        make=lambda: b"P6\n" + many(b"#\n") + b"1 1 255\nabc", message="a head"
    ),
    "pixels as text": Costly(make=lambda: b"P3 3000 2000 255\n" + many(b"1 "), message="as text"),
    "strips of a pixel": Costly(make=lambda: tiff_of_strips(FULL // 8), message="strips or tiles"),
    "a tile for a pixel": Costly(
        make=lambda: tiff_of_one_tile(2**16, 2**14), message="tiles of 65536 x 16384"
    ),
    "EXIF that overlaps": Costly(
        make=lambda: png_with(
            png_chunk(
                b"eXIf",
                exif_block([(tag, 7, FULL - 2**20, struct.pack(">I", 8)) for tag in range(65_535)])
                + bytes(FULL - 2**20),
            )
        ),
        pixels=391,
    ),
}
