"""Letters and signs in the faces of free fonts; no digit, and nothing that names a demo class.

They are what the towers see of small shapes of one kind, which the demo's digits and sketches are
told apart by.
"""

import random
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.tiny_images import Labelled, names_demo_class
from training.tiny_sources import debian

SIGNS_PER_FACE = 30
_SIDE = 64
_SIZE = 48
_DRAWN = 300
_ASCII = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz&?!@#$%"
# Letters that look like a zero or a one.
_LIKE_DIGITS = frozenset("OoIlΟοΙОоІӀ")
# Words of a sign's Unicode name that begin so belong to a class of an excluded set.
_LEFT_OUT = (
    *("digit", "number", "chess", "arrow", "harpoon", "star", "smil", "flor", "flower"),
    *("music", "note", "map"),
)
_LAST_CODE = 0x3200


FONTS = (
    debian("fonts-adf-mekanus", "GPL-2+ with the font exception"),
    debian("fonts-adf-tribun", "GPL-2+ with the font exception"),
    debian("fonts-aenigma", "free, with the author's notice"),
    debian("fonts-bebas-neue", "OFL-1.1"),
    debian("fonts-beteckna", "GPL-3"),
    debian("fonts-breip", "OFL-1.0"),
    debian("fonts-cabinsketch", "OFL-1.1"),
    debian("fonts-comic-neue", "OFL-1.1"),
    debian("fonts-dancingscript", "OFL-1.1"),
    debian("fonts-dejavu-core", "Bitstream Vera"),
    debian("fonts-dkg-handwriting", "OFL-1.1"),
    debian("fonts-essays1743", "OFL-1.1 or LGPL-2.1"),
    debian("fonts-freefont-ttf", "GPL-3+ with the font exception"),
    debian("fonts-georgewilliams", "OFL-1.1 or BSD-3-clause"),
    debian("fonts-humor-sans", "OFL-1.1"),
    debian("fonts-ipafont-gothic", "IPA-1.0"),
    debian("fonts-isabella", "LGPL-2+"),
    debian("fonts-junicode", "OFL-1.1"),
    debian("fonts-kaushanscript", "OFL-1.1"),
    debian("fonts-klee", "OFL-1.1"),
    debian("fonts-kristi", "OFL-1.1"),
    debian("fonts-lato", "OFL-1.1"),
    debian("fonts-linuxlibertine", "OFL-1.1"),
    debian("fonts-lobster", "OFL-1.1"),
    debian("fonts-noto-core", "OFL-1.1"),
    debian("fonts-open-sans", "Apache-2.0"),
    debian("fonts-opendin", "OFL-1.1"),
    debian("fonts-quicksand", "OFL-1.1"),
    debian("fonts-roadgeek", "MIT"),
    debian("fonts-roboto-unhinted", "Apache-2.0"),
    debian("fonts-rufscript", "GPL-3+ with the font exception"),
    debian("fonts-seto", "OFL-1.1"),
    debian("fonts-smc-chilanka", "OFL-1.1"),
    debian("fonts-staypuft", "LGPL-2+"),
    debian("fonts-summersby", "GPL-2+"),
    debian("fonts-texgyre", "GUST Font License"),
    debian("fonts-tlwg-purisa-ttf", "GPL-2+ with the font exception"),
    debian("fonts-yusei-magic", "OFL-1.1"),
)


@cache
def _signs() -> tuple[str, ...]:
    """Every letter, mark and symbol that may be shown."""
    codes = map(chr, range(0x21, _LAST_CODE))
    return tuple(code for code in codes if may_be_shown(code))


def may_be_shown(character: str) -> bool:
    if unicodedata.category(character)[:2] not in ("Lu", "Ll", "Lo", "Sm", "So", "Po"):
        return False
    words = unicodedata.name(character, "digit").lower().replace("-", " ").split()
    if character in _LIKE_DIGITS or unicodedata.numeric(character, None) is not None:
        return False
    return not any(names_demo_class(word) or word.startswith(_LEFT_OUT) for word in words)


def signs(unpacked: Path) -> Iterator[Labelled]:
    """Some signs of each face of a package, alone or between others, in two colours."""
    for path in sorted(unpacked.rglob("*")):
        if path.suffix.lower() in (".ttf", ".otf", ".pfb", ".ttc") and not path.is_symlink():
            yield from _of_face(path)


def _of_face(path: Path) -> Iterator[Labelled]:
    rng = random.Random(path.name)
    try:
        font = ImageFont.truetype(str(path), _SIZE)
        shown = _shown(font, rng)
    except (OSError, ValueError):
        return
    for number in range(min(SIGNS_PER_FACE, 3 * len(shown))):
        sign = shown[number % len(shown)]
        beside = rng.sample(shown, min(2, len(shown))) if rng.random() < 0.3 else ["", ""]
        image = _drawn(font, (beside[0], sign, beside[-1]), rng)
        if image is not None:
            yield Labelled(image, unicodedata.name(sign), "sign")


def _shown(font: ImageFont.FreeTypeFont, rng: random.Random) -> list[str]:
    """Signs that the face has."""
    missing = bytes(font.getmask("\U0010fffd"))
    drawn = rng.sample(_ASCII, SIGNS_PER_FACE // 2) + rng.sample(_signs(), _DRAWN)
    found = [sign for sign in drawn if bytes(font.getmask(sign)) not in (missing, b"")]
    rng.shuffle(found)
    return found[:SIGNS_PER_FACE]


def _drawn(
    font: ImageFont.FreeTypeFont, text: tuple[str, str, str], rng: random.Random
) -> Image.Image | None:
    """The middle sign in the middle, as large as fits, light on dark or in two colours."""
    left, top, right, bottom = font.getbbox(text[1])
    if right - left < 4 or bottom - top < 4:
        return None
    before = font.getlength(text[0])
    ground, ink = _colours(rng)
    side = round(max(right - left, bottom - top) * rng.uniform(1.1, 1.6))
    image = Image.new("RGB", (side, side), ground)
    corner = ((side - right - left) / 2 - before, (side - bottom - top) / 2)
    bold = rng.choice((0, 0, 0, 1, 2))
    ImageDraw.Draw(image).text(corner, "".join(text), ink, font, stroke_width=bold)
    if rng.random() < 0.5:
        image = image.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR, fillcolor=ground)
    return image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)


def _colours(rng: random.Random) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Of the ground and of the ink, at least a fifth of the range apart."""
    if rng.random() < 0.4:
        return (0, 0, 0), (255, 255, 255)
    while True:
        ground, ink = (
            (rng.randrange(256), rng.randrange(256), rng.randrange(256)) for _ in range(2)
        )
        if np.abs(np.subtract(ground, ink)).mean() > 50:
            return ground, ink
