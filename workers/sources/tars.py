"""Tar source with WebDataset naming: an image and its label differ in the extension alone.

    000001.jpg  000001.cls      the label is the content of the second: a class's key or number
    000002.png  000002.json     the label is the value of the key `label`

A shard is read once for its index, and each image by its offset when it is needed; nothing ever
holds a whole shard.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from adapters.errors import NotFoundError, SettingsError
from workers.formats.problems import shown
from workers.sources.folders import is_image
from workers.sources.image import ImageRef
from workers.sources.places import Place

TAR = ".tar"
MAX_LABEL_BYTES = 2**20


@dataclass(slots=True)
class _Sample:
    """What one shard holds of one sample, as far as it has been read."""

    images: list[tarfile.TarInfo]
    labels: list[str]


def tar_images(place: Place, names: Sequence[str]) -> dict[str, tuple[ImageRef, ...]]:
    """Return the images in the tar shards called `names`, by label, sorted.

    Raises:
        SettingsError: a shard is no uncompressed tar, or samples have no image, no label or
            several; all of them are reported.
    """
    found: dict[str, list[ImageRef]] = {}
    problems: list[str] = []
    for name in names:
        for key, sample in _samples(place, name).items():
            if len(sample.images) != 1 or len(set(sample.labels)) != 1:
                problems.append(f"sample {key!r} of {place.origin(name)} {_wrong(sample)}")
                continue
            (image,) = sample.images
            ref = ImageRef(
                place=place,
                name=name,
                member=image.name,
                start=image.offset_data,
                size=image.size,
            )
            found.setdefault(sample.labels[0], []).append(ref)
    if problems:
        raise SettingsError(
            f"{len(problems)} samples cannot be used; expected an image (000001.jpg) and its class "
            f"(000001.cls, or 000001.json with the key `label`) for each:{shown(problems)}",
            problems=tuple(problems),
        )
    return {label: tuple(found[label]) for label in sorted(found)}


def _samples(place: Place, name: str) -> dict[str, _Sample]:
    samples: dict[str, _Sample] = {}
    try:
        for member, content in _members(place, name):
            path = PurePosixPath(member.name)
            sample = samples.setdefault(str(path.with_suffix("")), _Sample([], []))
            if is_image(member.name):
                sample.images.append(member)
            else:
                sample.labels += _label(content, path.suffix)
    except (tarfile.TarError, NotFoundError) as error:
        raise SettingsError(
            f"expected an uncompressed tar at {place.origin(name)}: {error}"
        ) from error
    # Files that belong to no image, such as a description of the whole shard.
    return {key: sample for key, sample in samples.items() if sample.images or sample.labels}


def _members(place: Place, name: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield the images and label files of a shard, label files with their content."""
    file = io.BufferedReader(_RangeFile(place, name), place.read_ahead)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not member.isreg() or path.name.startswith("."):
                continue
            if is_image(member.name):
                yield member, b""
            elif path.suffix.lower() in (".cls", ".json") and member.size <= MAX_LABEL_BYTES:
                content = tar.extractfile(member)
                yield member, content.read() if content else b""
        # The library takes anything that is no header for the end.
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"it is damaged, or ends too early, at byte {tar.offset}")


def _label(content: bytes, suffix: str) -> list[str]:
    """Return the label that a label file holds, or nothing."""
    try:
        text = content.decode("utf-8").strip()
        if suffix.lower() == ".cls":
            return [text] if text else []
        value = json.loads(text)
    except ValueError:
        return []
    label = value.get("label") if isinstance(value, dict) else None
    if isinstance(label, int) and not isinstance(label, bool):
        return [str(label)]
    return [label] if isinstance(label, str) and label else []


def _wrong(sample: _Sample) -> str:
    images, labels = len(sample.images), sorted(set(sample.labels))
    if images != 1:
        return f"has {images or 'no'} images"
    return f"has the labels {labels}" if labels else "has no label"


class _RangeFile(io.RawIOBase):
    """A file of a place as a stream: what is asked for is read, and nothing else."""

    def __init__(self, place: Place, name: str) -> None:
        super().__init__()
        self._place, self._name, self._position = place, name, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of the file is not known")
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        content = self._place.read(self._name, self._position, len(buffer))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
