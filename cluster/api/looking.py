"""Routes for looking at adapters: which there are, their history, one version, what changed."""

from collections.abc import Mapping
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Path, Query

from cluster.api.parameters import AdapterPath, AskedBy
from cluster.api.places import Places
from cluster.api.problems import problems
from cluster.api.store_threads import StoreThreads
from cluster.client.client import Client
from cluster.client.documents import DocumentClient
from cluster.client.requester import Requester
from cluster.wire.facts import difference_document, entry_document, shown_document
from cluster.wire.mistaken import mistakes_document
from cluster.wire.mistakes import VersionMistakes
from cluster.wire.versions import (
    MOST_MOVES,
    Aliases,
    HeldTask,
    HistoryEntry,
    ServedBehind,
    ShownVersion,
    VersionDifference,
)

LOOK = problems(404, 422, 503)
Version = Annotated[str, Query(max_length=200, description="A number or an alias.")]
VersionPath = Annotated[
    str, Path(max_length=200, examples=["production"], description="A number or an alias.")
]
Limit = Annotated[int, Query(ge=1, le=MOST_MOVES, description="Most moves.")]
Before = Annotated[
    int | None, Query(ge=0, description="Only moves before the one of this index, to go on there.")
]
MOST_LISTED = 1000
Listed = Annotated[
    int, Query(ge=1, le=MOST_LISTED, description="Most classes, pairs and images of each task.")
]
OfTask = Annotated[str | None, Query(max_length=200, description="Only this task's test images.")]
OfClass = Annotated[
    str | None, Query(max_length=300, description="Only wrong images of this class, by its id.")
]
AsClass = Annotated[
    str | None, Query(max_length=300, description="Only wrong images that are taken for it.")
]
TaskPath = Annotated[str, Path(max_length=200, examples=["digits"], description="A task.")]


class LookingHandlers:
    """Looks at adapters, for the routes.

    Args:
        client: Of the system, opened once for all requests.
        places: What stands for the service's own places in reasons.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client, places: Places) -> None:
        self._client, self._documents = client, DocumentClient(client)
        self._places = places

    def adapters(self, *, by: Requester) -> list[Aliases]:
        """Return the adapters that somebody may look at, with their aliases."""
        names = [name for name in self._client.adapters() if by.sees(name)]
        return [Aliases(adapter=name, aliases=self._client.aliases(name)) for name in names]

    def history(self, adapter: str, *, limit: int, before: int | None = None) -> list[HistoryEntry]:
        """Return the moves of an adapter's aliases, the latest first."""
        moves = self._client.history(adapter)
        found = (entry for entry in moves if before is None or entry.index < before)
        return [entry_document(entry) for entry in islice(found, limit)]

    def held(self, adapter: str, task: str) -> HeldTask:
        """Return where a task is to be found."""
        return self._documents.held(task, adapter=adapter)

    def refusals(self, *, by: Requester) -> list[HistoryEntry]:
        """Return the versions that replicas refuse now."""
        found = [entry_document(entry) for entry in self._client.refusals(by=by)]
        for entry in found:
            entry.why = self._places.said(entry.why)
        return found

    def behind(self, *, by: Requester) -> list[ServedBehind]:
        """Return the adapters of which the newest version does not answer."""
        names = list(filter(by.sees, self._client.adapters()))
        return self._documents.behind(*names) if names else []

    def show(self, adapter: str, version: str) -> ShownVersion:
        """Return what a version holds and where it came from."""
        return shown_document(self._client.show(version, adapter=adapter))

    def diff(self, adapter: str, before: str, after: str) -> VersionDifference:
        """Return what changed from one version to another."""
        return difference_document(self._client.diff(before, after, adapter=adapter))

    def mistakes(
        self, adapter: str, version: str, wanted: Mapping[str, str | None], *, limit: int
    ) -> VersionMistakes:
        """Return what a version gets wrong about its test images."""
        return mistakes_document(
            self._client.mistakes(version, adapter=adapter, limit=limit, **wanted)
        )


def routes(handlers: LookingHandlers, threads: StoreThreads) -> APIRouter:
    """Return the routes, answered by `handlers` in `threads`."""
    router = APIRouter(prefix="/v1/adapters", tags=["versions"])

    @router.get("", responses=problems(422, 503))
    async def adapters(by: AskedBy) -> list[Aliases]:
        """List the adapters, with the version that each of their aliases points to."""
        return await threads(handlers.adapters, by=by)

    @router.get("/{adapter}/history", responses=LOOK)
    async def history(
        adapter: AdapterPath, limit: Limit = 20, before: Before = None
    ) -> list[HistoryEntry]:
        """List who moved what, when and why, the latest first; `before` lists what is older."""
        return await threads(handlers.history, adapter, limit=limit, before=before)

    @router.get("/{adapter}/versions/{version}", responses=LOOK)
    async def show(adapter: AdapterPath, version: VersionPath) -> ShownVersion:
        """Say what a version holds and where it came from."""
        return await threads(handlers.show, adapter, version)

    @router.get("/{adapter}/diff", responses=LOOK)
    async def diff(adapter: AdapterPath, before: Version, after: Version) -> VersionDifference:
        """Say what changed from one version to another."""
        return await threads(handlers.diff, adapter, before, after)

    @router.get("/{adapter}/versions/{version}/mistakes", responses=LOOK)
    async def mistakes(
        adapter: AdapterPath,
        version: VersionPath,
        task: OfTask = None,
        truth: OfClass = None,
        answer: AsClass = None,
        limit: Listed = 20,
    ) -> VersionMistakes:
        """Say what a version gets wrong: classes, confusions, images, the most confident first."""
        wanted = {"task": task, "truth": truth, "answer": answer}
        return await threads(handlers.mistakes, adapter, version, wanted, limit=limit)

    @router.get("/{adapter}/held/{task}", responses=LOOK)
    async def held(adapter: AdapterPath, task: TaskPath) -> HeldTask:
        """Say which versions hold a task, or have learnt from it: those that a purge would end."""
        return await threads(handlers.held, adapter, task)

    return router


def standing(handlers: LookingHandlers, threads: StoreThreads) -> APIRouter:
    """Return the routes that look at what answers, of all adapters."""
    router = APIRouter(prefix="/v1", tags=["versions"])

    @router.get("/refusals", responses=problems(422, 503))
    async def refusals(by: AskedBy) -> list[HistoryEntry]:
        """List the versions that replicas have refused to load, and why."""
        return await threads(handlers.refusals, by=by)

    @router.get("/behind", responses=problems(422, 503))
    async def behind(by: AskedBy) -> list[ServedBehind]:
        """List the adapters of which the newest version does not answer, or nothing does."""
        return await threads(handlers.behind, by=by)

    return router
