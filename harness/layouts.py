"""Layouts in which publishers have their image sets, and a reader for each.

folders   {train,test}/CLASS/IMAGE, or val/ in the place of test/; readable class names in
          meta.json under `classes`, or the folders' names
coop      the files `split_zhou_NAME.json` of CoOp, {train,test}: [[path, label, class name]],
          with the images in the folder that `split` lies beside
aircraft  FGVC Aircraft's own text files, by variant
mnist     the four files in idx format, as they are published; class names as LADA has them
cifar     CIFAR-10 or CIFAR-100 in the binary version, as they are published
source    whatever `nacre submit` takes without a task file: folders, lists, tables, shards, exports
"""

import gzip
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adapters.errors import InputError, NotFoundError
from harness.cifar_files import cifar_set
from harness.labelled import ImageSet, Labelled, readable_name
from harness.suite import Layout, SetConfig
from workers.intake.drafting import Draft, draft_task
from workers.sources import ImageRef
from workers.tasks.task import load_task
from workers.tasks.task_file import TaskFile

SPLITS = "the splits split_zhou_*.json come with CoOp's DATASETS.md"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _folders(one: SetConfig, folder: Path) -> ImageSet:
    if not (folder / "train").is_dir():
        raise NotFoundError(f"{one.name}: expected a folder {folder / 'train'}, found none")
    names = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())
    readable = {}
    if (folder / "meta.json").is_file():
        readable = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["classes"]

    def images(part: str) -> tuple[Labelled, ...]:
        return tuple(
            _file(folder, path.relative_to(folder).as_posix(), label)
            for label, name in enumerate(names)
            if (folder / part / name).is_dir()
            for path in sorted((folder / part / name).iterdir())
        )

    classes = tuple(readable_name(readable.get(name, name), one) for name in names)
    test = "test" if (folder / "test").is_dir() else "val"
    return ImageSet(name=one.name, classes=classes, train=images("train"), test=images(test))


def _coop(one: SetConfig, folder: Path) -> ImageSet:
    splits = sorted(folder.glob("split_zhou_*.json"))
    path = folder / one.split if one.split else splits[0] if splits else None
    if path is None or not path.is_file():
        raise NotFoundError(
            f"{one.name}: expected {path or folder / 'split_zhou_*.json'}, found none; {SPLITS}"
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    names = {int(label): name for part in ("train", "test") for _, label, name in content[part]}
    # The splits give paths relative to the folder of images, which has another name in each set.
    first = content["train"][0][0]
    bases = [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())]
    base = next((entry for entry in bases if (entry / first).is_file()), None)
    if base is None:
        raise NotFoundError(
            f"{one.name}: expected the images of {path.name} in {folder}, found no {first} there"
        )

    def images(part: str) -> tuple[Labelled, ...]:
        return tuple(_file(base, name, int(label)) for name, label, _ in content[part])

    classes = tuple(readable_name(names[label], one) for label in sorted(names))
    return ImageSet(name=one.name, classes=classes, train=images("train"), test=images("test"))


def _aircraft(one: SetConfig, folder: Path) -> ImageSet:
    base = folder if (folder / "variants.txt").is_file() else folder / "data"
    if not (base / "variants.txt").is_file():
        raise NotFoundError(f"{one.name}: expected variants.txt in {folder}, found none")
    names = (base / "variants.txt").read_text(encoding="utf-8").split("\n")
    labels = {name.strip(): label for label, name in enumerate(filter(None, names))}

    def images(part: str) -> tuple[Labelled, ...]:
        lines = (base / f"images_variant_{part}.txt").read_text(encoding="utf-8").splitlines()
        pairs = (line.strip().split(" ", 1) for line in lines if line.strip())
        return tuple(_file(base, f"images/{name}.jpg", labels[variant]) for name, variant in pairs)

    classes = tuple(readable_name(name, one) for name in labels)
    return ImageSet(name=one.name, classes=classes, train=images("train"), test=images("test"))


def _mnist(one: SetConfig, folder: Path) -> ImageSet:
    classes = tuple(f'number: "{digit} - {word}"' for digit, word in enumerate(DIGITS))
    return ImageSet(
        name=one.name, classes=classes, train=_idx(folder, "train"), test=_idx(folder, "t10k")
    )


def _idx(folder: Path, part: str) -> tuple[Labelled, ...]:
    pictures = _idx_file(folder, f"{part}-images-idx3-ubyte", f"{part}-images.idx3-ubyte")
    labels = _idx_file(folder, f"{part}-labels-idx1-ubyte", f"{part}-labels.idx1-ubyte")
    _, count, height, width = struct.unpack(">IIII", pictures[:16])
    size = height * width
    if len(pictures) != 16 + count * size or len(labels) != 8 + count:
        raise InputError(f"expected {count} digits and labels in {folder}, found other lengths")

    def reader(index: int) -> Callable[[], bytes]:
        start = 16 + index * size
        header = f"P5 {width} {height} 255\n".encode()
        return lambda: header + pictures[start : start + size]

    return tuple(
        Labelled(
            name=f"{part}/{index}",
            label=labels[8 + index],
            read=reader(index),
            origin=f"digit {index} of {part} in {folder}",
        )
        for index in range(count)
    )


def _idx_file(folder: Path, *names: str) -> bytes:
    for base in (folder, folder / "raw", folder / "MNIST" / "raw"):
        for name in names:
            if (base / name).is_file():
                return (base / name).read_bytes()
            if (base / f"{name}.gz").is_file():
                return gzip.decompress((base / f"{name}.gz").read_bytes())
    raise NotFoundError(f"mnist: expected {names[0]}, packed or not, in {folder}, found none")


def _source(one: SetConfig, folder: Path) -> ImageSet:
    if one.images is not None:
        file = TaskFile(name=one.name, images=one.images, held_out=one.held_out)
        draft = Draft(file=file, folder=folder)
    else:
        draft = draft_task(one.folder if one.folder and "://" in one.folder else str(folder))
    task = load_task(draft.path, content=draft.content)

    def images(part: str, found: Mapping[str, Sequence[ImageRef]]) -> tuple[Labelled, ...]:
        return tuple(
            Labelled(
                name=f"{part}/{ref.name}{ref.member and ':' + ref.member}",
                label=label,
                read=ref.read,
                origin=ref.origin,
            )
            for label, key in enumerate(task.classes)
            for ref in found.get(key, ())
        )

    return ImageSet(
        name=one.name,
        classes=tuple(readable_name(name, one) for name in task.classes.values()),
        train=images("train", task.images),
        test=images("test", task.held_out),
    )


def _file(folder: Path, name: str, label: int) -> Labelled:
    path = folder / name
    return Labelled(name=name, label=label, read=path.read_bytes, origin=str(path))


LAYOUTS: Mapping[Layout, Callable[[SetConfig, Path], ImageSet]] = {
    "folders": _folders,
    "coop": _coop,
    "aircraft": _aircraft,
    "mnist": _mnist,
    "cifar": cifar_set,
    "source": _source,
}
"""The reader of each layout: given what the suite says of a set, and the set's folder.

They raise NotFoundError where files are missing, and InputError where one is not what it should be.
"""
