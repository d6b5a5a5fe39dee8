"""Images uploaded in a request: multipart files called `images`, or JSON with base64."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, Headers, UploadFile

from adapters.contract.json_reading import JsonLimits, read_json
from adapters.errors import ImageError, InputError
from cluster.api.forms import received_form
from cluster.api.limits import is_form
from cluster.api.parameters import check_once, written_query
from cluster.api.problems import sentence
from cluster.wire.predictions import MAX_IMAGES, MAX_LABELS, EmbedRequest, PredictRequest
from workers.formats.yaml_scalars import cut

FIELD_BYTES = 4096
"""Of a field of a form; the longest is a prompt."""
VALUES = JsonLimits(depth=8, values=500_000)
"""Of a JSON body: two thousand names, and two hundred commas in each."""
MAX_FIELDS = 2 * MAX_LABELS + 8
LISTS = ("tasks", "candidate_labels")

Asked = TypeVar("Asked", bound=EmbedRequest)
Files = list[tuple[str, bytes]]


async def received_images(request: Request) -> Files:
    """Return name and content of every image in the request."""
    return (await _received(request, EmbedRequest))[0]


async def received_question(request: Request) -> tuple[Files, PredictRequest]:
    """Return the images of the request, and what is asked of them."""
    return await _received(request, PredictRequest)


async def _received(request: Request, kind: type[Asked]) -> tuple[Files, Asked]:
    if is_form(request.headers.get("content-type", "")):
        async with received_form(
            request, max_files=MAX_IMAGES, max_fields=MAX_FIELDS, max_part_size=FIELD_BYTES
        ) as form:
            return await _from_form(form, written_query(request), kind)
    try:
        return _from_json(await request.body(), written_query(request), kind)
    except NoJsonError as error:
        raise InputError(
            f"expected {_FORMS}, found {_written(request.headers)}: {error}"
        ) from error


_FORMS = (
    "a multipart form with files called `images` (`curl -F images=@photo.jpg`), or JSON like "
    '{"images": [{"data": "<base64>"}]}'
)


class NoJsonError(Exception):
    """A body is no JSON."""


def _written(headers: Headers) -> str:
    """Return how a body is written, as its headers say."""
    encoding, kind = headers.get("content-encoding"), headers.get("content-type")
    said = f"a body of {cut(kind)}" if kind else "a body without a Content-Type"
    return f"{said}, packed with {cut(encoding)}, which is not unpacked" if encoding else said


def _other_parts(form: FormData) -> str:
    names = ", ".join(f"`{cut(name)}`" for name in list(form)[:5])
    return f"none (the form has {names})" if names else "none"


async def _from_form(
    form: FormData, query: Mapping[str, str], kind: type[Asked]
) -> tuple[Files, Asked]:
    parts = form.getlist("images")
    uploads = [entry for entry in parts if isinstance(entry, UploadFile)]
    if not uploads or len(uploads) < len(parts):
        found = "a part without a file name" if parts else _other_parts(form)
        raise ImageError(
            f"expected at least one file called `images`, found {found}; send each picture as a "
            "file of that name, as `curl -F images=@photo.jpg` does"
        )
    files = [(upload.filename or "image", await upload.read()) for upload in uploads]
    fields: dict[str, Any] = {
        name: [value for value in form.getlist(name) if isinstance(value, str)]
        for name in form
        if name != "images"
    }
    single = (name for name, _ in form.multi_items() if name not in (*LISTS, "images"))
    check_once(single, "the form")
    for name, values in fields.items():
        if name not in LISTS:
            fields[name] = values[-1] if values else None
    return files, _asked(kind, {"images": [{"data": ""}], **query, **fields})


def _from_json(body: bytes, query: Mapping[str, str], kind: type[Asked]) -> tuple[Files, Asked]:
    try:
        content = read_json(body, limits=VALUES)
    except UnicodeDecodeError as error:
        raise NoJsonError("it is no text") from error
    except ValueError as error:
        raise NoJsonError(str(error)) from error
    if not isinstance(content, dict):
        raise InputError(f"expected a JSON object, found {type(content).__name__}")
    asked = _asked(kind, {**query, **content})
    return [
        (f"images[{index}]", _decoded(image.data, index))
        for index, image in enumerate(asked.images)
    ], asked


def _asked(kind: type[Asked], values: Mapping[str, Any]) -> Asked:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(sentence(error.errors(), list(kind.model_fields))) from error


def _decoded(data: str, index: int) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ImageError(f"expected base64 in images[{index}].data: {error}") from error
