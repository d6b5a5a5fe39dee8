"""Every operation on a store, one after the other, so that a test can let each of them go wrong."""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workers.queue.ledger import PAGES, page_key
from workers.store import ObjectStore
from workers.store.testing import Fault, WrappedStore

# Digests, times and random names differ from run to run.
_NAMES = re.compile(r"[0-9a-f]{32,}|\d{18,}-[0-9a-f]+")
# Pages are alike; the others are tried in the tests of the ledger.
_TRIED_PAGES = 2


@dataclass(frozen=True, slots=True)
class Target:
    """One operation of a run: the `occurrence`-th of its kind, from 0, on keys of one kind."""

    operation: str
    kind: str
    occurrence: int


def kind_of(key: str) -> str:
    """Return what is the same of a key in every run."""
    return _NAMES.sub("#", key)


class CountingStore(WrappedStore):
    """Notes every operation that is begun.

    Attributes:
        seen: How often each was, by operation and kind of key.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def before(self, operation: str, key: str) -> None:
        with self._lock:
            self.seen[operation, kind_of(key)] += 1


def targets(seen: Counter[tuple[str, str]], *, pages: Iterable[str], most: int) -> Iterator[Target]:
    """Yield what is to go wrong, once each.

    Args:
        seen: The operations of an undisturbed run.
        pages: Keys of pages whose every operation is tried; of the others only a few are.
        most: At most so many of one kind: what is looked at again and again is looked at alike.
    """
    left_out = {page_key(bucket) for bucket in range(_TRIED_PAGES, PAGES)} - set(pages)
    for (operation, kind), count in sorted(seen.items()):
        if kind not in left_out:
            for occurrence in range(min(count, most)):
                yield Target(operation, kind, occurrence)


class Aim:
    """A script in which one target goes wrong.

    Attributes:
        fired: Whether it has.
    """

    def __init__(self, target: Target, fault: Fault) -> None:
        self.fired = False
        self._target = target
        self._fault = fault
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, _number: int, operation: str, key: str) -> Fault | None:
        target = self._target
        if (operation, kind_of(key)) != (target.operation, target.kind):
            return None
        with self._lock:
            count, self._count = self._count, self._count + 1
        if count != target.occurrence:
            return None
        self.fired = True
        return self._fault
