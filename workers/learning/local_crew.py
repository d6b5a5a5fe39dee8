"""LocalCrew: the same workers in one process, called in threads, without Ray.

For notebooks (`workers.coordination.local_coordinator`), debugging and tests;
the coordinator cannot tell the difference.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import ParamSpec, TypeVar

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
from workers.logs.errand import current_errand
from workers.logs.keeping import WorkLogs
from workers.progress_callbacks import ProgressCallback
from workers.registry.record_cache import Versions
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission
from workers.traces.spans import each_in_span, in_span

Args = ParamSpec("Args")
Result = TypeVar("Result")


class LocalCrew:
    """Carries the coordinator's calls out in threads of this process.

    Args:
        encoder: The encoder.
        store: The object store.
        clock: Seconds since the epoch.
        threads: In which the roles work.
        checkpoint_every: See `Trainer`.
        logs: Keeps what is written meanwhile; nobody does where None.
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
        logs: WorkLogs | None = None,
    ) -> None:
        versions = Versions(store)
        self._threads = threads
        self._logs = logs
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
        shard_encoder = await self._call(self._shard_encoder_of, submission)
        total = submission.images("train") + submission.images("held_out")
        finished = 0
        for shard, views in shards_and_views(submission, method=method):
            embedding = self._each("embed shard", partial(shard_encoder.embed, shard, views))
            async for done in streamed(embedding, threads=self._threads):
                progress(finished + done, total)
            finished += len(shard.labels)

    async def begin(self, submission: Submission, *, owner: str, since: int | None) -> Begun:
        """See `Crew`."""
        publisher = await self._call(self._publisher_of, submission)
        begin = in_span("begin", publisher.begin)
        return await self._call(begin, submission, owner=owner, since=since)

    async def train(self, assignment: Assignment, progress: ProgressCallback) -> None:
        """See `Crew`."""
        trainer = await self._call(self._trainers.of, assignment.encoder)
        training = self._each("train", partial(trainer.train, assignment))
        async for done, total in streamed(training, threads=self._threads):
            progress(done, total)

    async def compress(self, assignment: Assignment) -> None:
        """See `Crew`."""
        fit = in_span("fit mixtures", self._mixture_fitter.fit)
        finish = in_span("finish record", self._mixture_fitter.finish)
        mixtures = [
            mixture
            for part in self._mixture_fitter.parts(assignment, most=1)
            for mixture in await self._call(fit, assignment, part)
        ]
        await self._call(finish, assignment, mixtures)

    async def publish(self, assignment: Assignment) -> Publication:
        """See `Crew`."""
        publisher = await self._call(self._publishers.of, assignment.encoder)
        publish = in_span("publish", publisher.publish)
        return await self._call(publish, assignment, now=self._clock())

    async def _call(
        self, function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        if self._logs is not None:
            function = partial(self._logs.run, current_errand(), function)
        return await self._threads.call(function, *args, **kwargs)

    def _each(self, name: str, begin: Callable[[], Iterator[Result]]) -> Iterator[Result]:
        if self._logs is None:
            return begin()
        return self._logs.each(current_errand(), each_in_span(name, begin))

    def _publisher_of(self, submission: Submission) -> Publisher:
        return self._publishers.of(self._encoders.begun_by(submission).fingerprint)

    def _shard_encoder_of(self, submission: Submission) -> ShardEncoder:
        return self._shard_encoders.of(self._publisher_of(submission).learnt_under(submission))
