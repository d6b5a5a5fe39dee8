"""S3 object store, through the minio client.

A conditional write carries a random write id. When the answer says that somebody was first, or
when there is no answer, the object is read back: its write id says whether this writer was it.
The client never repeats a request by itself, because a repeated conditional write can meet its
own first attempt and would take it for somebody else's.
"""

import io
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from adapters.errors import ConflictError, NacreError, NotFoundError, UnknownOutcomeError
from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.s3_answers import (
    IncompleteAnswerError,
    listed_below,
    part_of_object,
    strong_etag,
    whole_object,
)
from cluster.stores.s3_attempts import ATTEMPTS, Attempts
from cluster.stores.s3_client import WRITE_ID, Condition, Found, Headers, new_client, put_if
from cluster.stores.s3_errors import Doubt, about_credentials, classify, explain
from cluster.stores.s3_settings import S3Settings
from workers.store.answers import Meaning
from workers.store.base import (
    Listed,
    Object,
    ObjectStore,
    check_conditional,
    check_key,
    check_prefix,
    is_key,
)
from workers.store.patience import Patience

# The last two are answers that cannot be taken apart, or lack something.
_FAILURES = (
    *(MinioException, urllib3.exceptions.HTTPError, OSError, NotGivenError),
    *(ValueError, SyntaxError),
)

Answer = TypeVar("Answer")


