"""Progress callbacks: how long-running work reports how far it is."""

from collections.abc import Callable

ProgressCallback = Callable[[int, int], None]
"""Called with units done and units in all."""

StepCallback = Callable[[str, int, int], None]
"""Called with what is being done, units of it done and units in all."""


def unwatched(done: int, total: int) -> None:
    """StepCallback progress to nobody."""
    del done, total


def unreported(what: str, done: int, total: int) -> None:
    """StepCallback to nobody."""
    del what, done, total
