"""Routes for evaluation: versions measured on test images, and the report of it."""

import os
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from adapters.errors import InputError
from cluster.api.lasting.calls import Done, LastingCalls, Watch, accepts_lines, in_lines
from cluster.api.lasting.evaluation_process import EvaluationOrder, measured_apart
from cluster.api.parameters import AdapterPath, AskedBy, JsonRoute
from cluster.api.task_uploads import own_endpoint
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.wire.lasting import LINES
from cluster.wire.outputs.measured import EvaluateRequest, MeasuredAdapters

MOST = 1
"""Evaluations of one replica at once, each in a process with a tower of its own."""


class EvaluationHandlers:
    """Measures versions, for the routes.

    Args:
        client: Of the system, opened once for all requests.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client) -> None:
        self._client = client

    def evaluate(self, adapter: str, asked: EvaluateRequest, by: Requester, watch: Watch) -> Done:
        """Measure versions in a process apart; ends where nobody waits."""
        config = self._client.config
        endpoints = {own_endpoint(url, config, dict(os.environ)) for url in asked.sets.values()}
        order = EvaluationOrder.of(
            config,
            adapter=adapter,
            versions=asked.versions,
            tasks=[self._measurable(name, by) for name in asked.tasks],
            sets=asked.sets,
            report=asked.report,
            endpoint=next(iter(endpoints), ""),
        )
        return measured_apart(order, watch)

    def _measurable(self, name: str, by: Requester) -> str:
        """Return the id of a submission whose test images somebody may measure on."""
        ticket = self._client.find(name, by=by).ticket
        by.check("evaluate", ticket.adapter)
        return ticket.submission_id


def routes(handlers: EvaluationHandlers, calls: LastingCalls) -> APIRouter:
    """Return the routes, whose verb is carried out by `handlers` in `calls`."""
    router = APIRouter(prefix="/v1/adapters/{adapter}", tags=["evaluation"], route_class=JsonRoute)

    @router.post(
        "/evaluate", response_model=MeasuredAdapters, responses=in_lines(400, 404, 413, 504)
    )
    async def evaluate(
        request: Request, adapter: AdapterPath, asked: EvaluateRequest, by: AskedBy
    ) -> Response:
        """Measure versions on test images: the accuracy matrix.

        With `report` and an answer in lines, the files of the report come before the matrix.
        """
        if asked.report and not accepts_lines(request):
            raise InputError(
                f"expected the header `Accept: {LINES}` with 'report', whose files come in lines"
            )
        return await calls.answer(request, partial(handlers.evaluate, adapter, asked, by))

    return router
