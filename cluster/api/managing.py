"""Routes for versions: looking at them, and moving aliases."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Query

from cluster.api.parameters import AdapterPath, AskedBy, JsonRoute
from cluster.api.problems import problems
from cluster.api.store_threads import StoreThreads
from cluster.client.client import Client
from cluster.client.moved import (
    dropped_document,
    moved_document,
    promoted_document,
    relearnt_document,
    rolled_back_document,
)
from cluster.client.requester import Requester
from cluster.wire.facts import pause_document, version_document
from cluster.wire.tasks import QueuePause
from cluster.wire.versions import (
    MOST_VERSIONS,
    AccuracyMatrix,
    Aliases,
    AliasRequest,
    DroppedTask,
    DropRequest,
    Moved,
    PromoteRequest,
    PublishedVersion,
    RelearnRequest,
    RelearntAdapter,
    RollbackRequest,
    VersionName,
)
from workers.registry import Audience, TaskAccuracy, Version, VersionRef
from workers.registry.documents.layout import Stored

LOOK = problems(404, 422, 503)
MOVE = problems(400, 404, 409, 413, 422, 503, 504)
AliasPath = Annotated[str, Path(max_length=200, examples=["canary"], description="An alias.")]
Limit = Annotated[int, Query(ge=1, le=MOST_VERSIONS, description="Most versions.")]
Before = Annotated[
    int | None,
    Query(ge=0, description="Only versions before the one of this number, to go on there."),
]
Why = Annotated[str, Query(max_length=1000, description="Kept in the history.")]


class VersionHandlers:
    """Looks at versions and moves aliases, for the routes.

    Args:
        client: Of the system, opened once for all requests.
        audience: The replicas.

    Attributes:
        audience: The same.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client, audience: Audience) -> None:
        self._client = client
        self.audience = audience

    def versions(
        self, adapter: str, *, limit: int, before: int | None = None
    ) -> list[PublishedVersion]:
        """Return versions of an adapter, newest first."""
        found = self.versions_of(adapter, limit=limit, before=before)
        return [version_document(version) for version in found]

    def aliases(self, adapter: str) -> Aliases:
        """Return the aliases of an adapter."""
        return Aliases(adapter=adapter, aliases=self._client.aliases(adapter))

    def promote(self, adapter: str, asked: PromoteRequest, *, by: Requester) -> Moved:
        """Point an alias to a version."""
        number = self._client.promote(
            asked.version,
            adapter=adapter,
            alias=asked.alias,
            with_head=asked.with_head,
            by=by,
            why=asked.why,
        )
        return promoted_document(
            self._client, adapter, number, asked.alias, with_head=asked.with_head
        )

    def rollback(self, adapter: str, asked: RollbackRequest, *, by: Requester) -> Moved:
        """Serve an earlier version again."""
        number = self._client.rollback(
            asked.version,
            adapter=adapter,
            serving_only=asked.serving_only,
            by=by,
            why=asked.why,
        )
        return rolled_back_document(self._client, adapter, number, serving_only=asked.serving_only)

    def alias(self, adapter: str, alias: str, asked: AliasRequest, *, by: Requester) -> Moved:
        """Give a version a name."""
        number = self._client.alias(alias, asked.version, adapter=adapter, by=by, why=asked.why)
        return moved_document(self._client, adapter, number, alias)

    def remove_alias(self, adapter: str, alias: str, *, by: Requester, why: str) -> Moved:
        """Take a name away again."""
        number = self._client.remove_alias(alias, adapter=adapter, by=by, why=why)
        return moved_document(self._client, adapter, number, alias)

    def pause(self, adapter: str, *, by: Requester) -> QueuePause:
        """Let nothing new of an adapter be begun."""
        done = self._client.pause(adapter, by=by)
        return pause_document(adapter, self._client.queue().lead, done=done)

    def resume(self, adapter: str, *, by: Requester) -> QueuePause:
        """Let an adapter go on."""
        done = self._client.resume(adapter, by=by)
        return pause_document(adapter, self._client.queue().lead, done=done)

    def drop(self, adapter: str, asked: DropRequest, *, by: Requester) -> DroppedTask:
        """Publish a version without a task."""
        dropped = self._client.drop(
            asked.task,
            adapter=adapter,
            promoted=asked.promote,
            relearn=asked.relearn,
            by=by,
            why=asked.why,
        )
        return dropped_document(self._client, adapter, asked.task, dropped, promoted=asked.promote)

    def relearn(self, adapter: str, asked: RelearnRequest, *, by: Requester) -> RelearntAdapter:
        """Learn an adapter anew under another encoder."""
        found = self._client.relearn(
            asked.encoder,
            adapter=adapter,
            alias=asked.alias,
            partial=asked.partial,
            dry_run=asked.dry_run,
            by=by,
        )
        return relearnt_document(found)

    def accuracy(self, adapter: str, *, limit: int, before: int | None = None) -> AccuracyMatrix:
        """Return what was measured of each of some versions; as in `versions_of`."""
        found = list(reversed(self.versions_of(adapter, limit=limit, before=before)))
        tasks = list(dict.fromkeys(entry.task for version in found for entry in version.accuracies))
        return AccuracyMatrix(
            adapter=adapter,
            tasks=tasks,
            versions=[version.manifest.number for version in found],
            candidates=[version.manifest.class_count for version in found],
            accuracy=[list(_row(version.accuracies, tasks)) for version in found],
        )

    def versions_of(
        self, adapter: str, *, limit: int = 0, before: int | None = None
    ) -> list[Version]:
        """Return the versions of an adapter, newest first.

        Args:
            adapter: Which adapter.
            limit: Most versions; all where 0.
            before: Only versions before the one of this number.

        Raises:
            NotFoundError: there is no such adapter.
        """
        self._client.aliases(adapter)
        return self._client.versions(adapter, limit=limit, before=before)


