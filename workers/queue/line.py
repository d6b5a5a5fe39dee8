"""Priority queue of one adapter's submissions: by priority, then first come first served."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from workers.queue.ticket import Ticket


class Line:
    """Submission ids, always sorted: by priority, then first come first served."""

    # Owns: `_orders`, sorted.

    def __init__(self) -> None:
        self._orders: list[tuple[int, float, str]] = []

    def __iter__(self) -> Iterator[str]:
        return (name for _, _, name in self._orders)

    def first(self) -> str | None:
        """Return the id that is served first; None where the line is empty."""
        return self._orders[0][2] if self._orders else None

    def add(self, ticket: Ticket) -> None:
        """Put a ticket in its place."""
        insort(self._orders, ticket.order)

    def remove(self, ticket: Ticket) -> None:
        """Take a ticket out; nothing happens where it is not in the line."""
        place = bisect_left(self._orders, ticket.order)
        if self._orders[place : place + 1] == [ticket.order]:
            del self._orders[place]
