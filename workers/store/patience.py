"""Patience with a store that says "not there" of what must be there.

A node that has just started answers so for a second or two, until it has found its peers. Only who
asks whether something exists takes that for the truth. Whoever was told by the refs, a manifest, a
ticket, or an earlier read of its own that it does asks again, as after a refusal.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from adapters.errors import MissingError, NotFoundError

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long something that must be there is asked for again.

    Attributes:
        attempts: How often it is asked for in all.
        first_s: Seconds until it is asked for the second time; each further wait is twice as long.
        longest_s: Longest wait, in seconds.
        sleep: Waits for some seconds.
        clock: Gives seconds that never go back.
    """

    attempts: int = 6
    first_s: float = 0.1
    longest_s: float = 5.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def longer(self) -> "Patience":
        """For work that nobody waits for: some twenty seconds instead of three."""
        return self if self.attempts == 1 else replace(self, attempts=self.attempts + 4)

    @property
    def waits_s(self) -> tuple[float, ...]:
        """The waits between the attempts, in seconds."""
        doubled = (self.first_s * 2.0**attempt for attempt in range(self.attempts - 1))
        return tuple(min(self.longest_s, wait) for wait in doubled)

    def ask(self, read: Callable[[], Answer], *, key: str, url: str, because: str) -> Answer:
        """Return what `read` returns, asked again while it says that there is nothing.

        Args:
            read: Raises NotFoundError where the store says that nothing is there.
            key: What is asked for.
            url: Of the store.
            because: What says that it must be there, as half a sentence: "a ticket names it".

        Raises:
            MissingError: it never was there.
        """
        began = self.clock()
        try:
            return read()  # as nearly always
        except NotFoundError as error:
            last = error
        for wait_s in self.waits_s:
            self.sleep(wait_s)
            try:
                return read()
            except NotFoundError as error:
                last = error
        asked, wait = "", ""
        if self.attempts > 1:
            asked = f" (asked {self.attempts} times in {self.clock() - began:.0f} s)"
            wait = "wait until all nodes of the store are up; if it stays away, "
        raise MissingError(
            f"{key!r} is missing in {url}{asked}, although {because}: {wait}restore the object "
            "from a copy or a backup",
            key=key,
            asked=self.attempts,
        ) from last


AT_ONCE = Patience(attempts=1)
"""Of stores that cannot be mistaken: what is not there is not there."""
