"""Data augmentation: views of a picture, drawn once, so that the tower runs once for each.

View 0 is always the test view. The others are random crops (8 to 100 % of the area, sides within
3:4, resized to a square, mirrored half of the time), as LADA's published training draws them for
natural images. They are seeded by the image's own digest, so they do not depend on its neighbours.
"""

from dataclasses import dataclass
from typing import Literal

Augmentation = Literal["crop-mirror", "crop"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """How many views of each image are embedded, and how they are drawn.

    Attributes:
        count: V; 1 means the test view alone.
        augmentation: `crop` leaves out the mirroring, for digits, letters and signs.
    """

    count: int = 1
    augmentation: Augmentation = "crop-mirror"

    @property
    def name(self) -> str:
        """Names the views in keys."""
        return "1" if self.count == 1 else f"{self.count}-{self.augmentation}"
