"""Test doubles: stores around a store that count what is asked of it, or fail on purpose."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum

from adapters.errors import StoreRefusedError, UnavailableError, UnknownOutcomeError
from workers.store.base import Listed, Object, ObjectStore
from workers.store.patience import Patience

CONDITIONAL = frozenset({"create", "replace"})
Calls = list[tuple[str, str]]


class WrappedStore(ObjectStore):
    """Passes every call on to another store; `before` and `after` see each one.

    Args:
        inner: The store that does the work.
    """

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner

    def before(self, operation: str, key: str) -> None:
        """Called before an operation; raising keeps it from happening."""

    def after(self, operation: str, key: str, sent: int, received: int) -> None:
        """Called after an operation that succeeded, with bytes sent and received."""

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def patience(self) -> Patience:
        return self.inner.patience

    def get(self, key: str) -> Object:
        self.before("get", key)
        found = self.inner.get(key)
        self.after("get", key, 0, len(found.data))
        return found

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.before("get_range", key)
        data = self.inner.get_range(key, start, length)
        self.after("get_range", key, 0, len(data))
        return data

    def put(self, key: str, data: bytes) -> None:
        self.before("put", key)
        self.inner.put(key, data)
        self.after("put", key, len(data), 0)

    def create(self, key: str, data: bytes) -> str:
        self.before("create", key)
        etag = self.inner.create(key, data)
        self.after("create", key, len(data), 0)
        return etag

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        self.before("replace", key)
        etag = self.inner.replace(key, data, expected_etag)
        self.after("replace", key, len(data), 0)
        return etag

    def list(self, prefix: str) -> Iterator[Listed]:
        self.before("list", prefix)
        yield from self.inner.list(prefix)

    def list_all(self, prefix: str) -> Iterator[Listed]:
        self.before("list", prefix)
        yield from self.inner.list_all(prefix)

    def delete(self, key: str) -> None:
        self.before("delete", key)
        self.inner.delete(key)
        self.after("delete", key, 0, 0)

    def sweep(self, before: float) -> int:
        return self.inner.sweep(before)


class RecordingStore(WrappedStore):
    """Counts operations and bytes.

    Attributes:
        operations: How often each operation succeeded, by name.
        keys: The operations in the order in which they succeeded, with their keys.
        sent: Bytes written.
        received: Bytes read.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Start counting anew."""
        self.operations: Counter[str] = Counter()
        self.keys: Calls = []
        self.sent = 0
        self.received = 0

    def after(self, operation: str, key: str, sent: int, received: int) -> None:
        with self._lock:
            self.operations[operation] += 1
            self.keys.append((operation, key))
            self.sent += sent
            self.received += received


class Fault(Enum):
    """What goes wrong with one operation."""

    FAIL = "fail"  # nothing happens, and the caller is told that the store cannot be reached
    REFUSE = "refuse"  # nothing happens: the store does not let this process in
    SURPRISE = "surprise"  # nothing happens, and what is raised is an error that nobody thought of
    LOSE_ANSWER = "lose answer"  # it happens, and the caller is not told
    CRASH = "crash"  # nothing happens, and the process dies
    CRASH_AFTER = "crash after"  # it happens, and the process dies


OF_STORES = tuple(fault for fault in Fault if fault is not Fault.SURPRISE)
"""What stores do and processes suffer; the other one is a defect of ours."""


class CrashError(BaseException):
    """The process dies here; not an Exception, so that nothing handles it."""


Script = Callable[[int, str, str], Fault | None]


class FaultyStore(WrappedStore):
    """Does what a script says: `script(number, operation, key)` names a fault or None.

    Operations are numbered from 0.
    """

    def __init__(self, inner: ObjectStore, script: Script) -> None:
        super().__init__(inner)
        self._script = script
        self._lock = threading.Lock()
        self.count = 0
        self._pending = threading.local()

    def before(self, operation: str, key: str) -> None:
        with self._lock:
            number, self.count = self.count, self.count + 1
        fault = self._script(number, operation, key)
        self._pending.fault = fault
        if fault is Fault.FAIL:
            raise UnavailableError(f"{operation} of {key!r} was made to fail", key=key)
        if fault is Fault.REFUSE:
            raise StoreRefusedError(f"{operation} of {key!r} was refused", key=key)
        if fault is Fault.SURPRISE:
            raise RuntimeError(f"{operation} of {key!r} surprised everybody")
        if fault is Fault.CRASH:
            raise CrashError(f"before {operation} of {key!r}")

    def after(self, operation: str, key: str, sent: int, received: int) -> None:  # noqa: ARG002
        fault = self._pending.fault
        if fault is Fault.CRASH_AFTER:
            raise CrashError(f"after {operation} of {key!r}")
        if fault is Fault.LOSE_ANSWER:
            message = f"the answer to {operation} of {key!r} was lost"
            if operation in CONDITIONAL:
                raise UnknownOutcomeError(message, key=key)
            raise UnavailableError(message, key=key)


def fault_at(number: int, fault: Fault) -> Script:
    """Return the script in which only operation `number` goes wrong."""
    return lambda count, _operation, _key: fault if count == number else None
