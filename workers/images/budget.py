"""Budget of what is made at the same time: whoever wants much and comes first goes first."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """So much at once among all threads of a process.

    Args:
        most: What there is to share.
        uncounted: So much may always be taken, since it does not matter.
    """

    # Owns: what is left. Every change is made under the condition's lock.

    def __init__(self, most: int, *, uncounted: int = 0) -> None:
        self._most = most
        self._uncounted = uncounted
        self._left = most
        self._changed = threading.Condition()
        # Who waits for much holds it meanwhile, so that those who want less do not pass by.
        self._turn = threading.Lock()

    @contextmanager
    def taking(self, amount: int) -> Iterator[None]:
        """Hold `amount`, or everything where it is more than that, and wait for it first.

        Whoever holds some does so while one picture is decoded and gives it back whatever happens,
        so that waiting ends by itself.
        """
        if amount <= self._uncounted:
            yield
            return
        taken = min(amount, self._most)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._left >= taken)
            self._left -= taken
        try:
            yield
        finally:
            with self._changed:
                self._left += taken
                self._changed.notify_all()
