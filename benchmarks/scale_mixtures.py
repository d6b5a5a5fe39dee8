"""Mixtures and k-means of a thousand classes: `python -m benchmarks.scale_mixtures`.

Classes have 16 images of width 512. Time is of one core; the bar is five seconds on two cores.
"""

import sys
import time
from collections.abc import Callable, Iterator

import torch

from adapters.contract.learning import class_mixtures
from adapters.methods.lada.memory import initial_memory
from benchmarks.random_records import COMPONENTS, WIDTH
from benchmarks.table import Row, report
from tests.adapters.synthetic import clusters

CLASSES, IMAGES = 1000, 16
CENTRES = (8, 16)
"""Memory vectors of a class: with as many as images these are kept, and nothing is clustered."""
MOST_S = 10.0


def figures() -> Iterator[Row]:
    """Yield what mixtures of all classes take, and their k-means."""
    task = clusters("many", classes=CLASSES, images=IMAGES, width=WIDTH)
    title = f"{CLASSES:,} classes of {IMAGES} images"
    yield _row(
        f"{title}: {COMPONENTS} components each",
        lambda: class_mixtures(task, components=COMPONENTS, seed=0),
    )
    for vectors in CENTRES:
        yield _row(
            f"{title}: {vectors} memory vectors each",
            lambda: initial_memory(task, vectors=vectors, seed=0),  # noqa: B023
        )


def _row(figure: str, work: Callable[[], object]) -> Row:
    started = time.process_time()
    work()
    taken_s = time.process_time() - started
    bar, holds = f"at most {MOST_S:.0f}", taken_s <= MOST_S
    return Row(figure=figure, value=taken_s, unit="s of one core", bar=bar, holds=holds)


def main() -> int:
    """Measure everything, print the table, and return the exit code."""
    torch.set_num_threads(1)
    return report("scale_mixtures", list(figures()))


if __name__ == "__main__":
    sys.exit(main())
