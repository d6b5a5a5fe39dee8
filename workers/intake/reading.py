"""Reading, the first pass over a task's images: each is decoded, and forgotten but for its digest.

Several threads read and decode at once, a bounded number of images ahead, so that memory does not
grow with the task.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

from PIL import Image

from adapters.contract.canonical import digest_of
from adapters.errors import ImageError
from workers.concurrency.bounded import in_threads
from workers.images.decode import decode_image
from workers.images.signature import Signature, signature_of
from workers.sources import ImageRef
from workers.tasks.submission import Split
from workers.tasks.task import Images, Task

# Decoding releases the interpreter's lock; a few threads more than cores wait for disks and stores.
THREADS = min(8, (os.cpu_count() or 1) + 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """An image that can be used.

    Attributes:
        ref: Where it is.
        split: What it is for.
        label: Index of its class.
        digest: SHA-256 of its file.
        size: Bytes of its file.
        signature: What its picture looks like, where that was asked for.
    """

    ref: ImageRef
    split: Split
    label: int
    digest: str
    size: int
    signature: Signature | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """An image that cannot be used, and why.

    Attributes:
        problem: One sentence that names it.
        origin: Its name there.
        split: What it is for.
        label: Index of its class.
        missing_here: Whether it should be on this machine and is not.
    """

    problem: str
    origin: str = ""
    split: Split = "train"
    label: int = 0
    missing_here: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listed:
    ref: ImageRef
    split: Split
    label: int


def count_images(task: Task) -> int:
    """Return how many images `task` lists."""
    splits = (task.images, task.held_out)
    return sum(len(refs) for images in splits for refs in images.values())


def read_images(task: Task, *, signed: bool = False) -> Iterator[Sample | Unreadable]:
    """Yield what every image of `task` is: training images first, class by class, in their order.

    Args:
        task: Names the images.
        signed: Whether the signatures of their pictures are wanted, too.

    Raises:
        UnavailableError: an object store cannot be reached.
    """
    listed = chain(_listed(task, task.images, "train"), _listed(task, task.held_out, "held_out"))
    read = partial(_read, signed=signed)
    return in_threads(read, listed, threads=THREADS, ahead=2 * THREADS)


def read_picture(ref: ImageRef) -> tuple[bytes, Image.Image]:
    """Return an image's bytes and its picture.

    Raises:
        ImageError: it cannot be read, decoded or is too large.
    """
    content = ref.read()
    return content, decode_image(content, origin=ref.origin)


def _listed(task: Task, images: Images, split: Split) -> Iterator[_Listed]:
    for label, key in enumerate(task.classes):
        for ref in images.get(key, ()):
            yield _Listed(ref=ref, split=split, label=label)


def _read(listed: _Listed, *, signed: bool) -> Sample | Unreadable:
    try:
        content, picture = read_picture(listed.ref)
    except ImageError as error:
        missing = error.fields.get("missing_here") is True
        return Unreadable(
            problem=error.message,
            origin=listed.ref.origin,
            split=listed.split,
            label=listed.label,
            missing_here=missing,
        )
    return Sample(
        ref=listed.ref,
        split=listed.split,
        label=listed.label,
        digest=digest_of(content),
        size=len(content),
        signature=signature_of(picture) if signed else None,
    )
