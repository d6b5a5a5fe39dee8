"""The latest of what is computed by a key: whoever asks for the same again gets the same."""

from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Latest(Generic[Key, Value]):
    """Keeps one value. Threads with different keys may compute it again; none gets another's."""

    # Owns: `_kept`, replaced as a whole.

    def __init__(self) -> None:
        self._kept: tuple[Key, Value] | None = None

    def of(self, key: Key, compute: Callable[[Key], Value]) -> Value:
        """Return the value of `key`, computed unless it is the one that was asked for last."""
        kept = self._kept
        if kept is None or kept[0] != key:
            kept = self._kept = key, compute(key)
        return kept[1]
