"""Exclusion list of the tiny CLIP's training: the demo's classes and every image of its sets.

Images are recognised twice. The exact hash is that of the decoded pixels. The small hash is that of
the picture's outline: its grey 16x16 reduction, each cell against the mean, so that a resized or
re-encoded copy is found too. Both are cut to 64 bits.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

# A small hash with fewer set or unset cells than this belongs to a nearly empty picture.
_LEAST_CELLS = 12
# Small hashes that differ in at most this many of their 256 cells are of one picture.
_MOST_DIFFERENT = 6

_FASHION = "t-shirt/top,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"
_DIGITS = "zero,one,two,three,four,five,six,seven,eight,nine,0,1,2,3,4,5,6,7,8,9"
_SKETCHES = (
    "airplane,baseball,bowtie,bread,chandelier,crayon,dishwasher,diving board,donut,drums,fence,"
    "fish,hockey stick,hot dog,jail,leaf,lighter,lollipop,microphone,mountain,mouth,panda,"
    "parachute,rabbit,radio,rain,sea turtle,shark,shovel,skateboard,smiley face,snowman,sock,"
    "stethoscope,stitches,tooth,umbrella,washing machine,wheel,wristwatch"
)
_CLIP_ART = (
    "arrow,beverage,bird,bug,building,button,dessert,flag,flower,fruit,mammal,map,music,office,"
    "people,plant,road sign,sport,star,tool"
)
# The same things under a near name: no image of these either.
_NEAR = "t-shirt,t-shirts,trousers,pants,sweater,jacket,purse,handbag,shoe,running shoe,bow tie"

DEMO_NAMES = frozenset(
    ",".join((_FASHION, "t-shirt,t shirt,top", _DIGITS, _SKETCHES, _CLIP_ART)).split(",")
)
NEAR_NAMES = frozenset(_NEAR.split(","))


def readable(name: str) -> str:
    """`name` in lower case, its underscores, dashes and doubled spaces as single spaces."""
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


_FORBIDDEN_LABELS = frozenset(readable(name) for name in DEMO_NAMES)
_FORBIDDEN_IMAGE_LABELS = _FORBIDDEN_LABELS | {readable(name) for name in NEAR_NAMES}


def is_demo_name(name: str) -> bool:
    """Whether a text target is exactly the name of one of the demo's classes."""
    return readable(name) in _FORBIDDEN_LABELS


def is_demo_image_name(name: str) -> bool:
    """Whether an image's label is a demo class, in singular or plural or under a near name."""
    label = readable(name)
    return bool({label, label + "s", label.removesuffix("s")} & _FORBIDDEN_IMAGE_LABELS)


def exact_hash(image: Image.Image) -> str:
    """Sixteen hexadecimal digits of the picture's size and red, green and blue bytes."""
    rgb = image.convert("RGB")
    return hashlib.sha256(repr(rgb.size).encode() + rgb.tobytes()).hexdigest()[:16]


def outline(image: Image.Image) -> np.ndarray | None:
    """The 256 cells of the small hash as bytes; None where the picture is too empty to tell."""
    grey = np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), dtype=np.float32)
    cells = grey > grey.mean()
    if min(cells.sum(), 256 - cells.sum()) < _LEAST_CELLS:
        return None
    return np.packbits(cells)


@dataclass(frozen=True)
class Excluded:
    """The hashes of the images that must not be trained on."""

    exact: frozenset[str]
    outlines: np.ndarray

    def contains(self, image: Image.Image) -> bool:
        """Whether the picture, or its resized or re-encoded copy, is among the excluded ones."""
        if exact_hash(image) in self.exact:
            return True
        cells = outline(image)
        if cells is None or not len(self.outlines):
            return False
        different = np.bitwise_count(self.outlines ^ cells).sum(axis=1)
        return bool(different.min() <= _MOST_DIFFERENT)


def hash_folder(folder: Path) -> Iterator[tuple[str, str]]:
    """The exact hash and the outline, as hexadecimal digits, of every image under `folder`."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            with Image.open(path) as image:
                cells = outline(image)
                yield exact_hash(image), "" if cells is None else cells.tobytes().hex()


def write_hashes(rows: Iterable[tuple[str, str]], path: Path) -> None:
    """Write the hashes, one image a line, sorted, so that the file is the same each time."""
    text = "".join(f"{exact} {cells}\n" for exact, cells in sorted(set(rows)))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read_hashes(path: Path) -> Excluded:
    """Read what `write_hashes` wrote."""
    rows = [line.split(" ") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    cells = [np.frombuffer(bytes.fromhex(row[1]), dtype=np.uint8) for row in rows if row[1]]
    outlines = np.stack(cells) if cells else np.zeros((0, 32), dtype=np.uint8)
    return Excluded(frozenset(row[0] for row in rows), outlines)
