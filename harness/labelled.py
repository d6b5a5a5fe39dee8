"""An image set: labelled images to learn from and to measure on."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.suite import SetConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """One image and its class.

    Attributes:
        name: What tells it apart within its set, such as a path.
        label: Index of its class.
        read: Returns the bytes of an image file.
        origin: Where it is, for errors.
    """

    name: str
    label: int
    read: Callable[[], bytes] = field(repr=False, compare=False)
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSet:
    """The images of one set.

    Attributes:
        name: Of the set.
        classes: Their readable names.
        train: To learn from.
        test: To measure on.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[Labelled, ...]
    test: tuple[Labelled, ...]


def listing_digest(images: Sequence[Labelled]) -> str:
    """Return 16 hexadecimal digits that name a list of images: their names and labels."""
    listed = "\n".join(f"{image.label} {image.name}" for image in images)
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def readable_name(name: str, one: SetConfig) -> str:
    """Return how the class `name` of a set is read aloud."""
    return str(name).replace("_", " ") + one.suffix
