"""A store whose reads cannot be believed: it denies what it has, and answers from before.

Writes, conditions and listings are right, as those of a store are whose nodes have just started.
"""

import threading
from collections import Counter
from collections.abc import Callable

from adapters.errors import NotFoundError
from workers.store import Object, ObjectStore
from workers.store.patience import Patience
from workers.store.testing import WrappedStore


class VirtualTime:
    """Seconds that pass where somebody sleeps, and at once."""

    # Owns: the time.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        with self._lock:
            self._now += seconds


class RememberingStore(WrappedStore):
    """Remembers what every object was before its last change; shared by all who read of it.

    Attributes:
        earlier: By key.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.earlier: dict[str, Object] = {}

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        earlier = self.inner.get(key)
        etag = super().replace(key, data, expected_etag)
        self.earlier[key] = earlier
        return etag


def never(_key: str) -> bool:
    """Nothing is answered from before."""
    return False


class DoubtfulStore(WrappedStore):
    """One process's way to a store that starts, or has a cache.

    Args:
        inner: What there really is, and was.
        denies: Says of a moment whether everything is denied then.
        old: Says of a key whether every second read of it is answered from before its last change.
        clock: Gives seconds.
        sleep: Lets seconds pass.

    Attributes:
        denied: What was denied although it is there, in order.
        went_back: What was answered from before, in order.
        slept_s: Seconds that were waited.
    """

    def __init__(
        self,
        inner: RememberingStore,
        *,
        denies: Callable[[float], bool] = lambda _now: False,
        old: Callable[[str], bool] = never,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(inner)
        self._earlier = inner.earlier
        time = VirtualTime()
        self._clock, self._sleep = clock or time, sleep or time.sleep
        self._denies = denies
        self._old = old
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._which: Callable[[str], bool] = never
        self._turns: Counter[str] = Counter()
        self.denied: list[str] = []
        self.went_back: list[str] = []
        self.slept_s = 0.0

    @property
    def patience(self) -> Patience:
        return Patience(sleep=self._slept, clock=self._clock)

    def deny(self, seconds: float, which: Callable[[str], bool] = lambda _key: True) -> None:
        """Deny the objects of `which` for so long."""
        self._until, self._which = self._clock() + seconds, which

    def get(self, key: str) -> Object:
        self._answer_at_all(key)
        found, earlier = super().get(key), self._earlier.get(key)
        if earlier is None or not self._old(key):
            return found
        with self._lock:
            self._turns[key] += 1
            if self._turns[key] % 2:
                return found
            self.went_back.append(key)
        return earlier

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self._answer_at_all(key)
        return super().get_range(key, start, length)

    def _answer_at_all(self, key: str) -> None:
        now = self._clock()
        if self._denies(now) or (now < self._until and self._which(key)):
            with self._lock:
                self.denied.append(key)
            raise NotFoundError(f"no object {key!r} in {self.url}", key=key)

    def _slept(self, seconds: float) -> None:
        with self._lock:
            self.slept_s += seconds
        self._sleep(seconds)


class FirstTime:
    """Says of every key whether it is asked of it for the first time."""

    # Owns: the keys that were asked for.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def __call__(self, key: str) -> bool:
        with self._lock:
            is_new = key not in self._seen
            self._seen.add(key)
            return is_new
