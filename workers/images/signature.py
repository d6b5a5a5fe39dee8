"""Perceptual signature: a picture as 256 greys, which copies of it have in common.

A copy that was saved again, at another quality or size, has nearly the same greys; a mirrored one
has them the other way round.

Shapes: N pictures · G greys of a signature, 16 rows of 16
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
GREYS = SIDE * SIDE
_FLAT = 1.0
"""Norm of greys about their mean below which a picture shows nothing."""
Vectors = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """What is remembered of a picture.

    Attributes:
        width: Of the picture in pixels.
        height: Of the picture in pixels.
        greys: G bytes, row by row.
    """

    width: int
    height: int
    greys: bytes


def signature_of(picture: Image.Image) -> Signature:
    """Return the signature of an RGB picture, whose sides are squeezed to a square."""
    # A large picture is averaged first, which takes a fraction of the time. Of the filters this
    # one is even: it gives a mirrored picture the same greys, and a smaller one nearly so.
    small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return Signature(width=picture.width, height=picture.height, greys=small.convert("L").tobytes())


def vectors_of(signatures: Sequence[Signature]) -> Vectors:
    """Return (N, G) float32 unit rows, whose products are correlations of the pictures.

    A picture of one grey is a row of zeros: it is like no other.
    """
    content = b"".join(each.greys for each in signatures)
    greys = np.frombuffer(content, np.uint8).reshape(-1, GREYS).astype(np.float32)
    greys -= greys.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(greys, axis=1, keepdims=True)
    return np.where(norms > _FLAT, greys / np.maximum(norms, _FLAT), np.float32(0))


def mirrored(vectors: Vectors) -> Vectors:
    """Return the (N, G) rows of the same pictures, left and right exchanged."""
    rows = vectors.reshape(-1, SIDE, SIDE)[:, :, ::-1]
    return np.ascontiguousarray(rows).reshape(-1, GREYS)
