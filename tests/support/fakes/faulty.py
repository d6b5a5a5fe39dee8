"""Stores that go wrong where a test wants them to."""

from collections.abc import Callable

from workers.store import ObjectStore
from workers.store.testing import CrashError, Fault, FaultyStore, Script, WrappedStore


class ArmedStore(FaultyStore):
    """Works, until it is armed: then one operation goes wrong.

    Attributes:
        fired: Whether it has.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner, lambda number, _operation, _key: self._fault(number))
        self.fired = False
        self._armed: tuple[int, Fault] | None = None

    def arm(self, number: int, fault: Fault) -> None:
        """Let operation `number` from now on go wrong, counted from 0."""
        self._armed = self.count + number, fault

    def _fault(self, number: int) -> Fault | None:
        if self._armed is None or number != self._armed[0]:
            return None
        self.fired = True
        return self._armed[1]


class OvertakenStore(WrappedStore):
    """Lets somebody else act right before the first writing of one object.

    Args:
        inner: The store that does the work.
        key: The object.
        first: What somebody else does.
    """

    def __init__(self, inner: ObjectStore, key: str, first: Callable[[], object]) -> None:
        super().__init__(inner)
        self._key = key
        self._first: Callable[[], object] | None = first

    def before(self, operation: str, key: str) -> None:
        first = self._first
        if operation in ("create", "replace") and key == self._key and first is not None:
            self._first = None
            first()


class MortalStore(FaultyStore):
    """A process's way to its store: once the process has died, nothing goes through any more.

    Attributes:
        dead: Whether it has.
    """

    def __init__(
        self, inner: ObjectStore, script: Script = lambda _n, _operation, _key: None
    ) -> None:
        super().__init__(inner, script)
        self.dead = False

    def kill(self) -> None:
        """Let the process die now."""
        self.dead = True

    def before(self, operation: str, key: str) -> None:
        if self.dead:
            raise CrashError("the process is dead")
        try:
            super().before(operation, key)
        except CrashError:
            self.dead = True
            raise

    def after(self, operation: str, key: str, sent: int, received: int) -> None:
        try:
            super().after(operation, key, sent, received)
        except CrashError:
            self.dead = True
            raise
