"""The image side of a task in training: the tower, and pixels on demand.

Cached features of the encoder's own tower are in `TaskFeatures`; a method that learns on them alone
needs nothing from here.

Shapes: N images of the task · n images asked for · S side of the encoder's input in pixels
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from adapters.errors import SettingsError
from adapters.towers.image_tower import FrozenImageTower


class PixelSource(Protocol):
    """The training images of a task, decoded when they are asked for."""

    @property
    def digest(self) -> str:
        """Names the images, their order, and how views of them are made."""

    def __call__(self, images: Sequence[int], *, view: int = 0) -> Tensor:
        """Return one view of some images.

        Args:
            images: Places among the task's N images.
            view: 0 for the test view; every other number names an augmented view of its own, which
                the image's content and the number alone decide.

        Returns:
            (n, 3, S, S) uint8.
        """


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSide:
    """What a method may need that learns on the image side.

    Attributes:
        tower: The encoder's own; None where there are cached features alone.
        pixels: The task's images; None where there are cached features alone.
    """

    tower: FrozenImageTower | None = None
    pixels: PixelSource | None = None

    def required(self, *, by: str) -> tuple[FrozenImageTower, PixelSource]:
        """Return the tower and the pixels; SettingsError naming the method where there are none."""
        if self.tower is None or self.pixels is None:
            raise SettingsError(
                f"method {by!r} trains the image tower: expected the tower and the images, found "
                "cached features alone; learn it from images",
                method=by,
            )
        return self.tower, self.pixels
