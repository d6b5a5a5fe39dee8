"""Routes for the maintenance of a store: verify, settle, purge, gc."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cluster.api.lasting.answers import Done, LastingCalls, Watch, in_lines
from cluster.api.parameters import AdapterPath, AskedBy, JsonRoute
from cluster.api.places import Places
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.wire.outputs.facts import (
    checked_document,
    garbage_document,
    purged_document,
    settled_documents,
)
from cluster.wire.outputs.maintenance import (
    CheckedAdapter,
    CollectedGarbage,
    CollectRequest,
    PurgedTask,
    PurgeRequest,
    SettledChange,
    SettleRequest,
)

HOUR_S = 3600.0
LOOK = in_lines(404)
CHANGE = in_lines(400, 404, 409, 413, 504)


class MaintenanceHandlers:
    """Checks and removes what is stored, for the routes; each is watched by whoever waits.

    Args:
        client: Of the system, opened once for all requests.
        places: What stands for the service's own places in what is said of objects.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client, places: Places) -> None:
        self._client = client
        self._places = places

    def verify(self, adapter: str, watch: Watch) -> Done:
        """Check every byte of every version; ends where nobody waits."""
        found = checked_document(self._client.verify(adapter, on_progress=watch.progress))
        for problem in found.problems:
            problem.message = self._places.said(problem.message)
        return Done(document=found)

    def settle(self, adapter: str, asked: SettleRequest, by: Requester, _: Watch) -> Done:
        """Settle what the store has lost; goes on where nobody waits."""
        found = self._client.settle(adapter, by=by, why=asked.why)
        return Done(document=settled_documents(found))

    def purge(self, adapter: str, asked: PurgeRequest, by: Requester, _: Watch) -> Done:
        """Remove a task for good; goes on where nobody waits."""
        found = self._client.purge(
            asked.task, adapter=adapter, relearn=asked.relearn, by=by, why=asked.why
        )
        return Done(document=purged_document(found))

    def collect(self, adapter: str, asked: CollectRequest, by: Requester, watch: Watch) -> Done:
        """Find or remove what nothing needs; ends between two objects where nobody waits."""
        found = self._client.gc(
            adapter,
            grace_s=asked.grace_h * HOUR_S,
            dry_run=not asked.delete,
            blobs=asked.blobs,
            by=by,
            on_progress=watch.progress,
        )
        return Done(document=garbage_document(found, deleted=asked.delete))


def routes(handlers: MaintenanceHandlers, calls: LastingCalls) -> APIRouter:
    """Return the routes, whose verbs are carried out by `handlers` in `calls`."""
    router = APIRouter(prefix="/v1/adapters/{adapter}", tags=["maintenance"], route_class=JsonRoute)

    @router.get("/verify", response_model=CheckedAdapter, responses=LOOK)
    async def verify(request: Request, adapter: AdapterPath) -> Response:
        """Read and check every byte of every version.

        What is damaged is in `problems`, with status 200.
        """
        return await calls.answer(request, partial(handlers.verify, adapter))

    @router.post("/settle", response_model=list[SettledChange], responses=CHANGE)
    async def settle(
        request: Request, adapter: AdapterPath, asked: SettleRequest, by: AskedBy
    ) -> Response:
        """Settle acknowledged changes that the store has lost, so that publishing goes on."""
        return await calls.answer(request, partial(handlers.settle, adapter, asked, by))

    @router.post("/purge", response_model=PurgedTask, responses=CHANGE)
    async def purge(
        request: Request, adapter: AdapterPath, asked: PurgeRequest, by: AskedBy
    ) -> Response:
        """Remove a task from every version, for good; `GET …/held/{task}` says from which."""
        return await calls.answer(request, partial(handlers.purge, adapter, asked, by))

    @router.post("/gc", response_model=CollectedGarbage, responses=CHANGE)
    async def gc(
        request: Request, adapter: AdapterPath, asked: CollectRequest, by: AskedBy
    ) -> Response:
        """Find objects that no version needs, and remove them with `delete`."""
        return await calls.answer(request, partial(handlers.collect, adapter, asked, by))

    return router
