"""Images in a request: multipart files called `images`, or JSON with base64."""

import base64
import binascii

from fastapi import Request
from starlette.datastructures import UploadFile

from adapters.errors import ImageError, InputError
from cluster.answers import PredictRequest

MAX_IMAGES = 64
MAX_BODY_BYTES = 128 * 2**20


async def uploaded_images(request: Request) -> list[tuple[str, bytes]]:
    """Return name and content of every image in the request."""
    _check_size(request)
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith("multipart/form-data"):
        async with request.form(max_files=MAX_IMAGES) as form:
            uploads = [entry for entry in form.getlist("images") if isinstance(entry, UploadFile)]
            files = [(upload.filename or "image", await upload.read()) for upload in uploads]
    else:
        files = _decoded(await request.body())
    if not files:
        raise ImageError("expected at least one file called `images`, found none")
    return files


def _check_size(request: Request) -> None:
    """Refuse a body that is too large before any of it is read."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise InputError("expected a Content-Length, found none; send the body in one piece")
    if int(length) > MAX_BODY_BYTES:
        raise InputError(
            f"expected at most {MAX_BODY_BYTES} bytes in one request, found {length}; send fewer "
            "or smaller images"
        )


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
