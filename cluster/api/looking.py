"""Routes for looking at adapters: which there are, their history, one version, what changed."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Path, Query

from cluster.api.parameters import AdapterPath, AskedBy
from cluster.api.problems import problems
from cluster.api.store_threads import StoreThreads
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.wire.facts import difference_document, entry_document, shown_document
from cluster.wire.versions import Aliases, HistoryEntry, ShownVersion, VersionDifference

LOOK = problems(404, 422, 503)
MOST_MOVES = 1000
Version = Annotated[str, Query(max_length=200, description="A number or an alias.")]
VersionPath = Annotated[str, Path(max_length=200, description="A number or an alias.")]
Limit = Annotated[int, Query(ge=1, le=MOST_MOVES, description="Most moves.")]


class LookingHandlers:
    """Looks at adapters, for the routes.

    Args:
        client: Of the system, opened once for all requests.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client) -> None:
        self._client = client

    def adapters(self, *, by: Requester) -> list[Aliases]:
        """Return the adapters that somebody may look at, with their aliases."""
        names = [name for name in self._client.adapters() if by.sees(name)]
        return [Aliases(adapter=name, aliases=self._client.aliases(name)) for name in names]

    def history(self, adapter: str, *, limit: int) -> list[HistoryEntry]:
        """Return the moves of an adapter's aliases, the latest first."""
        found = islice(self._client.history(adapter), limit)
        return [entry_document(entry) for entry in found]

    def show(self, adapter: str, version: str) -> ShownVersion:
        """Return what a version holds and where it came from."""
        return shown_document(self._client.show(version, adapter=adapter))

    def diff(self, adapter: str, before: str, after: str) -> VersionDifference:
        """Return what changed from one version to another."""
        return difference_document(self._client.diff(before, after, adapter=adapter))


def routes(handlers: LookingHandlers, threads: StoreThreads) -> APIRouter:
    """Return the routes, answered by `handlers` in `threads`."""
    router = APIRouter(prefix="/v1/adapters", tags=["versions"])

    @router.get("", responses=problems(422, 503))
    async def adapters(by: AskedBy) -> list[Aliases]:
        """List the adapters, with the version that each of their aliases points to."""
        return await threads(handlers.adapters, by=by)

    @router.get("/{adapter}/history", responses=LOOK)
    async def history(adapter: AdapterPath, limit: Limit = 20) -> list[HistoryEntry]:
        """List who moved what, when and why, the latest first."""
        return await threads(handlers.history, adapter, limit=limit)

    @router.get("/{adapter}/versions/{version}", responses=LOOK)
    async def show(adapter: AdapterPath, version: VersionPath) -> ShownVersion:
        """Say what a version holds and where it came from."""
        return await threads(handlers.show, adapter, version)

    @router.get("/{adapter}/diff", responses=LOOK)
    async def diff(adapter: AdapterPath, before: Version, after: Version) -> VersionDifference:
        """Say what changed from one version to another."""
        return await threads(handlers.diff, adapter, before, after)

    return router
