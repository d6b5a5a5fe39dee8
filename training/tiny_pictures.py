"""Unlabelled pictures of free packages: photographs, textures, paintings, icons and drawings.

No picture needs a label to be looked at by two towers. The rules of the labelled ones hold: every
excluded image is left out, and so is every file that a word of a demo class is in the name of.
"""

import io
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from training.tiny_exclusion import Excluded, is_demo_image_name
from training.tiny_images import demo_folder
from training.tiny_sources import Package, fetch, open_on_white

_SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".webp", ".gif", ".tga", ".bmp"])
_ARCHIVES = frozenset([".pk3", ".zip", ".sh3f", ".sh3t"])
# A picture with a shorter side or with less contrast than this shows nothing.
_LEAST_SIDE = 24
_LEAST_DEVIATION = 6.0


@dataclass(frozen=True)
class Gallery:
    """A package of pictures: how many are taken, how large and how often each is looked at."""

    package: Package
    most: int = 1000
    side: int = 320
    views: int = 4


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    read: Callable[[], bytes]


def pictures(gallery: Gallery, cache: Path, excluded: Excluded) -> Iterator[Image.Image]:
    """The pictures of a gallery, drawn by their names, without those that must not be used."""
    largest: dict[str, _File] = {}
    for file in _files(fetch(gallery.package, cache)):
        title = _title(PurePath(file.name))
        if title not in largest or file.size > largest[title].size:
            largest[title] = file
    files = [file for _, file in sorted(largest.items()) if not _is_demos(file.name)]
    random.Random(0).shuffle(files)
    taken = left_out = 0
    for file in files:
        image = open_on_white(io.BytesIO(file.read()), longest=gallery.side)
        if image is None or not _shows_something(image):
            continue
        if excluded.contains(image):
            left_out += 1
            continue
        yield image
        taken += 1
        if taken == gallery.most:
            break
    print(f"  {gallery.package.name}: {taken} pictures, {left_out} left out", flush=True)


def _files(folder: Path) -> Iterator[_File]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        if path.suffix.lower() in _SUFFIXES:
            yield _File(str(path.relative_to(folder)), path.stat().st_size, path.read_bytes)
        elif path.suffix.lower() in _ARCHIVES and zipfile.is_zipfile(path):
            archive = zipfile.ZipFile(path)
            for entry in archive.infolist():
                if PurePath(entry.filename).suffix.lower() in _SUFFIXES:
                    read = partial(archive.read, entry)
                    yield _File(entry.filename, entry.file_size, read)


def _title(path: PurePath) -> str:
    """What the sizes of one picture have in common: its name, or the folder if that is a size."""
    stem = path.stem.lower()
    return stem if re.search("[a-z]{2}", stem) else str(path.parent)


def _is_demos(name: str) -> bool:
    """Whether a word of the file's name, or its folder, belongs to a class of the demo."""
    path = PurePath(name)
    words = [word for word in re.split(r"[\W_\d]+", path.stem.lower()) if word]
    pairs = [" ".join(words[i : i + 2]) for i in range(len(words) - 1)]
    return demo_folder(path) or any(is_demo_image_name(word) for word in words + pairs)


def _shows_something(image: Image.Image) -> bool:
    small = image.resize((32, 32))
    return min(image.size) >= _LEAST_SIDE and float(np.asarray(small).std()) > _LEAST_DEVIATION
