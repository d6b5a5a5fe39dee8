"""The route for inspection: what may be wrong with a task, before it is submitted."""

import asyncio
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from adapters.errors import InputError
from cluster.api.lasting.answers import (
    Counted,
    Done,
    LastingCalls,
    Watch,
    accepts_lines,
    goes_on,
    in_lines,
)
from cluster.api.lasting.inspection_process import InspectionOrder, inspected_apart
from cluster.api.parameters import AskedBy
from cluster.api.places import Places
from cluster.api.task_handlers import in_effect, received_task
from cluster.api.task_uploads import task_in, unpacked_task
from cluster.api.tasks import BODY, Grown
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.wire.inspection import MOST_SHOWN, SHOWN, InspectedTask, retold
from cluster.wire.lasting import LINES
from workers.access.audit import audited

MOST = 1
"""Inspections that one replica takes in at once."""
TURN_S = 0.5
"""So often somebody who waits for a turn is told so."""
Shown = Annotated[
    int, Query(ge=1, le=MOST_SHOWN, description="So many findings of each kind are shown.")
]
Features = Annotated[bool, Query(description="Whether the encoder looks at the images, too.")]
Report = Annotated[
    bool, Query(description="Whether a page of it comes before, as the file `inspection.html`.")
]


class InspectionHandlers:
    """Inspects tasks that were sent, for the routes.

    Args:
        client: Of the system, opened once for all requests.
        places: What stands for the service's own places in what is said of tasks.
    """

    # Owns: whose turn it is; safe between threads.

    def __init__(self, client: Client, places: Places) -> None:
        self._client, self._places = client, places
        self._turn = threading.Lock()

    def inspect(
        self, folder: Path, sent: Places, wish: InspectionOrder, by: Requester, watch: Watch
    ) -> Done:
        """Inspect a task in a process apart; ends where nobody waits.

        One after the other: each process has a tower of its own.

        Args:
            folder: Where it was unpacked.
            sent: What stands for that folder in what is said.
            wish: What is asked for.
            by: Who asks.
            watch: Is told how far it is.
        """
        config = in_effect(self._client).config
        # Told before a process is begun for it.
        task = task_in(
            folder,
            config,
            environment=dict(os.environ),
            adapter=wish.adapter,
            on_seen=watch.check,
        )
        self._check(by, task.adapter, task.name)
        while not self._turn.acquire(timeout=TURN_S):
            watch.step("waiting until another task was looked at", 0, 0)
        try:
            done = inspected_apart(wish, watch)
        finally:
            self._turn.release()

        def said(text: str) -> str:
            return self._places.said(sent.said(text))

        files = {
            name: said(content.decode()).encode() if name.endswith(".html") else content
            for name, content in done.files.items()
        }
        return Done(document=retold(done.document, said), files=files)

    def order(self, folder: Path, by: Requester, **wishes: object) -> InspectionOrder:
        """Return what a process is to look at, for somebody."""
        config = in_effect(self._client).config
        return InspectionOrder.of(config, folder=str(folder), author=by.name, **wishes)

    def _check(self, by: Requester, adapter: str, task: str) -> None:
        """Raise ForbiddenError, and have the audit log say so, unless somebody may submit it."""
        if not by.grants.permits("inspect", adapter):
            with audited(self._client.store, by.entry("inspect", adapter, task)):
                by.check("inspect", adapter)


def routes(handlers: InspectionHandlers, calls: LastingCalls) -> APIRouter:
    """Return the route, whose verb is carried out by `handlers` in `calls`."""
    router = APIRouter(prefix="/v1/tasks", tags=["tasks"])
    receiving = Counted(MOST)

    @router.post(
        "/inspect",
        response_model=InspectedTask,
        responses=in_lines(400, 413, 504),
        openapi_extra=BODY,
    )
    async def inspect_task(
        request: Request,
        by: AskedBy,
        adapter: Grown = None,
        features: Features = True,
        shown: Shown = SHOWN,
        report: Report = False,
    ) -> Response:
        """Say what may be wrong with a task, sent as it would be submitted; nothing is submitted.

        No image is kept. Features are, and a submission of the same images finds them.
        """
        in_pieces = accepts_lines(request)
        if report and not in_pieces:
            raise InputError(
                f"expected the header `Accept: {LINES}` with 'report', whose file comes in lines"
            )
        received = receiving.begin()
        kept = ExitStack()
        try:
            if in_pieces:
                goes_on(request)
            async with received_task(request) as (content, archive):
                folder, sent = await asyncio.to_thread(
                    kept.enter_context, unpacked_task(content, archive)
                )
            wish = handlers.order(
                folder, by, adapter=adapter, features=features, shown=shown, report=report
            )

            def work(watch: Watch) -> Done:
                with kept:
                    return handlers.inspect(folder, sent, wish, by, watch)

            return await calls.answer(request, work)
        except BaseException:
            kept.close()
            raise
        finally:
            received()

    return router
