"""Routes for archives: a version is sent as one tar file, and one that was sent is published."""

import asyncio
import hashlib
import shutil
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from adapters.errors import InputError, NacreError
from cluster.api.forms import received_form
from cluster.api.lasting.answers import (
    MOST,
    Counted,
    Done,
    EndingResponse,
    LastingCalls,
    Watch,
    goes_on,
    in_lines,
)
from cluster.api.limits import is_form
from cluster.api.looking import VersionPath
from cluster.api.parameters import AdapterPath, AskedBy
from cluster.api.places import of_upload
from cluster.api.problems import problems, sentence
from cluster.client.client import Client
from cluster.client.moved import moved_document
from cluster.client.requester import Requester
from cluster.wire.outputs.versions import ImportedVersion, ImportRequest
from workers.formats.yaml_scalars import cut

TAR = "application/x-tar"
ARCHIVE = "archive"
MOST_ALIASES, FIELD_BYTES = 20, 4096
PIECE_BYTES = 2**18
NAME_BYTES = 255
HOW = "`curl -F archive=@main.tar` sends one"


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """A version as one file.

    Attributes:
        file: Open, and already without a name: it is gone as soon as it is closed.
        size_bytes: How long it is.
        sha256: Of all of it.
        name: How it may be called.
    """

    file: BinaryIO
    size_bytes: int
    sha256: bytes
    name: str


class ArchiveHandlers:
    """Packs versions and publishes archives, for the routes.

    Args:
        client: Of the system, opened once for all requests.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client) -> None:
        self._client = client

    def pack(self, adapter: str, version: str, watch: Watch) -> Packed:
        """Write a version to a file; ends where nobody waits."""
        with ExitStack() as kept, tempfile.TemporaryDirectory(prefix="nacre-export-") as folder:
            path = Path(folder).resolve() / "version.tar"
            manifest = self._client.export(
                version, path, adapter=adapter, on_progress=watch.progress
            )
            file = kept.enter_context(path.open("rb"))
            digest = hashlib.file_digest(file, "sha256").digest()
            size_bytes = file.tell()
            file.seek(0)
            kept.pop_all()
        name = f"{manifest.adapter}-{manifest.number}.tar"
        return Packed(file=file, size_bytes=size_bytes, sha256=digest, name=name)

    def publish(
        self, adapter: str, path: Path, asked: ImportRequest, by: Requester, _: Watch
    ) -> Done:
        """Publish the version in a file that was sent; goes on where nobody waits."""
        places = of_upload(path.parent)
        try:
            found = self._client.import_(
                path,
                adapter=adapter,
                aliases=tuple(asked.alias),
                purged=asked.purged,
                by=replace(by, said=places.said),
                why=asked.why,
            )
        except NacreError as error:
            raise places.error(error) from error
        manifest = found.manifest
        moved = tuple(asked.alias) if found.is_new else found.aliases
        document = moved_document(self._client, manifest.adapter, manifest.number, *moved)
        return Done(
            document=ImportedVersion(is_new=found.is_new, file=path.name, **document.model_dump())
        )


def routes(handlers: ArchiveHandlers, calls: LastingCalls) -> APIRouter:
    """Return the routes, whose verbs are carried out by `handlers` in `calls`."""
    router = APIRouter(prefix="/v1/adapters/{adapter}", tags=["archives"])
    sending, receiving = Counted(MOST), Counted(MOST)

    @router.get(
        "/versions/{version}/export",
        response_class=Response,
        responses={200: _TAR, **problems(404, 422, 429, 503)},
    )
    async def export(request: Request, adapter: AdapterPath, version: VersionPath) -> Response:
        """Send a version as one tar file, with its length and its digest beforehand.

        What is shorter than its `Content-Length` has broken off. An error comes instead of it.
        """
        end = sending.begin()
        try:
            goes_on(request)
            packed = await calls.result(
                request, partial(handlers.pack, adapter, version), unused=_closed
            )
        except BaseException:
            end()
            raise
        return _sent(packed, end)

    @router.post(
        "/import",
        response_model=ImportedVersion,
        responses=in_lines(400, 404, 409, 413, 504),
        openapi_extra=_BODY,
    )
    async def import_(request: Request, adapter: AdapterPath, by: AskedBy) -> Response:
        """Publish the version in the form's file `archive`, which an export has written."""
        received = receiving.begin()
        goes_on(request)
        folder = tempfile.TemporaryDirectory(prefix="nacre-import-")
        try:
            asked, path = await _received(request, Path(folder.name).resolve())
            work = partial(handlers.publish, adapter, path, asked, by)

            def published(watch: Watch) -> Done:
                with folder:
                    return work(watch)

            return await calls.answer(request, published)
        except BaseException:
            folder.cleanup()
            raise
        finally:
            received()

    return router


def _sent(packed: Packed, end: Callable[[], object]) -> Response:
    """Return the answer that is a file; `end` is called when it has been sent."""

    def ended() -> None:
        packed.file.close()
        end()

    headers = {
        "Content-Length": str(packed.size_bytes),
        "Content-Disposition": f'attachment; filename="{packed.name}"',
        "Repr-Digest": f"sha-256=:{b64encode(packed.sha256).decode()}:",
    }
    return EndingResponse(_pieces(packed.file), ended, media_type=TAR, headers=headers)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
        yield piece


def _closed(packed: Packed) -> None:
    packed.file.close()


async def _received(request: Request, folder: Path) -> tuple[ImportRequest, Path]:
    """Return what is asked for, and the file that was sent, in `folder`.

    Raises:
        InputError: it is no form with such a file, or has other parts.
    """
    if not is_form(request.headers.get("content-type", "")):
        raise InputError(f"expected a multipart form with the file `{ARCHIVE}`; {HOW}")
    async with received_form(
        request, max_files=1, max_fields=MOST_ALIASES + 2, max_part_size=FIELD_BYTES
    ) as form:
        asked, upload = _asked(form)
        path = folder / _name(upload.filename or "")
        await asyncio.to_thread(_kept, upload.file, path)
    return asked, path


def _asked(form: FormData) -> tuple[ImportRequest, UploadFile]:
    upload = form.get(ARCHIVE)
    if not isinstance(upload, UploadFile):
        found = ", ".join(f"`{cut(name)}`" for name in list(form)[:5]) or "no part at all"
        raise InputError(f"expected the form's file `{ARCHIVE}`, found {found}; {HOW}")
    fields: dict[str, Any] = {}
    for name in form:
        values = form.getlist(name)
        if name == "alias":
            fields[name] = values
        elif name != ARCHIVE:
            fields[name] = values if len(values) > 1 else values[0]
    try:
        return ImportRequest.model_validate(fields), upload
    except ValidationError as error:
        raise InputError(sentence(error.errors(), list(ImportRequest.model_fields))) from error


def _name(sent: str) -> str:
    """Return how a file is called that was sent as `sent`: never a way out of its folder."""
    name = PurePath(sent).name
    fits = 0 < len(name.encode(errors="replace")) <= NAME_BYTES
    return name if fits and name.isprintable() and name != ".." else "version.tar"


def _kept(sent: BinaryIO, path: Path) -> None:
    with path.open("xb") as file:
        shutil.copyfileobj(sent, file, PIECE_BYTES)


_TAR = {
    "description": "The file, with its SHA-256 in `Repr-Digest`.",
    "content": {TAR: {"schema": {"type": "string", "format": "binary"}}},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        ARCHIVE: {"type": "string", "format": "binary"},
                        **ImportRequest.model_json_schema()["properties"],
                    },
                    "required": [ARCHIVE],
                }
            },
        },
    }
}
