"""Routes for evaluation: versions measured on test images, and the report of it."""

import os
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from adapters.errors import InputError
from cluster.api.lasting.answers import Done, LastingCalls, Watch, accepts_lines, in_lines
from cluster.api.lasting.evaluation_process import EvaluationOrder, measured_apart
from cluster.api.parameters import AdapterPath, AskedBy, JsonRoute
from cluster.api.task_uploads import own_endpoint
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.config import Config
from cluster.evaluation.evaluating import chosen_versions
from cluster.wire.lasting import LINES
from cluster.wire.outputs.measured import EvaluateRequest, MeasuredAdapters
from workers.access.audit import audited
from workers.formats.yaml_scalars import cut

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
        # Told before a process is begun for it.
        chosen_versions(asked.versions, self._client.versions(adapter), adapter=adapter)
        endpoints = [_endpoint(name, url, config) for name, url in asked.sets.items()]
        order = EvaluationOrder.of(
            config,
            adapter=adapter,
            versions=asked.versions,
            tasks=[self._measurable(name, by) for name in asked.tasks],
            sets=asked.sets,
            reject=asked.reject,
            report=asked.report,
            endpoint=endpoints[0] if endpoints else "",
        )
        return measured_apart(order, watch)

    def _measurable(self, name: str, by: Requester) -> str:
        """Return the id of a submission whose test images somebody may measure on."""
        ticket = self._client.find(name, by=by).ticket
        if not by.grants.permits("evaluate", ticket.adapter):
            entry = by.entry("evaluate", ticket.adapter, ticket.submission_id)
            with audited(self._client.store, entry):
                by.check("evaluate", ticket.adapter)
        return ticket.submission_id


def _endpoint(name: str, url: str, config: Config) -> str:
    """Return the server on which the images of a set are: that of the service's own store."""
    try:
        return own_endpoint(url, config, dict(os.environ))
    except InputError as error:
        raise InputError(
            f"the set {cut(name)!r}: expected an address s3://… on the server of this service's "
            f"store, found {cut(url)!r}; put the images there, or measure with `nacre evaluate` "
            "where both can be reached",
            set=name,
        ) from error


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
