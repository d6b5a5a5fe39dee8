"""RayCrew: the coordinator's calls, passed to the roles' Ray Serve deployments."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any

from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.serve.exceptions import RayServeException

from adapters.errors import NacreError, UnavailableError, WorkerLostError
from workers.encoding.task_features import shards_and_views
from workers.images.views import Views
from workers.learning.crew import Assignment, Begun, Publication
from workers.logs.errand import current_errand
from workers.metrics import UNREAD, Meter
from workers.metrics.families import SHARDS_WAITING
from workers.progress_callbacks import ProgressCallback
from workers.tasks.submission import Shard, Submission

STALLED_S = 3600.0
"""A worker that says nothing for so long is given up."""

OTHER_RELEASE = re.compile(
    # Of the arguments of a call, and of what is in them.
    r"\w+Role\.\w+\(\) (?:takes (?:from )?\d|got an unexpected keyword|missing \d)"
    r"|No module named '(?:workers|cluster|adapters)\b"
    r"|Can't get attribute '\w+' on <module '(?:workers|cluster|adapters)\b"
)
"""What a worker says of a call as another release makes it, in Python's own words."""
LOST = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Handles:
    """The deployments as Serve hands them out, and how much to ask of them at once.

    Attributes:
        shard_encoder: The shard encoders.
        trainer: The trainers.
        mixture_fitter: The mixture fitters.
        publisher: The publisher.
        shards_at_once: Most shards under way at the shard encoders: enough to keep its largest size
            busy and to show Serve a backlog, and no more.
        mixture_parts: Into how many parts the classes of a task are divided.
    """

    shard_encoder: Any
    trainer: Any
    mixture_fitter: Any
    publisher: Any
    shards_at_once: int = 4
    mixture_parts: int = 1


@dataclass(kw_only=True)
class RayCrew:
    """Passes the coordinator's calls on, and gives their errors the names that it knows."""

    # Owns: the counts of shards under way and waiting.

    handles: Handles
    meter: Meter = UNREAD
    _waiting: int = field(init=False, default=0)
    _under_way: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        """Allow as many shards at once as was said."""
        self._under_way = asyncio.Semaphore(self.handles.shards_at_once)
        self._wait(0)

    async def embed(
        self, submission: Submission, progress: ProgressCallback, *, method: str
    ) -> None:
        """See `Crew`; shards go to whichever encoder is free."""
        shards = shards_and_views(submission, method=method)
        encoder = await _result(
            self.handles.publisher.learnt_under.remote(submission, current_errand())
        )
        total = submission.images("train") + submission.images("held_out")
        done = [0] * len(shards)

        async def embed_one(index: int, shard: Shard, views: Views) -> None:
            try:
                await embed_waiting(index, shard, views)
            finally:
                self._wait(-1)

        async def embed_waiting(index: int, shard: Shard, views: Views) -> None:
            async with self._under_way:
                embed = self.handles.shard_encoder.options(stream=True).embed
                stream = embed.remote(shard, views, encoder, current_errand())
                async for images in _items(stream):
                    done[index] = images
                    progress(sum(done), total)

        try:
            async with asyncio.TaskGroup() as group:
                for index, (shard, views) in enumerate(shards):
                    self._wait(1)
                    group.create_task(embed_one(index, shard, views))
        except ExceptionGroup as errors:
            # The others were cancelled; what they had finished is found another time.
            raise errors.exceptions[0] from errors

    def _wait(self, more: int) -> None:
        self._waiting += more
        self.meter.set(SHARDS_WAITING, float(self._waiting))

    async def begin(self, submission: Submission, *, owner: str, since: int | None) -> Begun:
        """See `Crew`."""
        begun: Begun = await _result(
            self.handles.publisher.begin.remote(submission, owner, since, current_errand())
        )
        return begun

    async def train(self, assignment: Assignment, progress: ProgressCallback) -> None:
        """See `Crew`."""
        train = self.handles.trainer.options(stream=True).train
        stream = train.remote(assignment, current_errand())
        async for done, total in _items(stream):
            progress(done, total)

    async def compress(self, assignment: Assignment) -> None:
        """See `Crew`; parts of the classes are fitted side by side."""
        fitter, errand = self.handles.mixture_fitter, current_errand()
        parts = await _result(fitter.parts.remote(assignment, self.handles.mixture_parts, errand))
        fitted = await asyncio.gather(
            *(_result(fitter.fit.remote(assignment, part, errand)) for part in parts)
        )
        mixtures = [entry for part in fitted for entry in part]
        await _result(fitter.finish.remote(assignment, mixtures, errand))

    async def publish(self, assignment: Assignment) -> Publication:
        """See `Crew`."""
        published: Publication = await _result(
            self.handles.publisher.publish.remote(assignment, time.time(), current_errand())
        )
        return published


async def _items(stream: Any) -> AsyncIterator[Any]:
    """Yield what a streaming call yields; whoever leaves early cancels the call."""
    finished = False
    try:
        while True:
            try:
                item = await _result(anext(stream))
            except StopAsyncIteration:
                finished = True
                return
            yield item
    finally:
        if not finished:
            stream.cancel()


async def _result(answer: Awaitable[Any]) -> Any:
    try:
        return await asyncio.wait_for(answer, STALLED_S)
    except TimeoutError as error:
        raise WorkerLostError(f"a worker has said nothing for {STALLED_S:.0f} s") from error
    except RayTaskError as error:
        if isinstance(error.cause, NacreError):
            raise error.cause from error
        if _is_of_other_release(error.cause):
            raise UnavailableError(
                "a worker of another release was asked, which does not know this call "
                f"({error.cause}); it is asked again: an upgrade replaces it within minutes, and "
                "`nacre up` does where none is under way"
            ) from error
        raise
    except LOST as error:
        raise WorkerLostError(
            f"a worker was lost and is being started again ({type(error).__name__})"
        ) from error
    except (RayError, RayServeException) as error:
        raise UnavailableError(f"the workers cannot be reached: {error}") from error


def _is_of_other_release(error: Exception) -> bool:
    """Return whether a call was refused for its form, and no work has begun.

    While a system is upgraded, a coordinator of one release calls workers of another for a moment.
    """
    kinds = (TypeError, ImportError, AttributeError)
    return isinstance(error, kinds) and OTHER_RELEASE.match(str(error)) is not None
