"""The provider as one replica knows it: asked now and then, not with every request.

What no known key has signed lets it be asked anew, so that a rotated one counts at once, also where
it is called as the one before was; however much of that comes, it is asked no more often. While it
is away, what it has said goes on.
"""

import time
from collections.abc import Awaitable, Callable

from cluster.provider.connecting import TIMEOUT_S
from cluster.provider.provider import Provider
from workers.concurrency.known import Ages, Known

FRESH_S, YOUNG_S, OLD_S, LOST_S = 600.0, 5.0, 3600.0, 24 * 3600.0
"""See `Ages`. The last costs nobody anything: tokens live for an hour or so, and a provider that is
away gives no new ones."""
LOST = "the provider of signed tokens cannot be asked for its keys: {reason}; try again later"


class KnownProvider:
    """Knows a provider. Belongs to one event loop.

    Args:
        read: Asks it.
        clock: Gives seconds that never go back.
        wait_s: So long one request waits for it.
    """

    # Owns: what it said last.

    def __init__(
        self,
        read: Callable[[], Awaitable[Provider]],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = TIMEOUT_S,
    ) -> None:
        ages = Ages(fresh_s=FRESH_S, young_s=YOUNG_S, old_s=OLD_S, lost_s=LOST_S, is_final=True)
        self._known = Known(
            read, ages, what="keys of the provider", lost=LOST, clock=clock, wait_s=wait_s
        )

    async def provider(self) -> Provider:
        """Return the provider.

        Raises:
            UnavailableError: it has not said anything for long.
        """
        found = await self._known.find(lambda provider: provider)
        assert found is not None
        return found

    async def holds(self, check: Callable[[Provider], bool]) -> bool:
        """Return whether something holds of it, by what it says now where not by what it has said.

        Raises:
            UnavailableError: it cannot be asked, so that nobody knows.
        """
        return await self._known.find(lambda provider: check(provider) or None) is True
