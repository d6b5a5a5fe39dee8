"""Documents of inspections: what a task is and what may be wrong with it, before it is submitted.

Lists are cut: `count` says how many there are, `shown` has the first of them, the worst first.
"""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from cluster.wire.tasks import SourceCount

VERSION = 1
"""Of the document: it grows where a key changes its meaning, and not where one is added."""
SHOWN, MOST_SHOWN = 24, 1000
"""So many findings of each kind are shown, and can be asked for."""
Split = Literal["train", "held_out"]
Where = Literal["across_splits", "across_classes", "in_class"]
Found = TypeVar("Found")


class Listed(BaseModel, Generic[Found]):
    """Findings of one kind, the worst first."""

    count: int = Field(description="How many there are.")
    shown: list[Found] = Field(description="The first of them.")


class NamedImage(BaseModel):
    """An image of a task."""

    origin: str = Field(description="Where it is.", examples=["birds/train/wren/07.jpg"])
    split: Split = Field(description="`train`: is learnt from; `held_out`: a test image.")
    class_key: str = Field(examples=["wren"])
    digest: str = Field(description="SHA-256 of its file.")


class InspectedClass(BaseModel):
    """What one class has."""

    key: str = Field(examples=["wren"])
    name: str = Field(examples=["wren"])
    train: int = Field(description="Images that are learnt from.")
    held_out: int = Field(description="Test images, also those that would be drawn.")
    unreadable: int = Field(description="Images that cannot be used.")
    copies: int = Field(description="Further copies of an image in the class.")
    size_bytes: int = Field(description="Of the files that are used.")
    sides: tuple[int, int] = Field(description="Shortest and longest side in pixels; 0 for none.")


class ExactDuplicates(BaseModel):
    """Files with the same bytes."""

    where: Where = Field(description="Among what they are.")
    count: int = Field(description="How many files there are.")
    images: list[NamedImage] = Field(description="The first of them.")


class NearDuplicates(BaseModel):
    """Two images that show one picture, though their files differ."""

    where: Where = Field(description="Among what they are.")
    images: tuple[NamedImage, NamedImage]
    likeness: float = Field(description="Correlation of the pictures, 1 where they are equal.")
    mirrored: bool = Field(description="Whether one is the other, left and right exchanged.")


class SuspiciousLabel(BaseModel):
    """An image that looks like one of another class."""

    image: NamedImage
    likely: str = Field(description="The key of the class that it looks like.")
    probability: float = Field(description="Of that class, by a classifier that never saw it.")
    own: float = Field(description="The probability of the class that it has.")


class OutlyingImage(BaseModel):
    """An image that is far from all classes."""

    image: NamedImage
    unusual: float = Field(
        description="By how many deviations it is farther from all classes than is usual."
    )


class SharedClass(BaseModel):
    """A class whose name a class of another task has."""

    key: str
    name: str
    task: str = Field(description="The other task.")
    class_id: str = Field(description="The other class.")
    own: list[NamedImage] = Field(description="Some of its images.")
    theirs: list[str] = Field(
        description="Digests of some images of the other class; none where they are not kept."
    )


class WouldBeRefused(BaseModel):
    """Why the task would not be accepted as it is."""

    error: str = Field(description="The name of the error.", examples=["ImageError"])
    message: str


class EstimatedStage(BaseModel):
    """How long one stage of a submission will take."""

    stage: str = Field(examples=["training"])
    seconds: float | None = Field(description="null where nobody can say.")
    basis: str = Field(description="What that was made of.")


class Estimate(BaseModel):
    """What submitting the task takes."""

    shard_bytes: int = Field(description="Of its images in the store.")
    feature_bytes: int | None = Field(description="Of its features; null where none were made.")
    stages: list[EstimatedStage] = Field(description="In their order, without waiting for others.")


class InspectedTask(BaseModel):
    """What a task is, and what may be wrong with it."""

    version: int = Field(default=VERSION, description="Of this document.")
    task: str = Field(examples=["birds"])
    adapter: str = Field(examples=["main"])
    refusals: list[WouldBeRefused] = Field(
        description="Why it would not be accepted as it is; none where it would."
    )
    submitted: str | None = Field(description="The submission that does already what is asked for.")
    images_by_split: dict[str, int] = Field(examples=[{"train": 60, "held_out": 20}])
    drawn: bool = Field(description="Whether its test images are drawn from the training images.")
    classes: Listed[InspectedClass]
    sources: dict[str, SourceCount] = Field(
        description="What became of everything in `images` and `held_out`."
    )
    unreadable: Listed[str] = Field(description="Sentences on images that cannot be used.")
    cut: Listed[str] = Field(description="Prompts of which the encoder does not read the end.")
    exact: Listed[ExactDuplicates]
    near: Listed[NearDuplicates]
    suspicious: Listed[SuspiciousLabel] | None = Field(
        description="null without features, as the next."
    )
    outliers: Listed[OutlyingImage] | None
    shared: Listed[SharedClass]
    elsewhere: dict[str, int] = Field(
        description="How many of its images each other task of the adapter has, of those that do."
    )
    estimate: Estimate
    encoder: str | None = Field(description="The fingerprint of what made the features.")
    embedded: int = Field(description="Images that were embedded for this; others had features.")
    report: str | None = Field(default=None, description="The page that was written of it.")


def shown_digests(found: InspectedTask) -> Iterator[str]:
    """Yield the digests of the images that a document shows; some come twice."""
    for same in found.exact.shown:
        yield same.images[0].digest
    for pair in found.near.shown:
        yield from (image.digest for image in pair.images)
    for listed in (found.suspicious, found.outliers):
        for doubted in listed.shown if listed else ():
            yield doubted.image.digest
    for shared in found.shared.shown:
        yield from (image.digest for image in shared.own)
        yield from shared.theirs


def retold(document: Any, said: Callable[[str], str]) -> Any:
    """Return a document as JSON whose texts are said as `said` has them."""
    if isinstance(document, dict):
        return {key: retold(value, said) for key, value in document.items()}
    if isinstance(document, list):
        return [retold(value, said) for value in document]
    return said(document) if isinstance(document, str) else document
