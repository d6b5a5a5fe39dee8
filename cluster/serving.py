"""The HTTP API on Ray Serve: replicas that follow `production` and answer with one version each.

A request is decoded off the event loop, embedded together with others that wait at the same moment,
and scored by the version that the replica held when the features were ready.

Serve pickles the class below by value, and names of this module that its methods use may be missing
afterwards: whatever it needs is imported from another module.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import torch
from fastapi import FastAPI, Query, Request
from ray import serve
from torch import Tensor

from adapters.errors import NacreError
from cluster.answers import (
    ImageAnswer,
    PredictAnswer,
    Prediction,
    Problem,
    Ready,
    TaskAccepted,
    TaskEvent,
    TaskList,
    TaskState,
)
from cluster.config import Config
from cluster.problems import add_problems, add_tokens
from cluster.task_desk import TaskDesk, received_task
from cluster.uploads import uploaded_images
from cluster.versions import open_versions
from workers.encoder import Encoder
from workers.images import decode_image
from workers.predictor import LoadedVersion, Predictor

BATCH = 16
BATCH_WAIT_S = 0.003
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (401, 404, 422, 503)
}

logger = logging.getLogger("nacre.serving")
api = FastAPI(title="nacre", version="1", description="Predictions of an ever-growing adapter.")


add_problems(api)
add_tokens(api)


@serve.deployment
@serve.ingress(api)
class Replica:
    """One replica: an encoder, and the version that answers."""

    # Owns: the predictor's current version, which only `_follow` moves.

    async def __init__(self, config: Config) -> None:  # type: ignore[misc]  # Serve awaits it
        torch.set_num_threads(config.workers.threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._encoder = Encoder(config.encoder, device=device)
        versions = open_versions(config)
        self._predictor = Predictor(self._encoder, versions, adapter=config.adapter)
        self._desk = TaskDesk(config)
        self._poll_s = config.serve.poll_s
        self._refusal: str | None = None
        await self._move()
        self._following = asyncio.create_task(self._follow())

    @api.post("/v1/predict", responses=PROBLEMS)
    async def predict(
        self,
        request: Request,
        top_k: Annotated[int, Query(ge=1, le=1000)] = 5,
        version: Annotated[int | None, Query(ge=1, description="Pin a version.")] = None,
    ) -> PredictAnswer:
        """Classify images: multipart files called `images`, or JSON with base64."""
        files = await uploaded_images(request)
        pixels = await asyncio.to_thread(self._pixels, files)
        features = torch.stack(await asyncio.gather(*map(self._embed, pixels)))
        # Read once: everything in this answer comes from this version.
        answering = await self._version(version)
        ranked = await asyncio.to_thread(self._predictor.predict, features, answering, top_k=top_k)
        return PredictAnswer(
            version=answering.label,
            digest=answering.digest,
            results=[
                ImageAnswer(predictions=[Prediction(**asdict(entry)) for entry in best])
                for best in ranked
            ],
        )

    @api.post("/v1/tasks", status_code=202, responses=PROBLEMS)
    async def submit_task(self, request: Request) -> TaskAccepted:
        """Submit a task: a task file, or multipart with `task` and a tar of its folder, `archive`.

        It is durable when this answers. Paths in the task file lead into the archive.
        """
        async with received_task(request) as (content, archive):
            return await asyncio.to_thread(self._desk.submit, content, archive)

    @api.get("/v1/tasks", responses=PROBLEMS)
    async def tasks(self) -> TaskList:
        """Say where every submission is that is open or has ended within a day."""
        return await asyncio.to_thread(self._desk.tasks)

    @api.get("/v1/tasks/{name}", responses=PROBLEMS)
    async def task(self, name: str) -> TaskState:
        """Say where a submission is, given by its id or its task's name."""
        return await asyncio.to_thread(self._desk.task, name)

    @api.get("/v1/tasks/{name}/events", responses=PROBLEMS)
    async def task_events(self, name: str) -> list[TaskEvent]:
        """Say what has happened to a submission, oldest first."""
        return await asyncio.to_thread(self._desk.events, name)

    @api.post("/v1/tasks/{name}/cancel", responses=PROBLEMS)
    async def cancel_task(self, name: str) -> TaskState:
        """Take a submission back; what is published stays."""
        return await asyncio.to_thread(self._desk.cancel, name)

    @api.post("/v1/tasks/{name}/retry", responses=PROBLEMS)
    async def retry_task(self, name: str) -> TaskState:
        """Try a submission again that was set aside, or at once where it waits to be."""
        return await asyncio.to_thread(self._desk.retry, name)

    @api.get("/v1/health/live")
    async def live(self) -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "live"}

    @api.get("/v1/health/ready", responses={503: {"model": Problem}})
    async def ready(self) -> Ready:
        """Say which version answers; 503 before the first one."""
        return Ready(
            version=self._predictor.current.label,
            encoder=self._encoder.fingerprint,
            refusal=self._refusal,
        )

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_S)  # type: ignore[untyped-decorator]
    async def _embed(self, pixels: list[Tensor]) -> list[Tensor]:
        features = await asyncio.to_thread(self._encoder.image_features, torch.stack(pixels))
        return list(features)

    def _pixels(self, files: Sequence[tuple[str, bytes]]) -> list[Tensor]:
        pictures = [decode_image(content, origin=name) for name, content in files]
        return [self._encoder.transform(picture) for picture in pictures]

    async def _version(self, pinned: int | None) -> LoadedVersion:
        if pinned is None:
            return self._predictor.current
        return await asyncio.to_thread(self._predictor.prepare, pinned)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            await self._move()

    async def _move(self) -> None:
        """Follow `production`; a version that cannot be loaded leaves the present one in place."""
        try:
            await asyncio.to_thread(self._predictor.follow)
        except NacreError as error:
            if error.message != self._refusal:
                logger.warning("version refused: %s", error.message)
            self._refusal = error.message
        else:
            self._refusal = None
