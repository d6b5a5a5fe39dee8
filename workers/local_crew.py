"""The crew in one process: the same roles, called in threads, without Ray.

For tests, debugging and notebooks; the coordinator cannot tell the difference.
"""

import asyncio
import time
from collections.abc import Callable

from workers.compressor import Compressor
from workers.coordinator import Progress
from workers.embedding import Embedder
from workers.encoder import Encoder
from workers.publisher import Publisher
from workers.store.base import ObjectStore
from workers.submission import Submission
from workers.task_features import training_views
from workers.trainer import Trainer
from workers.versions import Versions
from workers.views import Views


class LocalCrew:
    """Carries the coordinator's calls out in threads of this process."""

    # Owns: one role of each kind. Two submissions may be embedded at once; the embedder is frozen.

    def __init__(
        self,
        encoder: Encoder,
        store: ObjectStore,
        *,
        method: str = "lada",
        clock: Callable[[], float] = time.time,
    ) -> None:
        versions = Versions(store)
        self._method = method
        self._clock = clock
        self._embedder = Embedder(encoder, store)
        self._trainer = Trainer(encoder, store, versions)
        self._compressor = Compressor(store, fingerprint=encoder.fingerprint)
        self._publisher = Publisher(encoder, store, versions)

    async def published_as(self, submission: Submission) -> int | None:
        """See `Crew`."""
        return await asyncio.to_thread(self._publisher.published_as, submission)

    async def embed(self, submission: Submission, progress: Progress) -> None:
        """See `Crew`."""
        await asyncio.to_thread(self._embed, submission)
        total = submission.images("train") + submission.images("held_out")
        progress(total, total)

    async def train(self, submission: Submission, progress: Progress) -> None:
        """See `Crew`."""
        steps = await asyncio.to_thread(lambda: list(self._trainer.train(submission, self._method)))
        progress(*steps[-1])

    async def compress(self, submission: Submission) -> None:
        """See `Crew`."""
        await asyncio.to_thread(self._compressor.compress, submission, self._method)

    async def publish(self, submission: Submission) -> int:
        """See `Crew`."""
        return await asyncio.to_thread(self._publisher.publish, submission, now=self._clock())

    def _embed(self, submission: Submission) -> None:
        for shard in submission.shards:
            views = training_views(submission) if shard.split == "train" else Views()
            for _ in self._embedder.embed(shard, views):
                pass
