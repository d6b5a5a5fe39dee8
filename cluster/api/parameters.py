"""Request parameters that several routes have, and how JSON bodies are read."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from adapters.contract.json_reading import read_json
from cluster.client.requester import Requester

AdapterPath = Annotated[
    str, Path(examples=["main"], description="Name of an adapter.", max_length=200)
]


async def _requester(request: Request) -> Requester:
    """Return who asks, as `cluster.api.access` has found out."""
    found: Requester = request.state.requester
    return found


AskedBy = Annotated[Requester, Depends(_requester)]
"""Who asks."""


class JsonRoute(APIRoute):
    """A route whose JSON body is read strictly: nothing deep, no key twice, no `NaN`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_JsonRequest(request.scope, request.receive))

        return strict


class _JsonRequest(Request):
    async def json(self) -> Any:
        try:
            return read_json(await self.body())
        except ValueError as error:
            # FastAPI makes a 400 without a reason of every other exception.
            raise HTTPException(422, f"the body is not the JSON expected here: {error}") from error
