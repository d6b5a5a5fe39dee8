"""Image shards: tar files of the images as they were given, small enough to embed one at a time.

Members are named as WebDataset names them (`000000.png`, `000001.jpg`); their order is the order of
the labels in the submission. Equal images give equal bytes, so a shard's digest names its content.
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_IMAGES = 256
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One image as it was given.

    Attributes:
        content: The bytes of the file.
        extension: With its dot, lower case.
        label: Index of the class in its task.
    """

    content: bytes
    extension: str
    label: int


def split_into_shards(samples: Sequence[Sample]) -> Iterator[tuple[Sample, ...]]:
    """Yield `samples` in order, in groups of at most `MAX_IMAGES` images and `MAX_BYTES` bytes."""
    group: list[Sample] = []
    size_bytes = 0
    for sample in samples:
        full = len(group) == MAX_IMAGES or size_bytes + len(sample.content) > MAX_BYTES
        if group and full:
            yield tuple(group)
            group, size_bytes = [], 0
        group.append(sample)
        size_bytes += len(sample.content)
    if group:
        yield tuple(group)


def pack_shard(samples: Sequence[Sample]) -> bytes:
    """Return a tar of `samples`; the same samples always give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for index, sample in enumerate(samples):
            member = tarfile.TarInfo(f"{index:06d}{sample.extension}")
            member.size = len(sample.content)
            tar.addfile(member, io.BytesIO(sample.content))
    return buffer.getvalue()


def unpack_shard(content: bytes) -> tuple[bytes, ...]:
    """Return the image files in the tar `content`, in order."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r") as tar:
        files = (tar.extractfile(member) for member in tar.getmembers())
        return tuple(file.read() for file in files if file is not None)
