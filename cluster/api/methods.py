"""Routes for methods and encoders: what can be named in configurations and task files."""

from collections.abc import Callable
from pathlib import PurePath

from fastapi import APIRouter

from cluster.api.problems import problems
from cluster.api.store_threads import StoreThreads
from cluster.client.client import Client
from cluster.wire.methods import DescribedEncoder, DescribedMethod
from workers.encoding.encoder_settings import TINY, TINY_VIT

SHIPPED = (TINY, TINY_VIT)


class MethodHandlers:
    """Describes methods and encoders, for the routes.

    Args:
        client: Of the system.
        fingerprint: Returns that of the encoder in use.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client, fingerprint: Callable[[], str]) -> None:
        self._client = client
        self._fingerprint = fingerprint

    def methods(self) -> list[DescribedMethod]:
        """Return the methods that an adapter can name."""
        return self._client.methods()

    def encoders(self) -> list[DescribedEncoder]:
        """Return the encoder in use, and those that ship."""
        used = self._client.config.encoder.model
        # A folder of the service's machine is nobody's business; how it is called tells it apart.
        own = used if used in SHIPPED else PurePath(used).name
        return [
            DescribedEncoder(model=own, ships=used in SHIPPED, fingerprint=self._fingerprint()),
            *(
                DescribedEncoder(model=each, ships=True, fingerprint=None)
                for each in SHIPPED
                if each != used
            ),
        ]


def routes(handlers: MethodHandlers, threads: StoreThreads) -> APIRouter:
    """Return the routes, answered by `handlers` in `threads`."""
    router = APIRouter(prefix="/v1", tags=["methods"])

    @router.get("/methods", responses=problems(422, 503))
    async def methods() -> list[DescribedMethod]:
        """List the methods by which tasks can be learnt, with the JSON schema of their settings."""
        return await threads(handlers.methods)

    @router.get("/encoders", responses=problems(422, 503))
    async def encoders() -> list[DescribedEncoder]:
        """List the encoder that embeds the images here, and those that ship with nacre."""
        return await threads(handlers.encoders)

    return router
