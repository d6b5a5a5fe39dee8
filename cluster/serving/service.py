"""The inference service of one replica: decode, embed in batches, answer by one version.

Everything here belongs to one event loop; what takes long runs in threads beside it. Requests take
turns at decoding. At any moment one batch is being embedded and scored. Images that come meanwhile
are gathered, and are the next batch: a replica without much to do answers at once, and a busy one
in large batches.
"""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Any, TypeVar

import torch
from torch import Tensor

from adapters.errors import NacreError, UnavailableError
from adapters.familiarity import UNMEASURED
from adapters.towers.image_tower import ImageTower
from cluster.config import Config
from cluster.metrics.exposition import Shown, exposition
from cluster.serving.metrics import Following, Metrics
from cluster.serving.traced import TracedBatch, record_served
from cluster.wire import health
from cluster.wire.health import AdapterState, Ready
from cluster.wire.predictions import EmbedAnswer, ImageAnswer, PredictAnswer, Prediction
from workers.concurrency.supervision import Supervisor, Trouble
from workers.encoding.encoder import Encoder
from workers.encoding.encoders import Encoders, loads_like
from workers.images.decode import decode_image, open_image
from workers.images.pixels import PixelTransform
from workers.metrics import Tally
from workers.registry import Author, VersionRef
from workers.registry.documents.layout import refs_key
from workers.registry.record_cache import Versions
from workers.serving.batching import Batcher
from workers.serving.embedding_thread import EmbeddingThread
from workers.serving.follower import JITTER, Follower, Refusal
from workers.serving.predictor import Candidate, PredictionRequest, Predictor, Question
from workers.serving.turns import TakesLongError, Turns
from workers.serving.version_cache import LoadedVersion
from workers.store import ObjectStore
from workers.store.sightings import sightings_of
from workers.traces.spans import is_traced, span

File = tuple[str, bytes]
Files = Sequence[File]
Reading = tuple[File, PixelTransform]
"""A file, and how the encoder reads pictures that answers for it."""
Answer = list[Candidate] | NacreError
Result = TypeVar("Result")
LOADERS = 4
"""Versions prepared or looked up at once."""
STALLED_S, STALLED_TIMEOUTS = 60.0, 3.0
"""An embedding has stalled after so many seconds, and so many times the longest request."""
FIRST_LOOK_S = 1.0
"""The first answer waits at most so long for one more look at `production`."""
logger = logging.getLogger("nacre.serving")


