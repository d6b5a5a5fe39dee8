"""Traced serving: batches as parts of the requests that they serve, and versions as served."""

import socket
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from torch import Tensor

from adapters.towers.image_tower import ImageTower
from workers.queue.progress import known_ticket
from workers.queue.traced import submission_span
from workers.registry import VersionRef
from workers.registry.record_cache import Versions
from workers.traces.spans import Span, record, span
from workers.traces.traceparent import Traceparent

Embed = Callable[[ImageTower, Tensor], Tensor]


class TracedBatch:
    """A batch as a span of its own with links to all that it serves, and as a part of each of them.

    Used within the one thread that embeds.

    Args:
        places: The spans of the requests whose images it has.
        images: How many these are.
    """

    def __init__(self, places: Collection[Traceparent], *, images: int) -> None:
        self._places = [place for place in places if place.sampled]
        self._images = images
        self._forwards: list[tuple[float, float, int]] = []
        self._begun_at = 0.0
        self._open: AbstractContextManager[Span] | None = None
        self._place: Traceparent | None = None

    def __enter__(self) -> Self:
        self._begun_at = time.time()
        self._open = span("batch", alone=True, links=self._places, images=self._images)
        self._place = self._open.__enter__().place
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._open is not None
        self._open.__exit__(kind, error, trace)
        ended_at = time.time()
        links = [self._place] if self._place else []
        for place in self._places:
            own = place.part("batch", self._begun_at)
            record(
                "batch",
                begun_at=self._begun_at,
                ended_at=ended_at,
                parent=place,
                place=own,
                links=links,
                error=type(error).__name__ if error else "",
                images=self._images,
                requests=len(self._places),
            )
            scored_at = self._begun_at
            for begun_at, until, images in self._forwards:
                record("forward", begun_at=begun_at, ended_at=until, parent=own, images=images)
                scored_at = until
            record("score", begun_at=scored_at, ended_at=ended_at, parent=own)

    def timed(self, embed: Embed) -> Embed:
        """Return `embed`, with a span around each call."""

        def embedding(tower: ImageTower, pixels: Tensor) -> Tensor:
            begun_at = time.time()
            with span("forward", images=len(pixels)):
                features = embed(tower, pixels)
            self._forwards.append((begun_at, time.time(), len(pixels)))
            return features

        return embedding


def record_served(versions: Versions, adapter: str, ref: VersionRef, *, took_s: float) -> None:
    """Keep, in the trace of the submission that a version came of, that a replica answers with it.

    Args:
        versions: Of the store.
        adapter: Its name.
        ref: The version that the replica has moved to.
        took_s: How long that took, in seconds.

    Raises:
        NacreError: the store does not say what the version came of.
    """
    now = time.time()
    tasks = versions.registry.adapter(adapter).manifest(ref.number).tasks
    ticket = known_ticket(versions.registry.store, tasks[-1].submission) if tasks else None
    if ticket is None or ticket.version not in (None, ref.number):
        return
    record(
        "served",
        begun_at=now - took_s,
        ended_at=now,
        parent=submission_span(ticket),
        submission=ticket.submission_id,
        adapter=adapter,
        version=ref.number,
        host=socket.gethostname(),
    )
