"""The named tokens and the sessions as one replica knows them: read now and then.

Whoever sends one that counted `OLD_S` ago, and was revoked since, is let in no longer. One that
nobody knows is looked for anew, so that one which was just made counts at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from workers.access.sessions import Session, SessionList
from workers.access.tokens import NamedToken, TokenList
from workers.concurrency.known import Ages, Known

FRESH_S, YOUNG_S, OLD_S = 2.0, 0.5, 5.0
"""See `Ages`."""
AGES = Ages(fresh_s=FRESH_S, young_s=YOUNG_S, old_s=OLD_S)
List = TypeVar("List")


class KnownTokens:
    """The named tokens of a store. Belongs to one event loop.

    Args:
        read: Reads them, in a thread.
        clock: Gives seconds that never go back.
        wait_s: So long one request waits for the store; what was known before counts then.
        sleep: Waits some seconds.
    """

    # Owns: what was read last.

    def __init__(
        self,
        read: Callable[[], TokenList],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = 2.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._known = _known(read, "tokens", clock, wait_s, sleep)

    async def holder(self, secret: str) -> NamedToken | None:
        """Return the token of a secret; None where nobody knows it.

        Raises:
            UnavailableError: the tokens were never read, because the store is away.
        """
        return await self._known.find(lambda tokens: tokens.holder(secret))

    async def of_digest(self, sha256: str) -> NamedToken | None:
        """Return the token whose secret has this digest; arguments and errors as above."""
        return await self._known.find(lambda tokens: tokens.of_digest(sha256))


class KnownSessions:
    """The sessions of a store; arguments as of `KnownTokens`."""

    # Owns: what was read last.

    def __init__(
        self,
        read: Callable[[], SessionList],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = 2.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._known = _known(read, "sessions", clock, wait_s, sleep)

    async def holder(self, secret: str) -> Session | None:
        """Return the session of a secret; None where nobody knows it.

        Raises:
            UnavailableError: the sessions were never read, because the store is away.
        """
        return await self._known.find(lambda sessions: sessions.holder(secret))

    def forget(self) -> None:
        """Have them read before anybody is answered again: they were changed here."""
        self._known.forget()


def _known(
    read: Callable[[], List],
    what: str,
    clock: Callable[[], float],
    wait_s: float,
    sleep: Callable[[float], Awaitable[None]],
) -> Known[List]:
    thread = ThreadPoolExecutor(1, what)

    def reading() -> Awaitable[List]:
        return asyncio.get_running_loop().run_in_executor(thread, read)

    lost = f"the store that has the {what} does not answer; try again later"
    return Known(reading, AGES, what=what, lost=lost, clock=clock, wait_s=wait_s, sleep=sleep)
