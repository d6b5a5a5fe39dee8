"""The images of a set as pixels, for methods that learn the tower and for versions that have one.

Shapes: N images · n images asked for · S side of the encoder's input in pixels
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial

import torch
from torch import Tensor

from harness.labelled import Labelled, listing_digest
from workers.images.augmentation import numbered_view
from workers.images.decode import decode_image
from workers.images.pixels import PixelTransform
from workers.images.views import Augmentation


class SetPixels:
    """A `PixelSource` over labelled images.

    Args:
        images: In the order of the labels.
        transform: The encoder's test transform.
        augmentation: How further views are drawn.
        threads: Images decoded at once.
    """

    # Owns: nothing that changes; every call reads the files again.

    def __init__(
        self,
        images: Sequence[Labelled],
        transform: PixelTransform,
        *,
        augmentation: Augmentation,
        threads: int,
    ) -> None:
        self._images, self._transform = images, transform
        self._augmentation, self._threads = augmentation, threads

    def __len__(self) -> int:
        return len(self._images)

    @cached_property
    def digest(self) -> str:
        """Names the images, which their names stand for, and how views of them are made."""
        return f"{listing_digest(self._images)}-{self._augmentation}"

    def __call__(self, images: Sequence[int], *, view: int = 0) -> Tensor:
        """See `PixelSource`; (n, 3, S, S) uint8.

        Raises:
            ImageError: a file is no image.
        """
        read = partial(self._pixels, view=view)
        with ThreadPoolExecutor(self._threads) as threads:
            return torch.stack(list(threads.map(read, images)))

    def _pixels(self, place: int, *, view: int) -> Tensor:
        image = self._images[place]
        content = image.read()
        picture = decode_image(content, origin=image.origin)
        pixels = self._transform(picture)
        if view == 0:
            return pixels
        augmented = numbered_view(
            picture,
            view,
            augmentation=self._augmentation,
            digest=hashlib.sha256(content).hexdigest(),
            size=pixels.shape[-1],
        )
        return self._transform(augmented)
