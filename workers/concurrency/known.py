"""A value that somebody else changes, read now and then and known in between.

Whoever looks for something in it is answered from what was read last. What is not found there lets
it be read anew, so that what was just made counts at once; however many look for what nobody has
made, it is read only so often, and they wait for it together.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from adapters.errors import NacreError, UnavailableError, reason_of

Value = TypeVar("Value")
Found = TypeVar("Found")
logger = logging.getLogger("nacre.known")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ages:
    """Ages of a value, in seconds, beyond which something happens.

    Attributes:
        fresh_s: It is read again beside what is asked.
        young_s: What is not found in it lets it be read again.
        old_s: Whoever asks waits for it.
        lost_s: It counts no more, also where it cannot be read.
        is_final: Whether what was read within `young_s` counts for what is not found in it.
    """

    fresh_s: float
    young_s: float
    old_s: float
    lost_s: float = inf
    is_final: bool = False


class Known(Generic[Value]):
    """Knows a value. Belongs to one event loop.

    Args:
        read: Reads it.
        ages: How old it may become.
        what: Names it in the log: "tokens".
        lost: The sentence for whoever asks where it was never read, or long ago.
        clock: Gives seconds that never go back.
        wait_s: So long one request waits for a reading; what was known before counts then.
        sleep: Waits some seconds.
    """

    # Owns: what was read last, why the last reading has failed, the one under way, and whether it
    # is to be repeated.

    def __init__(
        self,
        read: Callable[[], Awaitable[Value]],
        ages: Ages,
        *,
        what: str,
        lost: str,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = 2.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._read = read
        self._ages = ages
        self._what = what
        self._lost = lost
        self._clock = clock
        self._wait_s = wait_s
        self._sleep = sleep
        self._value: Value | None = None
        self._read_at = self._tried_at = -inf
        self._reading: asyncio.Future[None] | None = None
        self._is_slow = self._is_changed = False
        self._failed = ""

    @property
    def trouble(self) -> str:
        """Why nobody knows what it says now; empty where it could be read the last time."""
        return self._failed or ("it does not answer" if self._reading is not None else "")

    async def find(self, look: Callable[[Value], Found | None]) -> Found | None:
        """Return what `look` finds in the value; None where it finds nothing.

        Nothing is found only in what was read after this was asked; `is_final` lets what was read a
        moment before count too.

        Raises:
            UnavailableError: the value was never read, or too long ago, or nothing is found and it
                cannot be read now.
        """
        asked_at = self._clock()
        if self._age(self._tried_at) >= self._ages.fresh_s:
            self._begin()
        if self._age(self._read_at) >= self._ages.old_s:
            await self._wait()
        found = self._found(look)
        if found is None:
            await self._wait()
            found = self._found(look)
        if found is None and self._is_to_be_read_again(asked_at):
            await self._read_again(asked_at)
            found = self._found(look)
        if self._value is None or self._age(self._read_at) >= self._ages.lost_s:
            raise UnavailableError(self._lost.format(reason=self.trouble))
        if found is None and (self._failed or self._is_slow):
            raise UnavailableError(self._lost.format(reason=self.trouble))
        return found

    def forget(self) -> None:
        """Have whoever asks next wait until it was read: it was changed here."""
        self._read_at = self._tried_at = -inf
        self._is_changed = True

    def _is_to_be_read_again(self, asked_at: float) -> bool:
        if self._reading is not None or self._tried_at >= asked_at:
            return False
        return not self._ages.is_final or self._age(self._tried_at) >= self._ages.young_s

    async def _read_again(self, asked_at: float) -> None:
        young_s = self._ages.young_s - self._age(self._tried_at)
        if young_s > 0:
            await self._sleep(young_s)
        if self._tried_at < asked_at:
            self._begin()
        await self._wait()

    def _found(self, look: Callable[[Value], Found | None]) -> Found | None:
        return None if self._value is None else look(self._value)

    def _age(self, since: float) -> float:
        return self._clock() - since

    def _begin(self) -> None:
        if self._reading is None:
            self._tried_at, self._is_slow = self._clock(), False
            self._reading = asyncio.ensure_future(self._look())

    async def _wait(self) -> None:
        """Wait for the reading under way; not where others have waited for it in vain."""
        if self._reading is not None and not self._is_slow:
            _, waiting = await asyncio.wait({self._reading}, timeout=self._wait_s)
            self._is_slow = bool(waiting) and self._reading is not None

    async def _look(self) -> None:
        try:
            self._is_changed = True
            while self._is_changed:  # what was read before a change does not count
                self._is_changed, begun = False, self._clock()
                value = await self._read()
            self._value, self._read_at, self._failed = value, begun, ""
        except NacreError as error:
            self._failed = error.message
            logger.warning(
                "%s not read, what was known before counts: %s", self._what, self._failed
            )
        except Exception as error:
            self._failed = reason_of(error)
            logger.exception("%s not read, what was known counts", self._what)
        finally:
            self._reading, self._is_slow = None, False
