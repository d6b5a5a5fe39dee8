"""The HTTP API on Ray Serve: replicas that follow `production` and answer with one version each.

A request is decoded off the event loop, embedded together with others that wait at the same moment,
and scored by the version that the replica held when the features were ready.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import torch
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from ray import serve
from starlette.datastructures import UploadFile
from torch import Tensor

from adapters.errors import (
    ConflictError,
    ImageError,
    InputError,
    NacreError,
    NotFoundError,
    UnavailableError,
)
from cluster.answers import ImageAnswer, PredictAnswer, Prediction, PredictRequest, Problem, Ready
from cluster.config import Config
from cluster.stores import open_store
from workers.encoder import Encoder
from workers.images import decode_image
from workers.predictor import LoadedVersion, Predictor
from workers.versions import Versions

TOKEN = "NACRE_TOKEN"  # noqa: S105 - the name of the variable, not a token
MAX_IMAGES = 64
BATCH = 16
BATCH_WAIT_S = 0.003
STATUS: tuple[tuple[type[NacreError], int], ...] = (
    (NotFoundError, 404),
    (InputError, 422),
    (ConflictError, 409),
    (UnavailableError, 503),
)
PROBLEMS = {code: {"model": Problem} for code in (401, 404, 422, 503)}

logger = logging.getLogger("nacre.serving")
api = FastAPI(title="nacre", version="1", description="Predictions of an ever-growing adapter.")


@api.exception_handler(NacreError)
async def problem(_: Request, error: NacreError) -> JSONResponse:
    """Answer an error as `application/problem+json`."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    return _problem(status, type(error).__name__, error.message)


@api.middleware("http")
async def authorise(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Refuse requests without the bearer token, where one is set."""
    token = os.environ.get(TOKEN)
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    open_to_all = not token or request.url.path.startswith("/v1/health")
    if open_to_all or hmac.compare_digest(given.encode(), str(token).encode()):
        return await call_next(request)
    return _problem(401, "Unauthorized", "expected a valid bearer token, found none")


def _problem(status: int, title: str, detail: str) -> JSONResponse:
    content = Problem(title=title, status=status, detail=detail).model_dump()
    return JSONResponse(content, status_code=status, media_type="application/problem+json")


@serve.deployment
@serve.ingress(api)
class Replica:
    """One replica: an encoder, and the version that answers."""

    # Owns: the predictor's current version, which only `_follow` moves.

    async def __init__(self, config: Config) -> None:
        torch.set_num_threads(config.workers.threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._encoder = Encoder(config.encoder, device=device)
        versions = Versions(open_store(config.store))
        self._predictor = Predictor(self._encoder, versions, adapter=config.adapter)
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
        files = await _files(request)
        pixels = await asyncio.to_thread(self._pixels, files)
        features = torch.stack(await asyncio.gather(*map(self._embed, pixels)))
        # Read once: everything in this answer comes from this version.
        answering = await self._version(version)
        ranked = await asyncio.to_thread(
            self._predictor.predict, features, answering, top_k=top_k
        )
        return PredictAnswer(
            version=answering.label,
            digest=answering.digest,
            results=[
                ImageAnswer(predictions=[Prediction(**asdict(entry)) for entry in best])
                for best in ranked
            ],
        )

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

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_S)
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


async def _files(request: Request) -> list[tuple[str, bytes]]:
    """Return name and content of every image in the request."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await request.form(max_files=MAX_IMAGES)
        uploads = [entry for entry in form.getlist("images") if isinstance(entry, UploadFile)]
        files = [(upload.filename or "image", await upload.read()) for upload in uploads]
    else:
        files = _decoded(await request.body())
    if not files:
        raise ImageError("expected at least one file called `images`, found none")
    return files


def _decoded(body: bytes) -> list[tuple[str, bytes]]:
    try:
        wanted = PredictRequest.model_validate_json(body)
        return [
            (f"images[{index}]", base64.b64decode(image.data, validate=True))
            for index, image in enumerate(wanted.images)
        ]
    except (ValueError, binascii.Error) as error:
        raise InputError(
            "expected multipart files called `images`, or JSON like "
            f'{{"images": [{{"data": "<base64>"}}]}}; {error}'
        ) from error
