"""Per-record cache: a value is computed once for each record, and lives as long as the record."""

import threading
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from cachetools import cached

from adapters.contract.records import Record

Value = TypeVar("Value")


def once_per_record(compute: Callable[[Record], Value]) -> Callable[[Record], Value]:
    """Return `compute`, which must be pure, so that it runs once for each record.

    Versions that share a record then share what is computed from it, and it goes with the record.
    """
    known: WeakKeyDictionary[Record, Value] = WeakKeyDictionary()
    return cached(known, key=lambda record: record, lock=threading.Lock())(compute)
