"""Limits of what is read and made of one picture, each with its reason.

A file says little about what it costs: 161 bytes can hold a strip that is stretched to a thousand
million pixels, 1,200 bytes a tile of a gigabyte. So most of these count what is made of it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLimits:
    """The largest picture that is read, and the most that is made of it.

    Attributes:
        size_bytes: Most bytes in the file; those of phones and cameras have 3 to 15 MiB.
        pixels: Most pixels (width times height). Decoding holds 4 to 20 bytes for each, depending
            on the format, so that the largest picture costs a gigabyte at most while it is decoded.
            AVIF alone may hold more than its head says; its library stops at 268 million.
        side_pixels: Most pixels of one side. Pillow keeps an address for every row, which is twice
            what the pixels take of a strip that is one of them wide.
        jpeg2000_pixels: As `pixels`, for JPEG 2000, whose decoder holds 24 bytes a pixel and takes
            five times as long as any other: as much memory for half of the pixels.
        plain_bytes: Most bytes of a PPM, PGM or PBM that is written as text; a megabyte of it takes
            as long as ten million pixels of other formats.
        parts: Most segments, chunks, blocks or strips of one file, and bytes of a head that is
            text. Each is read by itself; photographs have a few thousand.
        scans: Most scans of a progressive JPEG. Each passes over the whole picture, and some fifty
            bytes are enough for one; encoders write about ten.
        tile_pixels: Most pixels of a tile of a TIFF, which is unpacked whole however small the
            picture: 2048 x 2048, where 1024 x 1024 is the largest in use.
        resized_pixels: Most pixels that resizing makes on the way to the encoder's input, 64 MiB.
            Pictures stay below that are no longer than 74,000 pixels and within 330 : 1 where the
            input has 224, or half of that and 80 : 1 where it has 448. Others are cut or averaged
            before they are resized.
        short_pixels: Most pixels of a picture that is decoded in about a tenth of a second, and is
            held up by nobody.
        pixels_at_once: Most pixels of longer pictures that all threads of a process decode at the
            same time: two of the largest, or eight photographs of a phone.
    """

    size_bytes: int = 20 * 2**20
    pixels: int = 50_000_000
    side_pixels: int = 1_000_000
    jpeg2000_pixels: int = 25_000_000
    plain_bytes: int = 4 * 2**20
    parts: int = 100_000
    scans: int = 64
    tile_pixels: int = 2**22
    resized_pixels: int = 2**24
    short_pixels: int = 4_000_000
    pixels_at_once: int = 100_000_000


DEFAULT_LIMITS = ImageLimits()
