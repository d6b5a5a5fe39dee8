"""Routes for inference: predict and embed."""

from typing import Any

from fastapi import APIRouter, Request

from cluster.api.access.allowances import Allowances
from cluster.api.leaving import while_awaited
from cluster.api.parameters import AdapterPath
from cluster.api.problems import problems
from cluster.api.schemas import inlined
from cluster.api.uploads import received_images, received_question
from cluster.serving.service import Service
from cluster.wire.predictions import EmbedAnswer, EmbedRequest, PredictAnswer, PredictRequest
from workers.serving.predictor import Question


def routes(service: Service, *, adapter: str, allowances: Allowances) -> APIRouter:
    """Return the routes, answered by `service`.

    Args:
        service: Answers.
        adapter: Answers where none is named.
        allowances: Say how many images each requester may ask for.
    """
    router = APIRouter(tags=["predict"])

    @router.post(
        "/v1/predict",
        response_model_exclude_unset=True,
        responses=problems(400, 404, 413, 422, 429, 503, 504),
        openapi_extra=_body(PredictRequest),
    )
    async def predict(request: Request) -> PredictAnswer:
        """Say what images show, with the configured adapter.

        The same as `/v1/adapters/{adapter}/predict` with the name of that adapter.
        """
        return await answered(request, adapter)

    @router.post(
        "/v1/adapters/{adapter}/predict",
        response_model_exclude_unset=True,
        responses=problems(400, 404, 413, 422, 429, 503, 504),
        openapi_extra=_body(PredictRequest),
    )
    async def predict_with(request: Request, adapter: AdapterPath) -> PredictAnswer:
        """Say what images show.

        `adapter` may be written with a version, as `main@3` or `main@canary`. Images come as JSON
        with base64, or as multipart files called `images` with the other fields beside them.
        """
        return await answered(request, adapter)

    @router.post(
        "/v1/embed",
        responses=problems(400, 413, 422, 429, 503, 504),
        openapi_extra=_body(EmbedRequest),
    )
    async def embed(request: Request) -> EmbedAnswer:
        """Return the encoder's unit features of images."""
        who = requester_of(request)
        files = await received_images(request)
        allowances.images(who, len(files))
        return await while_awaited(request, service.embed(files, requester=who))

    def requester_of(request: Request) -> str:
        """Return who asks; an error, before anything is read, where they may ask for no image."""
        who: str = request.state.requester.name
        allowances.images(who, 0)
        return who

    async def answered(request: Request, adapter: str) -> PredictAnswer:
        who = requester_of(request)
        files, asked = await received_question(request)
        allowances.images(who, len(files))
        name, _, written = adapter.partition("@")
        question = Question(
            top_k=asked.top_k,
            tasks=tuple(asked.tasks) if asked.tasks is not None else None,
            labels=tuple(dict.fromkeys(asked.candidate_labels)),
            prompt=asked.prompt,
            reject=asked.reject,
        )
        pinned = written or asked.version
        answer = service.predict(files, question, adapter=name, pinned=pinned, requester=who)
        found = await while_awaited(request, answer)
        request.state.said = {"version": found.version, "images": len(files)}
        return found

    return router


def _body(model: type[EmbedRequest]) -> dict[str, Any]:
    """Return how OpenAPI describes the two forms of a request."""
    schema = model.model_json_schema()
    fields = {name: value for name, value in schema["properties"].items() if name != "images"}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    multipart = {
        "type": "object",
        "properties": {"images": files, **fields},
        "required": ["images"],
    }
    definitions = schema.pop("$defs", {})
    as_json = inlined(schema, definitions)
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": as_json},
                "multipart/form-data": {"schema": inlined(multipart, definitions)},
            },
        }
    }