class Service:
    """The encoder and the versions of one replica.

    Args:
        config: Of the system.
        versions: Reads versions.
        device: Where images are embedded.
        encoder: What embeds; another class than the usual one only to measure the rest.
        clock: Tells how long an embedding has taken: seconds that never go back.
        meter: Counts; one of its own where None.
        replica: Tells what this replica counts from what others do.
    """

    # Owns: the threads, one task per followed adapter, what keeps it from following, the looks that
    # first answers wait for, and how many images are under way.

    def __init__(
        self,
        config: Config,
        versions: Versions,
        *,
        device: str = "cpu",
        encoder: type[Encoder] = Encoder,
        clock: Callable[[], float] = time.monotonic,
        meter: Tally | None = None,
        replica: str = "alone",
    ) -> None:
        _without_helpers()
        self._began, self._under_way = time.monotonic(), 0
        self._config = config.serve
        self._versions = versions
        self._encoder = encoder(config.encoder, device=device)
        self._predictor = Predictor(
            self._encoder,
            versions,
            adapters=config.served,
            most=config.serve.versions,
            most_bytes=config.serve.versions_mb * 10**6,
            memory=config.serve.memory,
            encoders=Encoders(self._encoder, versions.registry.store, loads_like(self._encoder)),
        )
        self._decoding = _threads(config.serve.decoders, "decoding")
        self._loading = _threads(LOADERS, "loading")
        # Of their own: while the store is away, they wait for it all the time.
        self._following = _threads(len(config.served), "following")
        # Last, because it counts for the matrix library of the whole process. Only this thread has
        # helpers: with those of several, all take turns instead of waiting awake, and a forward
        # takes a third longer.
        self._embedding = EmbeddingThread(helpers=config.serve.threads, clock=clock)
        self._supervisors: dict[str, Supervisor] = {}
        self._troubles: dict[str, Trouble] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._first_looks: dict[str, asyncio.Task[None]] = {}
        self._tally = Tally() if meter is None else meter
        self.metrics = Metrics(self._tally, adapters=config.served, replica=replica)
        self.metrics.follows(self._followed)
        self._decoded: Turns[Reading, Tensor] = Turns(
            self._decoding,
            most=config.serve.decoders,
            short=partial(_timed, self.metrics, _pixels_of_short),
            long=partial(_timed, self.metrics, _pixels),
        )
        self._answered = Batcher(self._answer, most=config.serve.batch)
        self._embedded = Batcher(self._embed, most=config.serve.batch)

    async def start(self) -> None:
        """Load what `production` of every adapter points to, and follow it from now on.

        Waits for the store: a replica that does not know what to answer with is of no use.
        """
        for name, follower in self._predictor.followers.items():
            while not follower.has_looked:
                await self.follow(name)
                if not follower.has_looked:
                    await asyncio.sleep(self._config.poll_s)
            supervisor = Supervisor(
                f"following {name}",
                partial(self._keep_following, name),
                clock=time.monotonic,
                logger=logger,
            )
            self._supervisors[name] = supervisor
            self._tasks.append(asyncio.create_task(supervisor.run()))

    @property
    def store(self) -> ObjectStore:
        """Where the versions are."""
        return self._versions.registry.store

    @property
    def lives(self) -> bool:
        """Whether everything runs here that should run for ever."""
        return self.ended is None

    @property
    def ended(self) -> str | None:
        """Why another replica has to take over, as half a sentence; None while all goes on."""
        if any(task.done() for task in self._tasks):
            return "a follower has ended"
        stall = self._stall()
        return stall.reason if stall else None

    async def predict(
        self,
        files: Files,
        question: Question,
        *,
        adapter: str,
        pinned: int | str | None,
        requester: str = "",
    ) -> PredictAnswer:
        """Answer what the images in `files` show.

        Args:
            files: Name and content of each.
            question: What is asked of them.
            adapter: Which answers.
            pinned: Which version of it; what `production` points to where None.
            requester: For whom; requesters take turns.

        Raises:
            NacreError: an image is refused, or there is no such version or task.
        """
        with self._counted(files):
            return await self._predicted(files, question, adapter, pinned, requester)

    async def _predicted(
        self,
        files: Files,
        question: Question,
        adapter: str,
        pinned: int | str | None,
        requester: str,
    ) -> PredictAnswer:
        follower = self._predictor.follower(adapter)
        if pinned is None:
            await self._looked_once_more(adapter)
        request = PredictionRequest(
            adapter=adapter,
            question=question,
            prepared_for=follower.state.current,
        )
        if pinned is not None:
            request.version = await _in(self._loading, self._predictor.version, adapter, pinned)
        encoder = self._predictor.encoder_of(request.version or request.prepared_for)
        reading = [(file, encoder.transform) for file in files]
        with span("decode", images=len(files)):
            pixels = await self._decoded(reading, requester=requester)
        if question.labels:
            await self._embedding(self._predictor.learn_labels, question, encoder)
        results: list[ImageAnswer] = []
        best: list[Candidate] = []
        with span("answer", images=len(files)) as answering:
            request.place = answering.place
            answers = (self._answered((one, request), requester=requester) for one in pixels)
            found = await asyncio.gather(*answers)
        for answer in found:
            if isinstance(answer, NacreError):
                raise answer
            results.append(_image_answer(answer, question))
            best += answer[:1]
        assert request.version is not None
        self.metrics.answered(adapter, best)
        return PredictAnswer(
            version=request.version.label, digest=request.version.digest, results=results
        )

    async def _looked_once_more(self, adapter: str) -> None:
        """Wait, before the first answers, for a look at `production`.

        Of a move that was made while Serve took this replica in, the others alone were told.
        """
        look = self._first_looks.get(adapter)
        if look is None:
            look = asyncio.create_task(self.follow(adapter, wary=True))
            self._first_looks[adapter] = look
        if not look.done():
            await asyncio.wait([look], timeout=FIRST_LOOK_S)

    async def embed(self, files: Files, *, requester: str = "") -> EmbedAnswer:
        """Return the features of the images in `files`.

        Args:
            files: Name and content of each.
            requester: For whom; requesters take turns.
        """
        reading = [(file, self._encoder.transform) for file in files]
        with self._counted(files):
            pixels = await self._decoded(reading, requester=requester)
            embedded = (self._embedded(one, requester=requester) for one in pixels)
            features = await asyncio.gather(*embedded)
        return EmbedAnswer(
            encoder=self._encoder.fingerprint,
            features=features,
        )

    @contextmanager
    def _counted(self, files: Files) -> Iterator[None]:
        """Count images as under way within this."""
        self._under_way += len(files)
        try:
            yield
        finally:
            self._under_way -= len(files)

    async def prepare(self, adapter: str, ref: VersionRef) -> None:
        """Load a version that `production` may soon point to."""
        if adapter in self._predictor.followers:
            await _in(self._loading, self._predictor.follower(adapter).prepare, ref)

    async def follow(self, adapter: str, serial: int = 0, *, wary: bool = False) -> None:
        """Move to what `production` of `adapter` points to; what cannot be loaded is refused.

        Args:
            adapter: Its name.
            serial: See `Follower.follow`.
            wary: The same.
        """
        if adapter not in self._predictor.followers:
            return
        follower = self._predictor.follower(adapter)
        before, answered = follower.state.refusal, follower.state.current
        started = time.monotonic()
        try:
            if await _in(self._following, partial(follower.follow, serial, wary=wary)):
                await _in(self._following, self._note_move, adapter, time.monotonic() - started)
                if is_traced():
                    await _in(self._following, self._trace_move, follower, answered, started)
            self._troubles.pop(adapter, None)
        except Exception as error:  # noqa: BLE001 - what answers goes on, and so does looking
            self._note_trouble(adapter, error)
        refusal = follower.state.refusal
        if refusal is not None and (before is None or refusal.ref != before.ref):
            self.metrics.refused(adapter)
            await _in(self._following, self._note_refusal, adapter, refusal)

    async def counted(self) -> bytes:
        """Return what this process has counted, as Prometheus reads it."""
        points = await _in(self._loading, self._tally.points)
        return exposition(map(Shown.of, points))

    def ready(self) -> Ready:
        """Return what this replica answers with."""
        return Ready(
            encoder=self._encoder.fingerprint,
            loaded=list(self._predictor.loaded),
            adapters={name: self._state(name) for name in self._predictor.followers},
            embedding=self._stall(),
            replica=f"{socket.gethostname()}:{os.getpid()}",
            in_metrics=self.metrics.replica,
            runs_s=time.monotonic() - self._began,
            under_way=self._under_way,
        )

    def _stall(self) -> health.Trouble | None:
        """Return that an embedding does not end; None where none has taken so long."""
        for_s = self._embedding.under_way_s
        if for_s <= max(STALLED_S, STALLED_TIMEOUTS * self._config.timeout_s):
            return None
        reason = f"embedding has been under way for {for_s:.0f} s"
        return health.Trouble(reason=reason, for_s=for_s, tries=1)

    def _state(self, name: str) -> AdapterState:
        state = self._predictor.followers[name].state
        age_s, most_s = time.monotonic() - state.seen_at, self._config.max_staleness_s
        answers = state.current is not None or state.refusal is None
        opening = self._predictor.opening(name)
        return AdapterState(
            version=state.current.label if state.current else None,
            refused=state.refusal.label if state.refusal else None,
            reason=state.refusal.reason if state.refusal else None,
            seen_s=None if age_s == float("inf") else age_s,
            stale=age_s > self._config.stale_s,
            ready=answers and age_s < (inf if most_s is None else most_s),
            opening=str(opening) if opening else None,
            went_back=sightings_of(self._versions.registry.store).went_back.get(refs_key(name), 0),
            trouble=self._trouble(name),
        )

    def _trouble(self, name: str) -> health.Trouble | None:
        known = self._troubles.get(name)
        if known is None:
            return None
        for_s = time.monotonic() - known.since
        return health.Trouble(reason=known.reason, for_s=for_s, tries=known.times)

    def _followed(self) -> dict[str, Following]:
        now, followers = time.monotonic(), self._predictor.followers
        states = {name: follower.state for name, follower in followers.items()}
        return {
            name: Following(state=state, age_s=now - state.seen_at)
            for name, state in states.items()
        }

    def _note_move(self, adapter: str, seconds: float) -> None:
        """Count a move, and note how accurate the version is that answers now."""
        self.metrics.swapped(adapter, seconds)
        current = self._predictor.follower(adapter).state.current
        if current is None:
            return
        try:
            found = self._versions.registry.adapter(adapter).accuracies_of(current.ref)
        except NacreError as error:
            logger.warning("accuracies are not known", extra={"error": error.message})
            found = ()
        self.metrics.accuracies(adapter, {each.task: each.accuracy for each in found})

    def _trace_move(self, follower: Follower, before: LoadedVersion | None, started: float) -> None:
        """Let the trace of a submission say that this replica answers with what came of it."""
        current = follower.state.current
        if before is None or current is None or current.ref.number <= before.ref.number:
            return  # begun with it, or gone back: no news of its submission
        took = time.monotonic() - started
        try:
            record_served(self._versions, follower.adapter, current.ref, took_s=took)
        except Exception as error:  # noqa: BLE001 - what is traced keeps nobody from answering
            logger.warning("not traced", extra={"adapter": follower.adapter, "error": repr(error)})

    def _note_trouble(self, adapter: str, error: Exception) -> None:
        """Note that `production` cannot be looked at; that it lasts is said once in the log."""
        before = self._troubles.get(adapter)
        self._troubles[adapter] = found = Trouble.after(before, error, now=time.monotonic())
        if before is not None and before.reason == found.reason:
            return
        away = isinstance(error, UnavailableError)
        logger.warning(
            "the store cannot be reached" if away else "cannot follow",
            extra={"adapter": adapter, "error": found.reason},
            exc_info=None if isinstance(error, NacreError) else error,
        )

    def _note_refusal(self, adapter: str, refusal: Refusal) -> None:
        """Say that a version could not be loaded: in the log, and in the adapter's history."""
        logger.error("refused", extra={"version": refusal.label, "error": refusal.reason})
        by = Author(who=f"replica on {socket.gethostname()}", why=refusal.reason, now=time.time())
        try:
            self._versions.registry.adapter(adapter).note_refusal(refusal.ref, by=by)
        except NacreError as error:
            logger.warning("not in the history", extra={"error": error.message})
        except Exception:
            logger.exception("not in the history")

    async def _answer(self, images: list[tuple[Tensor, PredictionRequest]]) -> list[Answer]:
        pixels = [one for one, _ in images]
        requests = [request for _, request in images]

        places = {request.place for request in requests if request.place}

        def answers() -> list[Answer]:
            predict = self._predictor.predict_together
            if not places:
                return predict(pixels, requests, embed=self._features)
            with TracedBatch(places, images=len(images)) as batch:
                return predict(pixels, requests, embed=batch.timed(self._features))

        return await self._embedding(answers)

    async def _embed(self, pixels: list[Tensor]) -> list[list[float]]:
        def rows() -> list[list[float]]:
            tower = self._encoder.image_tower
            features: list[list[float]] = self._features(tower, torch.stack(pixels)).tolist()
            return features

        return await self._embedding(rows)

    def _features(self, tower: ImageTower, pixels: Tensor) -> Tensor:
        started = time.perf_counter()
        features = tower.features(pixels)
        is_full = len(pixels) >= self._config.batch
        self.metrics.batch(len(pixels), time.perf_counter() - started, is_full=is_full)
        return features

    async def _keep_following(self, adapter: str) -> None:
        while True:
            # Not in step with other replicas: of a store that answers in turns, one of two that are
            # would be given every old answer.
            await asyncio.sleep(self._config.poll_s * JITTER.uniform(0.8, 1.2))
            await self.follow(adapter)


