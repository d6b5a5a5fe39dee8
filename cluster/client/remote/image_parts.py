"""Any number of images, in as many requests as they need and answered by one version."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cluster.wire.predictions import MAX_IMAGES, PredictAnswer
from workers.progress_callbacks import ProgressCallback, unwatched

PART_BYTES = 96 * 2**20
"""Of images in one request, which may have 128 MiB in all; a larger one goes alone."""


def predicted(
    ask: Callable[..., PredictAnswer],
    images: Sequence[Path],
    *,
    version: str | None,
    on_progress: ProgressCallback = unwatched,
    **options: Any,
) -> PredictAnswer:
    """Return what images show, in their order.

    What answers the first request answers all others: they pin its version.

    Args:
        ask: `Client.predict`, or one like it.
        images: One at least.
        version: See `Client.predict`.
        on_progress: Called with images answered so far, and images in all.
        options: As `ask` takes them.
    """
    first, *others = parts(images)
    on_progress(0, len(images))
    answer = ask(first, version=version, **options)
    on_progress(len(first), len(images))
    number = answer.version.rpartition("@")[2]
    results = list(answer.results)
    for part in others:
        results += ask(part, version=number, **options).results
        on_progress(len(results), len(images))
    return answer.model_copy(update={"results": results})


def parts(images: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield images in parts that one request may have; one that is not there has no size."""
    part: list[Path] = []
    size = 0
    for image in images:
        added = image.stat().st_size if image.is_file() else 0
        if part and (len(part) == MAX_IMAGES or size + added > PART_BYTES):
            yield part
            part, size = [], 0
        part.append(image)
        size += added
    if part:
        yield part
