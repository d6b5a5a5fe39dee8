"""Answers of an S3 server, taken apart: what must be in one is there, or an error names it.

Servers that only resemble S3, and whatever lies on the way to one, leave out what S3 always says. A
listing without sizes, or an object without an etag or its end, must never become a value.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from minio import Minio
from minio.datatypes import parse_list_objects

from workers.store.base import Listed, Object

CHUNK_BYTES = 2**20
_STRONG = re.compile(r'"?([^"]+)"?')
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_LENGTH = re.compile(r"\d{1,19}")


class IncompleteAnswerError(ValueError):
    """An answer without something that every S3 server says; its text names that."""


def strong_etag(headers: Mapping[str, str]) -> str:
    """Return the etag in the headers of an answer, as `If-Match` is to have it.

    Raises:
        IncompleteAnswerError: There is none, or a weak one, which no condition can be made of.
    """
    etag = headers.get("etag") or ""
    found = _STRONG.fullmatch(etag)
    if found is None or etag.startswith("W/"):
        raise IncompleteAnswerError("a weak ETag in place of a strong one" if etag else "no ETag")
    return found[1]


def whole_object(response: Any) -> Object:
    """Return the object that a get without a range was answered with."""
    _require_length(response)
    if response.status != 200:
        raise IncompleteAnswerError(f"status {response.status} in place of 200 for a whole object")
    return Object(etag=strong_etag(response.headers), data=response.read())


def part_of_object(response: Any, start: int, length: int) -> bytes:
    """Return up to `length` bytes from byte `start` on, which is what was asked for."""
    _require_length(response)
    if response.status == 200:  # HTTP permits it: the range was ignored, and all of it comes
        return _cut_out(response, start, length)
    found = _RANGE.fullmatch(response.headers.get("content-range") or "")
    if response.status != 206 or found is None:
        raise IncompleteAnswerError(f"status {response.status} without a Content-Range")
    first, last = int(found[1]), int(found[2])
    end = start + length if found[3] == "*" else min(start + length, int(found[3]))
    data: bytes = response.read()
    if first != start or last + 1 != end or len(data) != end - start:
        raise IncompleteAnswerError(
            f"{len(data)} bytes as {found[0]!r} in place of bytes {start}-{start + length - 1}"
        )
    return data


Page = tuple[list[Any], bool, str | None]
"""Of a listing: its objects, whether there are more, and what leads to the next page."""


def listed_below(
    client: Minio, bucket: str, prefix: str, asked: Callable[[Callable[[], Page]], Page]
) -> Iterator[Listed]:
    """Yield the objects of a bucket below `prefix`, by their whole names, page by page.

    Args:
        client: Sends the requests.
        bucket: Its name.
        prefix: What the names begin with.
        asked: Gets a page by the request for it.
    """
    token, tokens = None, set[str]()
    while True:
        found, more, token = asked(partial(_page, client, bucket, prefix, token))
        for entry in found:
            yield _listed(entry, prefix)
        if not more:
            return
        if not token or token in tokens:  # the same page would be asked for, again and again
            raise IncompleteAnswerError("a listing that does not say where its next page begins")
        tokens.add(token)


def _page(client: Minio, bucket: str, prefix: str, token: str | None) -> Page:
    """Return a page of a listing."""
    query = {"list-type": "2", "delimiter": "", "encoding-type": "url", "max-keys": "1000"}
    asked: Any = {**query, "prefix": prefix, **({"continuation-token": token} if token else {})}
    objects, more, following, _ = parse_list_objects(
        client._execute("GET", bucket, query_params=asked)
    )
    return objects, more, following


def _listed(entry: Any, prefix: str) -> Listed:
    name = entry.object_name or ""
    if not name.startswith(prefix):
        raise IncompleteAnswerError(f"a listing of {prefix!r} that holds {name!r}")
    if entry.size is None or entry.size < 0 or entry.last_modified is None:
        missing = "LastModified" if entry.last_modified is None else "Size"
        raise IncompleteAnswerError(f"a listing without the {missing} of {name!r}")
    return Listed(key=name, size_bytes=entry.size, modified=entry.last_modified.timestamp())


def _require_length(response: Any) -> None:
    """Raise where nobody could tell a body that was cut off from one that is whole."""
    headers = response.headers
    chunked = "chunked" in (headers.get("transfer-encoding") or "").lower()
    if not chunked and not _LENGTH.fullmatch(headers.get("content-length") or ""):
        raise IncompleteAnswerError("no Content-Length")


def _cut_out(response: Any, start: int, length: int) -> bytes:
    """Return a part of a body, of which never more than that part is kept."""
    while start > 0:
        passed = len(response.read(min(start, CHUNK_BYTES)))
        if not passed:
            return b""
        start -= passed
    parts = []
    while length > 0 and (part := response.read(min(length, CHUNK_BYTES))):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