def routes(handlers: VersionHandlers, threads: StoreThreads) -> APIRouter:
    """Return the routes, answered by `handlers` in `threads`."""
    router = APIRouter(prefix="/v1/adapters/{adapter}", tags=["versions"], route_class=JsonRoute)

    @router.get("/versions", responses=LOOK)
    async def versions(
        adapter: AdapterPath, limit: Limit = 20, before: Before = None
    ) -> list[PublishedVersion]:
        """List the published versions, newest first; `before` lists what is older."""
        return await threads(handlers.versions, adapter, limit=limit, before=before)

    @router.get("/aliases", responses=LOOK)
    async def aliases(adapter: AdapterPath) -> Aliases:
        """Say which version each alias points to."""
        return await threads(handlers.aliases, adapter)

    @router.get("/accuracy", responses=LOOK)
    async def accuracy(
        adapter: AdapterPath, limit: Limit = 20, before: Before = None
    ) -> AccuracyMatrix:
        """Return the accuracy of each version on each task, as measured when it was published.

        Of the newest versions; `before` gives what is older.
        """
        return await threads(handlers.accuracy, adapter, limit=limit, before=before)

    @router.post("/promote", responses=MOVE)
    async def promote(adapter: AdapterPath, asked: PromoteRequest, by: AskedBy) -> Moved:
        """Point `production`, or another alias but `head`, to a version."""
        return await threads(handlers.promote, adapter, asked, by=by)

    @router.post("/rollback", responses=MOVE)
    async def rollback(adapter: AdapterPath, asked: RollbackRequest, by: AskedBy) -> Moved:
        """Serve an earlier version again and build the next task on it; nothing is deleted."""
        return await threads(handlers.rollback, adapter, asked, by=by)

    @router.put("/aliases/{alias}", responses=MOVE)
    async def set_alias(
        adapter: AdapterPath, alias: AliasPath, asked: AliasRequest, by: AskedBy
    ) -> Moved:
        """Give a version a name of your own."""
        return await threads(handlers.alias, adapter, alias, asked, by=by)

    @router.delete("/aliases/{alias}", responses=MOVE)
    async def remove_alias(
        adapter: AdapterPath, alias: AliasPath, by: AskedBy, why: Why = ""
    ) -> Moved:
        """Take a name away again; its version stays."""
        return await threads(handlers.remove_alias, adapter, alias, by=by, why=why)

    @router.post("/pause", responses=MOVE)
    async def pause(adapter: AdapterPath, by: AskedBy) -> QueuePause:
        """Begin no new work of an adapter, `*` for all; what is under way goes on."""
        return await threads(handlers.pause, adapter, by=by)

    @router.post("/resume", responses=MOVE)
    async def resume(adapter: AdapterPath, by: AskedBy) -> QueuePause:
        """Go on with what was paused, `*` for all."""
        return await threads(handlers.resume, adapter, by=by)

    @router.post("/drop", responses=MOVE)
    async def drop(adapter: AdapterPath, asked: DropRequest, by: AskedBy) -> DroppedTask:
        """Publish a version of `head` without a task; where asked for, learn later ones again."""
        return await threads(handlers.drop, adapter, asked, by=by)

    @router.post("/relearn", responses=MOVE)
    async def relearn(adapter: AdapterPath, asked: RelearnRequest, by: AskedBy) -> RelearntAdapter:
        """Learn all tasks anew under another encoder, beside what is served, from kept images."""
        return await threads(handlers.relearn, adapter, asked, by=by)

    @router.post("/prepare", status_code=204, responses=MOVE)
    async def prepare(adapter: AdapterPath, name: VersionName) -> None:
        """Have every replica load a version that `production` is about to point to."""
        await threads(handlers.audience.prepare, adapter, _ref(name))

    @router.post("/follow", status_code=204, responses=MOVE)
    async def follow(adapter: AdapterPath, serial: Annotated[int, Query(ge=0)] = 0) -> None:
        """Have every replica look where `production` points to, since change `serial`."""
        await threads(handlers.audience.follow, adapter, serial)

    return router


def _ref(name: VersionName) -> VersionRef:
    stored = Stored(sha256=name.sha256, size=name.size, area=name.area)
    return VersionRef(number=name.number, manifest=stored)


def _row(accuracies: tuple[TaskAccuracy, ...], tasks: list[str]) -> Iterator[float | None]:
    known = {entry.task: entry.accuracy for entry in accuracies}
    return (known.get(task) for task in tasks)
