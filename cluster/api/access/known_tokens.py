"""The named tokens as one replica knows them: read now and then, not with every request.

Whoever sends one that counted `OLD_S` ago, and was revoked since, is let in no longer. A token that
nobody knows is looked for anew, so that one which was just made counts at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf

from adapters.errors import NacreError, UnavailableError
from workers.access.tokens import NamedToken, TokenList

FRESH_S, YOUNG_S, OLD_S = 2.0, 0.5, 5.0
"""Beyond the first age they are read again beside what is asked; a token that nobody knows lets
them be read beyond the second; beyond the third whoever asks waits for them."""

logger = logging.getLogger("nacre.access")


class KnownTokens:
    """The named tokens of a store. Belongs to one event loop.

    Args:
        read: Reads them, in a thread.
        clock: Gives seconds that never go back.
        wait_s: So long one request waits for the store; what was known before counts then.
    """

    # Owns: what was read last, the reading under way, and the thread in which it is done.

    def __init__(
        self,
        read: Callable[[], TokenList],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = 2.0,
    ) -> None:
        self._read = read
        self._clock = clock
        self._wait_s = wait_s
        self._tokens: TokenList | None = None
        self._read_at = self._tried_at = -inf
        self._reading: asyncio.Future[None] | None = None
        self._is_slow = False
        self._thread = ThreadPoolExecutor(1, "tokens")

    async def holder(self, secret: str) -> NamedToken | None:
        """Return the token of a secret; None where nobody knows it.

        Raises:
            UnavailableError: the tokens were never read, because the store is away.
        """
        if self._age(self._tried_at) >= FRESH_S:
            self._begin()
        if self._age(self._read_at) >= OLD_S:
            await self._wait()
        found = self._found(secret)
        if found is None and self._age(self._tried_at) >= YOUNG_S:
            self._begin()
            await self._wait()
            found = self._found(secret)
        if self._tokens is None:
            raise UnavailableError("the store that has the tokens does not answer; try again later")
        return found

    def _found(self, secret: str) -> NamedToken | None:
        return None if self._tokens is None else self._tokens.holder(secret)

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
            loop = asyncio.get_running_loop()
            self._tokens = await loop.run_in_executor(self._thread, self._read)
            self._read_at = begun
        except NacreError as error:
            logger.warning("tokens not read, what was known before counts: %s", error.message)
        except Exception:
            logger.exception("tokens not read, what was known before counts")
        finally:
            self._reading = None
