"""The real S3 store on a model of a server: `Quorum` answers where a server would.

Each `QuorumStore` is what one process has of the store: a client, and sightings of its own. Nobody
waits: time passes at once where somebody sleeps.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Never, TypeVar, cast
from urllib.parse import quote
from xml.sax.saxutils import escape

from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import ProtocolError

from cluster.stores.credentials.shared import S3Credentials
from cluster.stores.s3 import S3Store
from cluster.stores.s3_client import WRITE_ID
from cluster.stores.s3_settings import S3Settings
from tests.support.fakes.quorum import Quorum
from tests.support.fakes.quorum_answers import (
    AnswerLostError,
    Condition,
    Copy,
    RefusedError,
    always,
)
from workers.store.patience import Patience

KEYS = {"NACRE_S3_ACCESS_KEY": "model", "NACRE_S3_SECRET_KEY": "model"}
SETTINGS = S3Settings(
    endpoint="http://quorum.invalid", bucket="model", credentials=S3Credentials(environment=KEYS)
)
Answer = TypeVar("Answer")


class QuorumStore(S3Store):
    """One process's way to the model.

    Args:
        quorum: The model; several stores may have the same.
        calm: Nothing goes wrong for this one, and it sees the newest that there is anywhere.
    """

    def __init__(self, quorum: Quorum, *, calm: bool = False) -> None:
        self.time = VirtualTime()
        client: Any = _Client(quorum, quorum.calm if calm else nullcontext)
        with quorum.calm():  # only who uses a store that is open already is tried here
            super().__init__(SETTINGS, sleep=self.time.sleep, client=cast(Minio, client))

    def __reduce__(self) -> Never:
        raise TypeError("a model of a store cannot be sent to another process")

    @property
    def patience(self) -> Patience:
        return Patience(sleep=self.time.sleep, clock=self.time)


class VirtualTime:
    """Seconds that pass when somebody sleeps, and at once."""

    # Owns: the time.

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.now += seconds


@dataclass(kw_only=True)
class _Response:
    """As much of an HTTP response as the S3 store looks at."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""
    _at: int = 0

    def read(self, amount: int | None = None) -> bytes:
        end = len(self.data) if amount is None else self._at + amount
        part, self._at = self.data[self._at : end], min(end, len(self.data))
        return part

    def close(self) -> None:
        pass

    def release_conn(self) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class _Written:
    http_headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Stat:
    metadata: Mapping[str, str]


class _Client:
    """Those methods of the minio client that the S3 store calls."""

    def __init__(self, quorum: Quorum, under: Callable[[], AbstractContextManager[None]]) -> None:
        self._quorum = quorum
        self._under = under

    def get_object(
        self, bucket: str, name: str, *, request_headers: Mapping[str, str]
    ) -> _Response:
        assert bucket == SETTINGS.bucket
        copy = self._told(name, lambda: self._quorum.read(name))
        data, headers = copy.data or b"", _headers(copy)
        if "Range" not in request_headers:
            return _Response(status=200, headers=headers, data=data)
        first, last = map(int, request_headers["Range"].removeprefix("bytes=").split("-"))
        if first >= len(data):
            raise _error(416, "InvalidRange", name)
        part = data[first : last + 1]
        found = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        ranged = {**headers, "content-length": str(len(part)), "content-range": found}
        return _Response(status=206, headers=ranged, data=part)

    def stat_object(self, bucket: str, name: str) -> _Stat:
        assert bucket == SETTINGS.bucket
        return _Stat(metadata=_headers(self._told(name, lambda: self._quorum.read(name))))

    def put_object(self, bucket: str, name: str, data: Any, length: int) -> None:
        assert bucket == SETTINGS.bucket
        content = data.read(length)
        self._told(name, lambda: self._quorum.write(name, content))

    def _put_object(
        self, bucket: str, name: str, data: bytes, headers: Mapping[str, str]
    ) -> _Written:
        assert bucket == SETTINGS.bucket
        condition, write_id = _condition(headers), headers[WRITE_ID]
        etag = self._told(
            name, lambda: self._quorum.write(name, data, write_id=write_id, condition=condition)
        )
        return _Written(http_headers={"etag": f'"{etag}"'})

    def remove_object(self, bucket: str, name: str) -> None:
        assert bucket == SETTINGS.bucket
        self._told(name, lambda: self._quorum.write(name, None))

    def _execute(self, verb: str, bucket: str, *, query_params: Mapping[str, str]) -> _Response:
        assert verb == "GET"
        prefix = query_params["prefix"]
        found = self._told(prefix, lambda: list(self._quorum.listing(prefix)))
        entries = "".join(_entry(key, copy) for key, copy in found)
        text = (
            f"<ListBucketResult><Name>{bucket}</Name><EncodingType>url</EncodingType>"
            f"<IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        )
        return _Response(status=200, data=text.encode())

    def _told(self, name: str, request: Callable[[], Answer]) -> Answer:
        try:
            with self._under():
                return request()
        except RefusedError as error:
            raise _error(error.status, error.code, name) from error
        except AnswerLostError as error:
            raise ProtocolError("Connection aborted.") from error


def _error(status: int, code: str, name: str) -> S3Error:
    answered: Any = _Response(status=status)
    return S3Error(answered, code, "said by the model", name, "", "", "model", name)


def _headers(copy: Copy) -> dict[str, str]:
    length = str(len(copy.data or b""))
    return {"etag": f'"{copy.etag}"', "content-length": length, WRITE_ID: copy.write_id}


def _condition(headers: Mapping[str, str]) -> Condition:
    if headers.get("If-None-Match") == "*":
        return lambda etag: etag is None
    expected = headers.get("If-Match")
    return always if expected is None else lambda etag: f'"{etag}"' == expected


def _entry(key: str, copy: Copy) -> str:
    when = datetime.fromtimestamp(copy.modified, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return (
        f"<Contents><Key>{escape(quote(key))}</Key><LastModified>{when}</LastModified>"
        f"<ETag>{copy.etag}</ETag><Size>{len(copy.data or b'')}</Size></Contents>"
    )
