"""A store that is waited for: what Serve runs may begin before the store of its system is there.

The first of all processes on a new folder makes it, and a server may be away for a moment. Serve
gives up for good what fails three times, within seconds; whoever declares a system to it by a
document, as an operator of Kubernetes does, would have to declare it again.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from adapters.errors import StoreRefusedError, UnavailableError, reason_of

T = TypeVar("T")

PATIENCE_S = 60.0
"""Then it is an error that Serve tells of, and Serve begins again."""
EVERY_S = 0.5

_log = logging.getLogger("nacre.stores")


def awaited(
    opened: Callable[[], T],
    *,
    patience_s: float = PATIENCE_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what `opened` returns, once the store is there.

    Raises:
        StoreRefusedError: the store does not let this process in; that is said at once.
        UnavailableError: it is not there after `patience_s`.
    """
    deadline, told = clock() + patience_s, False
    while True:
        try:
            return opened()
        except StoreRefusedError:
            raise
        except UnavailableError as error:
            if clock() >= deadline:
                raise
            if not told:
                _log.warning("waiting for the store: %s", reason_of(error))
                told = True
            sleep(EVERY_S)
