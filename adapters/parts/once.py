"""Per-record cache: a value is computed once for each record, and lives as long as the record."""

import threading
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from adapters.contract.records import Record

Value = TypeVar("Value")


def once_per_record(compute: Callable[[Record], Value]) -> Callable[[Record], Value]:
    """Return `compute`, which must be pure, so that it runs once for each record.

    Versions that share a record then share what is computed from it, and it goes with the record.
    """
    known: WeakKeyDictionary[Record, Value] = WeakKeyDictionary()
    lock = threading.Lock()

    def computed(record: Record) -> Value:
        with lock:
            if record in known:
                return known[record]
        value = compute(record)
        with lock:
            return known.setdefault(record, value)

    return computed
