"""Metered store: an object store whose operations are counted, with their time and outcome."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from adapters.errors import (
    ConflictError,
    NotFoundError,
    StoreRefusedError,
    UnavailableError,
    UnknownOutcomeError,
)
from workers.metrics.families import STORE_REQUESTS, STORE_SECONDS
from workers.metrics.meter import Meter
from workers.store.base import Listed, Object, ObjectStore
from workers.store.patience import Patience

OPERATIONS = ("get", "get_range", "put", "create", "replace", "list", "delete")
RESULTS: tuple[tuple[type[Exception], str], ...] = (
    (NotFoundError, "absent"),  # as is often expected
    (ConflictError, "conflict"),  # somebody else was first
    (UnknownOutcomeError, "unknown"),
    (StoreRefusedError, "refused"),
    (UnavailableError, "unavailable"),
)
DONE, BROKEN = "done", "error"
Answer = TypeVar("Answer")


class MeteredStore(ObjectStore):
    """Passes every operation on to another store, and counts it.

    Sent to another process it is the other store alone: meters belong to their process.

    Args:
        inner: The store that does the work.
        meter: Counts.
        clock: Gives seconds that never go back.
    """

    def __init__(
        self, inner: ObjectStore, meter: Meter, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._inner = inner
        self._meter = meter
        self._clock = clock
        for operation in OPERATIONS:
            for result in (DONE, "refused", "unavailable", "unknown"):
                meter.count(STORE_REQUESTS, operation, result, by=0)

    def __reduce__(self) -> tuple[object, ...]:
        return _itself, (self._inner,)

    @property
    def url(self) -> str:
        return self._inner.url

    @property
    def at_hand(self) -> bool:
        return self._inner.at_hand

    @property
    def patience(self) -> Patience:
        return self._inner.patience

    def get(self, key: str) -> Object:
        return self._counted("get", lambda: self._inner.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._counted("get_range", lambda: self._inner.get_range(key, start, length))

    def put(self, key: str, data: bytes) -> None:
        self._counted("put", lambda: self._inner.put(key, data))

    def create(self, key: str, data: bytes) -> str:
        return self._counted("create", lambda: self._inner.create(key, data))

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        return self._counted("replace", lambda: self._inner.replace(key, data, expected_etag))

    def list(self, prefix: str) -> Iterator[Listed]:
        return self._listed(self._inner.list(prefix))

    def list_all(self, prefix: str) -> Iterator[Listed]:
        return self._listed(self._inner.list_all(prefix))

    def delete(self, key: str) -> None:
        self._counted("delete", lambda: self._inner.delete(key))

    def sweep(self, before: float) -> int:
        return self._inner.sweep(before)

    def _counted(self, operation: str, ask: Callable[[], Answer]) -> Answer:
        started, result = self._clock(), DONE
        try:
            return ask()
        except Exception as error:
            result = _result_of(error)
            raise
        finally:
            self._note(operation, result, self._clock() - started)

    def _listed(self, listing: Iterator[Listed]) -> Iterator[Listed]:
        """Yield a listing; the time that whoever reads it takes in between is not the store's."""
        took, result = 0.0, DONE
        try:
            while True:
                started = self._clock()
                try:
                    found = next(listing)
                except StopIteration:
                    return
                finally:
                    took += self._clock() - started
                yield found
        except Exception as error:
            result = _result_of(error)
            raise
        finally:
            self._note("list", result, took)

    def _note(self, operation: str, result: str, seconds: float) -> None:
        self._meter.count(STORE_REQUESTS, operation, result)
        self._meter.observe(STORE_SECONDS, seconds, operation)


def _itself(store: ObjectStore) -> ObjectStore:
    return store


def _result_of(error: Exception) -> str:
    return next((name for kind, name in RESULTS if isinstance(error, kind)), BROKEN)
