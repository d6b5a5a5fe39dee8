"""Multipart forms of requests, taken whole or not at all.

Starlette keeps a part once the next boundary shows where it ends, and asks nobody whether there was
a last one. So a form that was cut off would lose its last part: a picture, or the version that was
asked for.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from adapters.errors import InputError

TOO_MANY_FILES = "Too many files"
"""How the parser begins to say so; it does not say what to do."""


@asynccontextmanager
async def received_form(
    request: Request, *, max_files: int, max_fields: int, max_part_size: int
) -> AsyncIterator[FormData]:
    """Give the form in a request; its files are there as long as this lasts.

    Args:
        request: Has a multipart form as its body.
        max_files: Most parts with a file name.
        max_fields: Most other parts.
        max_part_size: Most bytes of each of these others.

    Raises:
        InputError: its text is in anything but UTF-8.
        HTTPException: of status 400; the form cannot be read, is not whole, or has too much.
    """
    options = parse_options_header(request.headers.get("content-type", ""))[1]
    _check_charset(options.get(b"charset", b""))
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise HTTPException(400, "expected a form whose Content-Type names its boundary")
    async with aclosing(request.stream()) as stream:
        parser = _WholeFormParser(
            request,
            stream,
            boundary,
            max_files=max_files,
            max_fields=max_fields,
            max_part_size=max_part_size,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            if error.message.startswith(TOO_MANY_FILES):
                raise HTTPException(
                    400,
                    f"expected at most {max_files} files in a form, found more; send them in "
                    "several requests",
                ) from error
            raise HTTPException(400, error.message) from error
    try:
        yield form
    finally:
        await form.close()


def _check_charset(named: bytes) -> None:
    """Raise InputError where the text of a form is in anything but UTF-8.

    Others would be decoded, too: by codecs that take long, or make what nobody can write again.
    """
    if named.lower() not in (b"", b"utf-8", b"utf8"):
        raise InputError(
            f"expected a form in UTF-8, found the charset {named.decode('latin-1')!r}; leave it out"
        )


class _WholeFormParser(MultiPartParser):
    """Refuses a form that ends before its closing boundary, or hides a boundary inside a part."""

    def __init__(
        self,
        request: Request,
        stream: AsyncGenerator[bytes, None],
        boundary: bytes,
        *,
        max_files: int,
        max_fields: int,
        max_part_size: int,
    ) -> None:
        super().__init__(
            request.headers,
            self._whole(stream),
            max_files=max_files,
            max_fields=max_fields,
            max_part_size=max_part_size,
        )
        self._line = b"\n--" + boundary
        self._tail = b""
        self._ended = False

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._tail = b"\n"  # its data begin behind the line of its last header

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        # A line that begins like a boundary and is none has eaten the part behind it.
        seen = self._tail + data[start:end]
        if self._line in seen:
            raise MultiPartException(
                "expected each boundary of the form on a line of its own that CR LF begins and "
                "ends, found one inside a part; send the form again, as it is written by a library"
            )
        self._tail = seen[1 - len(self._line) :]
        super().on_part_data(data, start, end)

    def on_end(self) -> None:
        self._ended = True

    async def _whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield what comes; raise at its end unless the closing boundary was in it."""
        async for piece in stream:
            yield piece
        if not self._ended:
            raise MultiPartException(
                "expected the form to end with its closing boundary (-- before and behind it), "
                "found that it is cut off; send it again, whole"
            )
