"""Asynchronous client of the HTTP API, for event loops."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from cluster.client.http_api import AsyncHttpApi
from cluster.client.joined import configured
from cluster.client.questions import Images, embedding, predicting, readiness
from cluster.config import Config
from cluster.wire.headers import TIMEOUT_S
from cluster.wire.health import Ready
from cluster.wire.predictions import EmbedAnswer, PredictAnswer


class AsyncClient:
    """Asks the HTTP API of one nacre.

        async with AsyncClient() as client:
            answers = await asyncio.gather(*(client.predict([path]) for path in paths))

    Everything else works on the object store, and is a call of `Client` in a thread.

    Args:
        config: Where the API is; looked for as `load_config` says where None.
    """

    # Owns: the connections, closed when its block ends.

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or configured()
        self._api = AsyncHttpApi(self.config.endpoint)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._api.__aexit__(kind, error, trace)

    async def predict(
        self,
        images: Images,
        *,
        adapter: str | None = None,
        version: int | str | None = None,
        top_k: int = 5,
        tasks: Sequence[str] = (),
        candidate_labels: Sequence[str] = (),
        timeout_s: float = TIMEOUT_S,
    ) -> PredictAnswer:
        """Classify images; see `Client.predict`."""
        call = await asyncio.to_thread(
            predicting,
            images,
            adapter=adapter or self.config.adapter,
            version=version,
            top_k=top_k,
            tasks=tasks,
            candidate_labels=candidate_labels,
        )
        return await self._api.ask(call, timeout_s=timeout_s)

    async def embed(self, images: Images, *, timeout_s: float = TIMEOUT_S) -> EmbedAnswer:
        """Return the encoder's unit features of images; see `Client.embed`."""
        call = await asyncio.to_thread(embedding, images)
        return await self._api.ask(call, timeout_s=timeout_s)

    async def ready(self) -> Ready:
        """Return what the API answers with now; UnavailableError where it does not answer."""
        return await self._api.ask(readiness())
