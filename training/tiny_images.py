"""Labelled images from packages: sketches, stamps, clip art and emoji, without the demo's."""

import gzip
import json
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.tiny_exclusion import Excluded, is_demo_image_name, readable
from training.tiny_sources import open_on_white

SKETCHES_PER_CLASS = 24
# Folders of the clip-art library that belong to a class of the demo, whatever image of theirs.
_CLIP_ART_FOLDERS = (
    "arrows,beverages,birds,bugs,buildings,buttons,desserts,flags,flowers,fruit,geography,mammals,"
    "map_symbols,maps,music,office,people,plants,roadsigns,sports,stars,tools"
)
_DEMO_FOLDERS = frozenset(_CLIP_ART_FOLDERS.split(","))
_DEMO_STAMP_FOLDERS = frozenset({"birds", "fish", "flags", "flowers", "fruit", "insects", "music"})
_SKIPPED_STAMPS = frozenset({"alphabets", "chess", "math", "money", "plants", "shapes"})


@dataclass(frozen=True)
class Labelled:
    """An image, its label and what kind of picture it is."""

    image: Image.Image
    label: str
    kind: str


def sketches(unpacked: Path, most: int = SKETCHES_PER_CLASS) -> Iterator[Labelled]:
    """White strokes on black, some of every class."""
    for path in sorted((unpacked / "package" / "src" / "drawings").glob("*.ndjson.gz")):
        label = readable(path.name.removesuffix(".ndjson.gz"))
        if is_demo_image_name(label):
            continue
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        for line in lines[:most]:
            cells = np.asarray(json.loads(line), dtype=np.float32)
            side = int(len(cells) ** 0.5)
            grey = (cells.reshape(side, side) * 255).astype(np.uint8)
            yield Labelled(Image.fromarray(grey).convert("RGB"), label, "sketch")


def stamps(unpacked: Path) -> Iterator[Labelled]:
    """Photo cut-outs with a sentence beside each."""
    root = unpacked / "usr" / "share" / "tuxpaint" / "stamps"
    for path in sorted(root.rglob("*.png")):
        sentence = path.with_suffix(".txt")
        parts = set(path.relative_to(root).parts[:-1])
        if not sentence.exists() or parts & (_SKIPPED_STAMPS | _DEMO_STAMP_FOLDERS):
            continue
        label = _sentence_label(sentence.read_text(encoding="utf-8", errors="replace"))
        image = None if not label or names_demo_class(label) else open_on_white(path)
        if image is not None:
            yield Labelled(image, label, "photo")


def clip_art(unpacked: Path, nouns: Collection[str]) -> Iterator[Labelled]:
    """Drawings whose file name begins with a noun."""
    root = unpacked / "usr" / "share" / "openclipart" / "png"
    for path in sorted(root.rglob("*.png")):
        if set(path.relative_to(root).parts[:-1]) & _DEMO_FOLDERS:
            continue
        label = _leading_noun(path.stem, nouns)
        image = None if not label or names_demo_class(label) else open_on_white(path)
        if image is not None:
            yield Labelled(image, label, "clip art")


def emoji(unpacked: Path) -> Iterator[Labelled]:
    """Each emoji of one code point, labelled with its Unicode name."""
    path = next(unpacked.rglob("NotoColorEmoji.ttf"))
    font = ImageFont.truetype(str(path), 109)
    blank = _glyph(font, "\U0010fffd").tobytes()
    for code in [*range(0x2600, 0x27C0), *range(0x1F300, 0x1FB00)]:
        label = readable(unicodedata.name(chr(code), ""))
        if not label or names_demo_class(label) or len(label.split()) > 5:
            continue
        image = _glyph(font, chr(code))
        if image.tobytes() != blank and np.asarray(image).std() > 5:
            yield Labelled(image, label, "emoji")


def demo_folder(path: PurePath) -> bool:
    """Whether a file of the clip art or the stamps lies in a folder of a demo class."""
    folders = set(path.parts[:-1])
    if "openclipart" in folders:
        return bool(folders & _DEMO_FOLDERS)
    return "stamps" in folders and bool(folders & (_SKIPPED_STAMPS | _DEMO_STAMP_FOLDERS))


def names_demo_class(label: str) -> bool:
    """Whether the label, or its last word (a `red shirt` is a shirt), is a demo class."""
    return is_demo_image_name(label) or is_demo_image_name(label.rsplit(maxsplit=1)[-1])


def without_excluded(images: Iterator[Labelled], excluded: Excluded) -> Iterator[Labelled]:
    """Leave out every image that the demo's sets have too, and say how many that were."""
    left_out = 0
    for labelled in images:
        if excluded.contains(labelled.image):
            left_out += 1
        else:
            yield labelled
    print(f"  {left_out} images left out: they are in the excluded sets", flush=True)


def _glyph(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    image = Image.new("RGB", (136, 128), "white")
    ImageDraw.Draw(image).text((0, 0), character, font=font, embedded_color=True)
    return image


def _sentence_label(text: str) -> str:
    lines = text.splitlines()
    first = re.split(r"[.!?,(;:]", lines[0])[0] if lines else ""
    return re.sub(r"^(an?|the|some|a pair of)\s+", "", readable(first))


def _leading_noun(stem: str, nouns: Collection[str]) -> str:
    words = [word for word in re.split(r"[\W_\d]+", stem.lower()) if word]
    for count in (3, 2, 1):
        label = " ".join(words[:count])
        if len(words) >= count and len(label) > 2 and label in nouns:
            return label
    return ""
