"""Image shards: tar files of the images as they were given, small enough to embed one at a time.

Which images share a shard follows from the images alone: they are ordered by their SHA-256, and cut
where their digests say so. One image more or less changes the shard that it falls into and seldom
another; labels and names of files change none. So whatever is kept by a shard's digest, its
features above all, outlives corrections of a task.

Members are named as WebDataset names them (`000000.png`, `000001.jpg`), by what they are and not by
what their files were called; their order is the order of the labels in the submission.
"""

import io
import tarfile
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from adapters.errors import CorruptionError, SettingsError
from workers.formats.tar_members import bounded_members
from workers.images.decode import extension_of

MAX_IMAGES = 256
"""Most images of a shard; cut as `cut_into_shards` does, shards then hold half as many."""

MAX_BYTES = 64 * 2**20


class Content(Protocol):
    """An image as far as shards are concerned."""

    @property
    def digest(self) -> str:
        """SHA-256 of its file, in hexadecimal."""

    @property
    def size(self) -> int:
        """Bytes of its file."""


Image = TypeVar("Image", bound=Content)


def cut_into_shards(images: Iterable[Image]) -> list[tuple[Image, ...]]:
    """Return distinct images in the order of their digests, in groups that fit into a shard.

    A group that is too large is cut before the image, other than its first, whose digest is the
    smallest when it is read backwards; so is each part. These are the buckets of a random search
    tree: on the average they are half full, and an image that is added or removed moves the
    boundaries beside it alone.
    """
    groups = []
    pending = [tuple(sorted(images, key=lambda image: image.digest))]
    while pending:
        group = pending.pop()
        if _fits(group):
            groups.append(group)
            continue
        cut = min(range(1, len(group)), key=lambda index: group[index].digest[::-1])
        pending += [group[cut:], group[:cut]]
    return [group for group in groups if group]


def packed_size(sizes: Iterable[int]) -> int:
    """Return the bytes of a tar of files of these sizes."""
    blocks = sum(1 + -(-size // tarfile.BLOCKSIZE) for size in sizes) + 2
    return -(-blocks * tarfile.BLOCKSIZE // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def pack_shard(contents: Iterable[bytes]) -> bytes:
    """Return a tar of image files, taken one by one; the same files always give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for index, content in enumerate(contents):
            member = tarfile.TarInfo(f"{index:06d}{extension_of(content)}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def unpack_shard(content: bytes) -> tuple[bytes, ...]:
    """Return the image files in the tar `content`, in order.

    Raises:
        CorruptionError: it is no tar, which nobody has packed.
    """
    try:
        return tuple(member.read(member.size) for member in bounded_members(io.BytesIO(content)))
    except SettingsError as error:
        raise CorruptionError(f"a shard is damaged: {error.message}; submit again") from error


def _fits(group: Sequence[Content]) -> bool:
    if len(group) <= 1:
        return True
    return len(group) <= MAX_IMAGES and packed_size(image.size for image in group) <= MAX_BYTES
