"""Findings of an inspection: values that a report is made of; lists are cut, counts are not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Literal, Self, TypeVar

from workers.intake.reading import Sample
from workers.tasks.submission import Split

Found = TypeVar("Found")
Where = Literal["across_splits", "across_classes", "in_class"]
"""Among what copies of one image are: training and test images, classes, or images of one class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed(Generic[Found]):
    """Findings of one kind, the worst first.

    Attributes:
        count: How many there are.
        shown: The first of them.
    """

    count: int = 0
    shown: tuple[Found, ...] = ()

    @classmethod
    def of(cls, found: Iterable[Found], *, count: int, most: int) -> Self:
        """Return at most `most` of `count` findings."""
        return cls(count=count, shown=tuple(islice(found, most)))

    def __iter__(self) -> Iterator[Found]:
        return iter(self.shown)


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedImage:
    """An image as a report names it.

    Attributes:
        origin: Where it is.
        split: What it is for.
        class_key: The key of its class.
        digest: SHA-256 of its file.
    """

    origin: str
    split: Split
    class_key: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassCount:
    """What one class has.

    Attributes:
        key: The class's key.
        name: Its readable name.
        train: Images that are learnt from.
        held_out: Test images, also those that would be drawn from the training images.
        unreadable: Images that cannot be used.
        copies: Further copies of an image in the class.
        size_bytes: Of the files that are used.
        sides: Shortest and longest side of its images in pixels.
    """

    key: str
    name: str
    train: int
    held_out: int
    unreadable: int
    copies: int
    size_bytes: int
    sides: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExactDuplicates:
    """Files with the same bytes.

    Attributes:
        where: Among what they are.
        images: The first of them.
        count: How many there are.
    """

    where: Where
    images: tuple[NamedImage, ...]
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NearDuplicates:
    """Two images that show one picture, though their files differ.

    Attributes:
        where: Among what they are.
        images: Both.
        likeness: The correlation of the pictures, 1 where they are equal.
        mirrored: Whether one is the other, left and right exchanged.
    """

    where: Where
    images: tuple[NamedImage, NamedImage]
    likeness: float
    mirrored: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspiciousLabel:
    """An image that looks like one of another class.

    Attributes:
        image: The image.
        likely: The key of the class that it looks like.
        probability: Of that class, by a classifier that has not seen this image.
        own: The probability of the class that it has.
    """

    image: NamedImage
    likely: str
    probability: float
    own: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlier:
    """An image that is far from all others.

    Attributes:
        image: The image.
        unusual: By how many deviations it is farther from all classes than is usual.
    """

    image: NamedImage
    unusual: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedClass:
    """A class whose name a class of another task has.

    Attributes:
        key: The class's key.
        name: Its name.
        task: The other task.
        class_id: The other class.
        own: Some of its images.
        theirs: Digests of some images of the other class; none where they are kept no longer.
    """

    key: str
    name: str
    task: str
    class_id: str
    own: tuple[NamedImage, ...]
    theirs: tuple[str, ...]


def named(sample: Sample, keys: Sequence[str]) -> NamedImage:
    """Return an image as a report names it; `keys` are those of the task's classes."""
    return NamedImage(
        origin=sample.ref.origin,
        split=sample.split,
        class_key=keys[sample.label],
        digest=sample.digest,
    )


def where_of(group: Iterable[Sample]) -> Where:
    """Return among what images of one picture are."""
    splits, labels = zip(*((each.split, each.label) for each in group), strict=True)
    if len(set(splits)) > 1:
        return "across_splits"
    return "across_classes" if len(set(labels)) > 1 else "in_class"