def _timed(metrics: Metrics, decode: Callable[[Reading], Tensor], reading: Reading) -> Tensor:
    started = time.perf_counter()
    pixels = decode(reading)
    metrics.decoded(time.perf_counter() - started)
    return pixels


def _pixels_of_short(reading: Reading) -> Tensor:
    (name, content), transform = reading
    image = open_image(content, origin=name)
    if not image.is_short:
        raise TakesLongError
    return transform(image.decoded())


def _pixels(reading: Reading) -> Tensor:
    (name, content), transform = reading
    return transform(decode_image(content, origin=name))


def _image_answer(ranked: Sequence[Candidate], question: Question) -> ImageAnswer:
    """Return what is said of one image; of rejecting only where that was asked."""
    predictions = list(map(_prediction, ranked))
    if question.reject is None:
        return ImageAnswer(predictions=predictions)
    verdict = (ranked[0].verdict if ranked else None) or UNMEASURED
    return ImageAnswer(
        predictions=predictions, unknown=verdict.unknown, familiarity=verdict.familiarity
    )


def _prediction(candidate: Candidate) -> Prediction:
    """Return a candidate as it is answered; a thousand of each image may be asked for."""
    return Prediction.model_validate(candidate, from_attributes=True)


async def _in(threads: ThreadPoolExecutor, work: Callable[..., Result], *args: Any) -> Result:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *args)


def _threads(count: int, name: str) -> ThreadPoolExecutor:
    """Return running threads whose products have no helpers."""
    pool = ThreadPoolExecutor(count, name, initializer=_without_helpers)
    all_run = threading.Barrier(count)
    list(pool.map(lambda _: all_run.wait(), range(count)))
    return pool


def _without_helpers() -> None:
    torch.set_num_threads(1)
    # A thread's first product would set what counts for the process then; asking is enough.
    torch.get_num_threads()
