"""Fair queue: what requesters wait for, each of them in turn, and first come first served for one.

In the order of arrival alone, whoever asks for a thousand things at once makes everybody else wait
for all of them.
"""

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items of requesters, by name. Belongs to one event loop."""

    # Owns: a line of items for each requester who has some, the one whose turn is next first.

    def __init__(self) -> None:
        self._lines: dict[str, deque[Item]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def put(self, requester: str, item: Item) -> None:
        """Let an item wait behind the others of its requester."""
        self._lines.setdefault(requester, deque()).append(item)

    def has(self, requester: str, item: Item) -> bool:
        """Return whether an item of a requester waits."""
        return item in self._lines.get(requester, ())

    def turns(self) -> list[str]:
        """Return the requesters, the one whose turn is next first."""
        return list(self._lines)

    def line(self, requester: str) -> deque[Item]:
        """Return a requester's items, the oldest first; whoever empties it calls `moved_on`."""
        return self._lines[requester]

    def take(self) -> Item:
        """Return the oldest item of whoever has the turn; they go last then."""
        requester = next(iter(self._lines))
        item = self._lines[requester].popleft()
        self.moved_on(requester)
        return item

    def moved_on(self, requester: str) -> None:
        """Let a requester go last, or away where nothing is left of theirs."""
        line = self._lines.pop(requester)
        if line:
            self._lines[requester] = line
