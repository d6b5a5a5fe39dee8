"""LocalCrew: the same workers in one process, called in threads, without Ray.

For notebooks (`workers.coordination.local_coordinator`), debugging and tests;
the coordinator cannot tell the difference.
"""

import time
from collections.abc import Callable

from workers.concurrency.streams import streamed
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.encoding.encoder import Encoder
from workers.encoding.encoders import Encoders, PerEncoder, loads_like
from workers.encoding.shard_encoder import ShardEncoder
from workers.encoding.task_features import shards_and_views
from workers.learning.crew import Assignment, Begun, Publication
from workers.learning.mixture_fitter import MixtureFitter
from workers.learning.publisher import Publisher
from workers.learning.trainer import CHECKPOINT_EVERY, Trainer
from workers.progress_callbacks import ProgressCallback
from workers.registry.record_cache import Versions
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission


class LocalCrew:
    """Carries the coordinator's calls out in threads of this process.

    Args:
        encoder: The encoder.
        store: The object store.
        clock: Seconds since the epoch.
        threads: In which the roles work.
        checkpoint_every: See `Trainer`.
    """

    # Owns: one role of each kind. Two submissions may be embedded at once; the embedder is frozen.

    def __init__(
        self,
        encoder: Encoder,
        store: ObjectStore,
        *,
        clock: Callable[[], float] = time.time,
        threads: Threads = SYSTEM_THREADS,
        checkpoint_every: int = CHECKPOINT_EVERY,
    ) -> None:
        versions = Versions(store)
        self._threads = threads
        self._clock = clock
        self._encoders = Encoders(encoder, store, loads_like(encoder))
        self._shard_encoders = PerEncoder(self._encoders, lambda one: ShardEncoder(one, store))
        self._trainers = PerEncoder(
            self._encoders,
            lambda one: Trainer(one, store, versions, checkpoint_every=checkpoint_every),
        )
        self._mixture_fitter = MixtureFitter(store)
        self._publishers = PerEncoder(self._encoders, lambda one: Publisher(one, store, versions))

    async def embed(
        self, submission: Submission, progress: ProgressCallback, *, method: str
    ) -> None:
        """See `Crew`."""
        shard_encoder = await self._threads.call(self._shard_encoder_of, submission)
        total = submission.images("train") + submission.images("held_out")
        finished = 0
        for shard, views in shards_and_views(submission, method=method):
            async for done in streamed(shard_encoder.embed(shard, views), threads=self._threads):
                progress(finished + done, total)
            finished += len(shard.labels)

    async def begin(self, submission: Submission, *, owner: str, since: int | None) -> Begun:
        """See `Crew`."""
        publisher = await self._threads.call(self._publisher_of, submission)
        return await self._threads.call(publisher.begin, submission, owner=owner, since=since)

    async def train(self, assignment: Assignment, progress: ProgressCallback) -> None:
        """See `Crew`."""
        trainer = await self._threads.call(self._trainers.of, assignment.encoder)
        async for done, total in streamed(trainer.train(assignment), threads=self._threads):
            progress(done, total)

    async def compress(self, assignment: Assignment) -> None:
        """See `Crew`."""
        mixtures = [
            mixture
            for part in self._mixture_fitter.parts(assignment, most=1)
            for mixture in await self._threads.call(self._mixture_fitter.fit, assignment, part)
        ]
        await self._threads.call(self._mixture_fitter.finish, assignment, mixtures)

    async def publish(self, assignment: Assignment) -> Publication:
        """See `Crew`."""
        publisher = await self._threads.call(self._publishers.of, assignment.encoder)
        return await self._threads.call(publisher.publish, assignment, now=self._clock())

    def _publisher_of(self, submission: Submission) -> Publisher:
        return self._publishers.of(self._encoders.begun_by(submission).fingerprint)

    def _shard_encoder_of(self, submission: Submission) -> ShardEncoder:
        return self._shard_encoders.of(self._publisher_of(submission).learnt_under(submission))
