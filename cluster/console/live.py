"""Live pages: what has changed on an open page, as server-sent events.

Each event is the HTML of one region of the page, with the id of the element that it replaces. A
page is rendered once for all who look at it with the same rights.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from cluster.console.known.snapshot import Snapshot
from cluster.console.known.watcher import Watcher
from cluster.console.shown.rendering import digest_of_region

QUIET_S = 15.0
"""After so long without a change something is sent all the same, so that both sides know."""
RETRY_MS = 1000
MOST_VIEWERS = 1000

Regions = Mapping[str, str]


class SharedRegions:
    """The regions of pages, rendered once per snapshot. Belongs to one event loop."""

    # Owns: what was rendered of the latest snapshot.

    def __init__(self) -> None:
        self._revision = -1
        self._made: dict[object, Awaitable[Regions]] = {}

    async def of(
        self, key: object, snapshot: Snapshot, render: Callable[[], Awaitable[Regions]]
    ) -> Regions:
        """Return the regions of a page, rendered by whoever asks first."""
        if snapshot.revision != self._revision:
            self._revision, self._made = snapshot.revision, {}
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = asyncio.ensure_future(render())
        return await asyncio.shield(made)


async def events(
    watcher: Watcher,
    regions_of: Callable[[Snapshot], Awaitable[Regions]],
    *,
    after: int,
    seen: Mapping[str, str] | None = None,
) -> AsyncIterator[str]:
    """Yield the events of one open page until nobody listens any more.

    Args:
        watcher: Knows what there is.
        regions_of: Returns the live regions of the page; raises what ends the stream.
        after: The revision that the page shows.
        seen: Digests of the regions that it shows, where they are known.
    """
    shown = dict(seen or {})
    yield f"retry: {RETRY_MS}\n\n"
    async for snapshot in watcher.changes(after=after, at_most_s=QUIET_S):
        if snapshot is None:
            yield ": still here\n\n"
            continue
        regions = await regions_of(snapshot)
        for name, html in regions.items():
            digest = digest_of_region(html)
            if shown.get(name) != digest:
                shown[name] = digest
                yield _event("region", snapshot.revision, html)
        yield _event("at", snapshot.revision, json.dumps(snapshot.at))


def _event(kind: str, number: int, content: str) -> str:
    lines = "".join(f"data: {line}\n" for line in content.split("\n"))
    return f"id: {number}\nevent: {kind}\n{lines}\n"