class S3Store(ObjectStore):
    """Objects in a bucket. Safe between threads; may be sent to other processes.

    Credentials stay in their process: where a pickled store is read, its environment has them.

    Args:
        settings: Where the bucket is.
        sleep: Waits for some seconds between attempts.
        client: Sends the requests; one for `settings` where None. It must not repeat any.

    Raises:
        StoreRefusedError: The bucket does not exist, or the server refuses the credentials.
        InputError: What answers there is no S3 server.
        UnavailableError: The server cannot be reached.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        client: Minio | None = None,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._client = client or new_client(settings)
        # Listing tells apart a missing bucket, wrong credentials and a wrong clock.
        self._repeated(lambda: next(self._listing("probe/"), None))

    def __reduce__(self) -> tuple[object, ...]:
        return S3Store, (self._settings,)

    @property
    def url(self) -> str:
        return self._settings.url

    @property
    def credentials_said(self) -> str:
        """Who gave the credentials, and until when they count; without a secret."""
        return self._settings.credentials.provider.said()

    @property
    def patience(self) -> Patience:
        return Patience(sleep=self._sleep)

    def server(self, key: str) -> str:
        """Return what the server calls itself where it answers with `key`; empty where it does not.

        Raises:
            NotFoundError: There is no such object.
            UnavailableError: The server cannot be reached.
        """
        return self._read(key, {}, lambda answer: str(answer.headers.get("server") or ""))

    def get(self, key: str) -> Object:
        return self._read(key, {}, whole_object)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        headers: Headers = {"Range": f"bytes={start}-{start + length - 1}"}
        try:
            return self._read(key, headers, lambda found: part_of_object(found, start, length))
        except _OutOfRangeError:
            return b""

    def put(self, key: str, data: bytes) -> None:
        bucket, name = self._settings.bucket, self._name(key)
        self._repeated(lambda: self._client.put_object(bucket, name, io.BytesIO(data), len(data)))

    def create(self, key: str, data: bytes) -> str:
        return self._write_if(key, data, Condition(etag=None))

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        return self._write_if(key, data, Condition(etag=expected_etag))

    def list(self, prefix: str) -> Iterator[Listed]:
        return (listed for listed in self.list_all(prefix) if is_key(listed.key))

    def list_all(self, prefix: str) -> Iterator[Listed]:
        try:
            yield from self._listing(check_prefix(prefix))
        except _FAILURES as error:
            raise explain(error, self._settings) from error

    def delete(self, key: str) -> None:
        bucket, name = self._settings.bucket, self._name(key)
        self._repeated(lambda: self._client.remove_object(bucket, name))

    def _name(self, key: str) -> str:
        return self._settings.prefix + check_key(key)

    def _read(self, key: str, headers: Headers, taken: Callable[[Any], Answer]) -> Answer:
        name = self._name(key)

        def read() -> Answer:
            response = self._client.get_object(self._settings.bucket, name, request_headers=headers)
            try:
                return taken(response)
            finally:
                response.close()
                response.release_conn()

        return self._repeated(read, key)

    def _listing(self, prefix: str) -> Iterator[Listed]:
        top = self._settings.prefix
        bucket = self._settings.bucket
        for found in listed_below(self._client, bucket, top + prefix, self._signed):
            yield replace(found, key=found.key.removeprefix(top))

    def _write_if(self, key: str, data: bytes, condition: Condition) -> str:
        """Write `data` while `condition` holds, and find out who won."""
        check_conditional(key, data)
        bucket, name, write_id = self._settings.bucket, self._name(key), uuid.uuid4().hex
        in_doubt, attempts = False, self._attempts()
        for attempt in range(ATTEMPTS):
            if attempts.are_over:
                break
            try:
                with attempts.counted():
                    return self._signed(
                        partial(put_if, self._client, bucket, name, data, condition, write_id)
                    )
            except _FAILURES as error:
                answer, last = classify(error), error
            if answer.meaning in (Meaning.REFUSED, Meaning.FINAL) and not in_doubt:
                break
            in_doubt = in_doubt or answer.in_doubt
            if in_doubt or answer.meaning is not Meaning.PASSING:
                found = self._read_back(key, attempts, in_doubt=in_doubt)
                if found is not None and found.write_id == write_id:
                    if isinstance(last, IncompleteAnswerError):
                        return found.etag  # acknowledged, without its etag
                    # Seen, and perhaps by a part of the nodes alone: written again, on itself,
                    # until it is acknowledged, which a majority of them is needed for.
                    in_doubt, condition = True, Condition(etag=found.etag)
                    attempts.rest(attempt)
                    continue
                if not condition.holds(found) and not in_doubt:
                    raise _lost(key, self.url, condition, found) from last
                if not condition.holds(found):
                    # This write may have been made and overwritten since: its traces may tell.
                    raise _unknown(key, self.url) from last
                # Nobody was first: two requests met, or a node has not seen the winner yet.
            attempts.rest(attempt)
        if in_doubt:
            raise _unknown(key, self.url) from last
        raise explain(last, self._settings, tries=attempts.told) from last

    def _read_back(self, key: str, attempts: Attempts, *, in_doubt: bool) -> Found | None:
        try:
            return self._stat(key, attempts)
        except NacreError as error:
            if in_doubt:
                raise _unknown(key, self.url) from error
            raise

    def _stat(self, key: str, attempts: Attempts) -> Found | None:
        name = self._name(key)

        def stat() -> Found:
            headers: Any = self._client.stat_object(self._settings.bucket, name).metadata
            return Found(etag=strong_etag(headers), write_id=headers.get(WRITE_ID, ""))

        try:
            return self._repeated(stat, key, attempts)
        except NotFoundError:
            return None

    def _repeated(
        self, request: Callable[[], Answer], key: str = "", attempts: Attempts | None = None
    ) -> Answer:
        """Return the answer to a request that may be sent any number of times."""
        attempts = attempts or self._attempts()
        for attempt in range(ATTEMPTS):
            try:
                with attempts.counted():
                    return self._signed(request)
            except _FAILURES as error:
                meaning = classify(error).meaning
                if meaning is Meaning.ABSENT:
                    raise NotFoundError(f"no object {key!r} in {self.url}", key=key) from error
                if meaning is Meaning.OUT_OF_RANGE:
                    raise _OutOfRangeError(f"{key!r} ends before the range asked for") from error
                final = meaning in (Meaning.REFUSED, Meaning.FINAL)
                if final or attempt == ATTEMPTS - 1 or attempts.are_over:
                    raise explain(error, self._settings, tries=attempts.told) from error
            attempts.rest(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _signed(self, request: Callable[[], Answer]) -> Answer:
        """Return the answer to a request, sent again where other credentials may be let in.

        What a server refuses because of who asks it has not done, conditional writes included.
        """
        provider = self._settings.credentials.provider
        for attempt in range(ATTEMPTS):
            held = provider.held
            try:
                return request()
            except S3Error as error:
                doubt = about_credentials(error)
                again = doubt is not None and attempt < ATTEMPTS - 1
                if not again or not provider.refused(
                    held.number if held else 0, surely=doubt is Doubt.CERTAIN
                ):
                    raise
            if provider.held is held:
                self._attempts().rest(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _attempts(self) -> Attempts:
        return Attempts(self._settings.limits, sleep=self._sleep)


class _OutOfRangeError(NacreError):
    """A range begins behind the end of its object."""


def _lost(key: str, url: str, condition: Condition, found: Found | None) -> ConflictError:
    there = f"etag {found.etag} of write {found.write_id or 'unknown'}" if found else "nothing"
    return ConflictError(
        f"{key!r} in {url} changed: expected {condition.etag or 'nothing'}, found {there}; this "
        "write was not made, read it again",
        key=key,
        expected=condition.etag,
        found=found.etag if found else None,
    )


def _unknown(key: str, url: str) -> UnknownOutcomeError:
    return UnknownOutcomeError(
        f"{key!r} in {url} was sent and its answer was lost: it may have been written; read it "
        "again before anything else",
        key=key,
    )
