"""Request parameters that several routes have, and how JSON bodies are read."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from adapters.contract.json_reading import read_json
from adapters.errors import ForbiddenError, InputError
from cluster.client.requester import Requester
from workers.formats.yaml_scalars import cut

AdapterPath = Annotated[
    str, Path(examples=["main"], description="Name of an adapter.", max_length=200)
]


async def _requester(request: Request) -> Requester:
    """Return who asks, as `cluster.api.middleware` has found out."""
    found: Requester = request.state.requester
    return found


async def check_let_in(request: Request) -> None:
    """Raise ForbiddenError where nobody has looked whether a requester may ask for this route."""
    if request.state.asked is None:
        raise ForbiddenError(f"nobody may ask for {cut(request.url.path)}: no role is set for it")


AskedBy = Annotated[Requester, Depends(_requester)]
"""Who asks."""


def check_once(names: Iterable[str], where: str) -> None:
    """Raise InputError where one of the names of keys is there twice: which one counts is a guess.

    Args:
        names: As they were written.
        where: Names what they stand in.
    """
    for name, times in Counter(names).items():
        if times > 1:
            raise InputError(
                f"the key {cut(name)!r} is there {times} times in {where}; say it once"
            )


def written_query(request: Request) -> Mapping[str, str]:
    """Return the query of a request; InputError where a key is there twice."""
    check_once((name for name, _ in request.query_params.multi_items()), "the query")
    return request.query_params


async def check_query(request: Request) -> None:
    """Raise InputError where the query has a key that its route does not know, or one twice."""
    known = [entry.alias for entry in request.scope["route"].dependant.query_params]
    for name in written_query(request):
        if name not in known:
            raise InputError(
                f"unknown key {cut(name)!r} in the query of {request.url.path}, which takes "
                f"{', '.join(known) or 'none'}; leave it out"
            )


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
