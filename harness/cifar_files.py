"""CIFAR-10 and CIFAR-100 in the binary version, as they are published.

Every image is its labels, one byte each, and then 32 rows of red, 32 of green, 32 of blue.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adapters.errors import InputError, NotFoundError
from harness.labelled import ImageSet, Labelled, readable_name
from harness.suite import SetConfig


class _Cifar(NamedTuple):
    """The files of one of the two sets, in the binary version.

    Attributes:
        names: File of the classes' names.
        train: Files of training images.
        test: Files of test images.
        labels: Bytes before an image, the last of which is its label.
    """

    names: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: int


_CIFARS = (
    _Cifar("fine_label_names.txt", ("train.bin",), ("test.bin",), 2),
    _Cifar(
        "batches.meta.txt",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        ("test_batch.bin",),
        1,
    ),
)
_CIFAR_SHAPE = (3, 32, 32)


def cifar_set(one: SetConfig, folder: Path) -> ImageSet:
    """Return the set in `folder`, or in a folder inside it.

    Raises:
        NotFoundError: a file is missing.
        InputError: a file is not what it should be.
    """
    bases = [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())]
    places = [(base, kind) for base in bases for kind in _CIFARS if (base / kind.names).is_file()]
    if not places:
        names = " or ".join(kind.names for kind in _CIFARS)
        raise NotFoundError(
            f"{one.name}: expected {names} in {folder}, found neither; unpack the binary version "
            "of CIFAR there"
        )
    base, kind = places[0]
    classes = [name for name in (base / kind.names).read_text(encoding="utf-8").split() if name]
    return ImageSet(
        name=one.name,
        classes=tuple(readable_name(name, one) for name in classes),
        train=tuple(image for name in kind.train for image in _batch(base / name, kind, classes)),
        test=tuple(image for name in kind.test for image in _batch(base / name, kind, classes)),
    )


def _batch(path: Path, kind: _Cifar, classes: Sequence[str]) -> list[Labelled]:
    if not path.is_file():
        raise NotFoundError(f"expected {path}, found none; unpack the binary version of CIFAR")
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    size = kind.labels + math.prod(_CIFAR_SHAPE)
    if not len(content) or len(content) % size:
        raise InputError(
            f"expected images of {size} bytes in {path}, found {len(content)} bytes in all"
        )
    rows = content.reshape(-1, size)
    labels = rows[:, kind.labels - 1].tolist()
    if max(labels) >= len(classes):
        raise InputError(
            f"expected labels below {len(classes)} in {path}, found {max(labels)}; names and "
            "images are of different sets"
        )
    return [
        Labelled(
            name=f"{path.stem}/{number}",
            label=label,
            read=partial(_ppm, rows[number, kind.labels :]),
            origin=f"image {number} of {path}",
        )
        for number, label in enumerate(labels)
    ]


def _ppm(planes: "np.ndarray[Any, np.dtype[np.uint8]]") -> bytes:
    """Return an image file of the bytes of three planes."""
    _, height, width = _CIFAR_SHAPE
    pixels = planes.reshape(_CIFAR_SHAPE).transpose(1, 2, 0)
    return f"P6 {width} {height} 255\n".encode() + pixels.tobytes()
