"""Test split of a task that brings no test images: a tenth of each class, by the task's seed.

An image's own digest decides whether it is drawn, so that one more image, or a corrected label,
moves at most one other image between learning and measuring.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from workers.intake.reading import Sample

SHARE = 0.1
FEWEST = 5
"""A class with fewer images spares none."""


def with_test_split(samples: Iterable[Sample], *, seed: int) -> tuple[Sample, ...]:
    """Return `samples`, some of each class in the test split; no content may be there twice."""
    by_class: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_class[sample.label].append(sample)
    divided: list[Sample] = []
    for of_class in by_class.values():
        drawn = sorted(of_class, key=lambda sample: _draw(seed, sample))
        count = test_images_of(len(drawn))
        divided += (replace(sample, split="held_out") for sample in drawn[:count])
        divided += drawn[count:]
    return tuple(divided)


def test_images_of(images: int) -> int:
    """Return how many of a class's images go into the test split."""
    return max(1, round(images * SHARE)) if images >= FEWEST else 0


def _draw(seed: int, sample: Sample) -> bytes:
    return hashlib.sha256(f"{seed}/{sample.digest}".encode()).digest()
