"""A value that somebody else changes, read now and then and known in between.

Whoever looks for something in it is answered from what was read last. What is not found there lets
it be read anew, so that what was just made counts at once; however many look for what nobody has
made, it is read no more often.
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
    """

    fresh_s: float
    young_s: float
    old_s: float
    lost_s: float = inf


class Known(Generic[Value]):
    """Knows a value. Belongs to one event loop.

    Args:
        read: Reads it.
        ages: How old it may become.
        what: Names it in the log: "tokens".
        lost: The sentence for whoever asks where it was never read, or long ago.
        clock: Gives seconds that never go back.
        wait_s: So long one request waits for a reading; what was known before counts then.
    """

    # Owns: what was read last, why the last reading has failed, and the one under way.

    def __init__(
        self,
        read: Callable[[], Awaitable[Value]],
        ages: Ages,
        *,
        what: str,
        lost: str,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = 2.0,
    ) -> None:
        self._read = read
        self._ages = ages
        self._what = what
        self._lost = lost
        self._clock = clock
        self._wait_s = wait_s
        self._value: Value | None = None
        self._read_at = self._tried_at = -inf
        self._reading: asyncio.Future[None] | None = None
        self._is_slow = False
        self._failed = ""

    @property
    def trouble(self) -> str:
        """Why nobody knows what it says now; empty where it could be read the last time."""
        return self._failed or ("it does not answer" if self._reading is not None else "")

    async def find(self, look: Callable[[Value], Found | None]) -> Found | None:
        """Return what `look` finds in the value; None where it finds nothing.

        Raises:
            UnavailableError: the value was never read, or too long ago.
        """
        if self._age(self._tried_at) >= self._ages.fresh_s:
            self._begin()
        if self._age(self._read_at) >= self._ages.old_s:
            await self._wait()
        found = self._found(look)
        if found is None and (
            self._reading is not None or self._age(self._tried_at) >= self._ages.young_s
        ):
            self._begin()
            await self._wait()
            found = self._found(look)
        if self._value is None or self._age(self._read_at) >= self._ages.lost_s:
            raise UnavailableError(self._lost.format(reason=self.trouble))
        return found

    def forget(self) -> None:
        """Have whoever asks next wait until it was read: it was changed here."""
        self._read_at = self._tried_at = -inf

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
            self._is_slow = bool(waiting)

    async def _look(self) -> None:
        begun = self._clock()
        try:
            self._value, self._failed = await self._read(), ""
            self._read_at = begun
        except NacreError as error:
            self._failed = error.message
            logger.warning(
                "%s not read, what was known before counts: %s", self._what, self._failed
            )
        except Exception as error:
            self._failed = reason_of(error)
            logger.exception("%s not read, what was known counts", self._what)
        finally:
            self._reading = None
