"""A store that is waited for: what Serve runs may begin before the store of its system is there.

The first of all processes on a new folder makes it, and a server may be away for a while. Serve
gives up for good what fails three times; whoever declares a system to it by a document, as an
operator of Kubernetes does, would have to declare it again. So it is waited for without end.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from adapters.errors import StoreRefusedError, UnavailableError, reason_of

T = TypeVar("T")

EVERY_S = 0.5
SAID_EVERY_S = 60.0

_log = logging.getLogger("nacre.stores")


def awaited(
    opened: Callable[[], T],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what `opened` returns, once the store is there; the log says what is waited for.

    Raises:
        StoreRefusedError: the store does not let this process in; that is said at once.
    """
    begun = clock()
    say_at = begun
    while True:
        try:
            return opened()
        except StoreRefusedError:
            raise
        except UnavailableError as error:
            now = clock()
            if now >= say_at:
                _log.warning(
                    "waiting for the store, for %.0f s now: %s", now - begun, reason_of(error)
                )
                say_at = now + SAID_EVERY_S
            sleep(EVERY_S)
