"""Request parameters that several routes have."""

from typing import Annotated

from fastapi import Depends, Path, Request

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
