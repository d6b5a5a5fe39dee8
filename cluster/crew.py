"""The crew on Ray: the coordinator's calls, passed to actors, with their errors unwrapped."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

from ray.exceptions import RayActorError, RayTaskError

from adapters.errors import NacreError, UnavailableError
from workers.coordinator import Progress
from workers.submission import Shard, Submission
from workers.task_features import training_views
from workers.views import Views


class RayCrew:
    """Passes the coordinator's calls to actors; the arguments are their handles."""

    # Owns: nothing; actors restart by themselves behind their handles.

    def __init__(
        self,
        *,
        encoders: Sequence[Any],
        trainer: Any,
        mixture: Any,
        registry: Any,
    ) -> None:
        self._encoders = tuple(encoders)
        self._trainer = trainer
        self._mixture = mixture
        self._registry = registry

    async def published_as(self, submission: Submission) -> int | None:
        """See `Crew`."""
        number: int | None = await _result(self._registry.published_as.remote(submission))
        return number

    async def embed(self, submission: Submission, progress: Progress) -> None:
        """See `Crew`; shards go round the encoders, and Ray queues them."""
        total = submission.images("train") + submission.images("held_out")
        done = dict.fromkeys(range(len(submission.shards)), 0)

        async def embed_one(index: int, shard: Shard) -> None:
            views = training_views(submission) if shard.split == "train" else Views()
            encoder = self._encoders[index % len(self._encoders)]
            stream = encoder.embed.options(num_returns="streaming").remote(shard, views)
            async for images in _items(stream):
                done[index] = images
                progress(sum(done.values()), total)

        jobs = [embed_one(index, shard) for index, shard in enumerate(submission.shards)]
        await asyncio.gather(*jobs)

    async def train(self, submission: Submission, progress: Progress) -> None:
        """See `Crew`."""
        stream = self._trainer.train.options(num_returns="streaming").remote(submission)
        async for done, total in _items(stream):
            progress(done, total)

    async def compress(self, submission: Submission) -> None:
        """See `Crew`."""
        await _result(self._mixture.compress.remote(submission))

    async def publish(self, submission: Submission) -> int:
        """See `Crew`."""
        number: int = await _result(self._registry.publish.remote(submission, time.time()))
        return number


async def _items(stream: Any) -> AsyncIterator[Any]:
    try:
        async for reference in stream:
            yield await _result(reference)
    except RayActorError as error:
        raise _lost(error) from error


async def _result(reference: Awaitable[Any]) -> Any:
    try:
        return await reference
    except RayTaskError as error:
        if isinstance(error.cause, NacreError):
            raise error.cause from error
        raise
    except RayActorError as error:
        raise _lost(error) from error


def _lost(error: RayActorError) -> UnavailableError:
    return UnavailableError(f"a worker was lost and is being started again ({error})")
