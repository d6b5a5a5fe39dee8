"""Room for submissions: how many may be open, of an adapter and of whoever submits.

What counts is what the store says of the queue, so that it is the same over every road and in every
replica. Images count while their submission is open, and for a day after it has ended: whoever
submits and cancels over and over again fills no store.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.errors import WAIT, LimitError, UnavailableError
from workers.queue.inbox import announced
from workers.queue.ledger import read_pages
from workers.queue.ticket import ENDED, Ticket
from workers.store.base import ObjectStore

MAX_OPEN = 10_000
SOON_S = 60
"""Nobody knows when a submission will end."""
MB = 10**6


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What somebody has in the queue.

    Attributes:
        submissions: How many that are open.
        size_bytes: Bytes of the images of these, and of those that have ended within a day.
    """

    submissions: int
    size_bytes: int

    def with_more(self, size_bytes: int) -> "Use":
        """Return the same with one more open submission, whose images have so many bytes."""
        return Use(submissions=self.submissions + 1, size_bytes=self.size_bytes + size_bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """How much may be in the queue.

    Attributes:
        of_adapter: Most open submissions of one adapter.
        of_author: Most open submissions of whoever submits, of all adapters; None for no limit.
        author_mb: Most megabytes of their images; None for no limit.
    """

    of_adapter: int = MAX_OPEN
    of_author: int | None = None
    author_mb: int | None = None

    @property
    def is_limited(self) -> bool:
        """Whether it matters what whoever submits has there."""
        return self.of_author is not None or self.author_mb is not None

    def is_ample(self, use: Use) -> bool:
        """Return whether so much is at most half of what whoever submits may have.

        Then others that are submitted at the same moment are no reason to look again.
        """
        submissions, size_bytes = self.of_author, self.author_mb and self.author_mb * MB
        return (submissions is None or 2 * use.submissions <= submissions) and (
            size_bytes is None or 2 * use.size_bytes <= size_bytes
        )

    def check_adapter(self, adapter: str, waiting: int) -> None:
        """Raise UnavailableError where no further submission of an adapter may be open."""
        if waiting >= self.of_adapter:
            raise UnavailableError(
                f"adapter {adapter!r} has {waiting} open submissions, as many as are allowed "
                "(`max_open` in the configuration); submit again when some have ended",
                adapter=adapter,
            )

    def check_author(self, author: str, use: Use) -> None:
        """Raise LimitError where that is more than whoever submits may have, with what is new."""
        if self.of_author is not None and use.submissions > self.of_author:
            raise LimitError(
                f"{author!r} has {use.submissions - 1} open submissions, as many as are allowed "
                f"(`open_submissions: {self.of_author}` under `limits` in the configuration); "
                f"submit again when some have ended, after {SOON_S} s at the soonest",
                limit="open_submissions",
                most=self.of_author,
                used=use.submissions - 1,
                **{WAIT: SOON_S},
            )
        if self.author_mb is not None and use.size_bytes > self.author_mb * MB:
            raise LimitError(
                f"{author!r} would have {use.size_bytes / MB:.1f} MB of images in submissions that "
                f"are open or have ended within a day, more than are allowed (`stored_mb: "
                f"{self.author_mb}` under `limits` in the configuration); submit again when some "
                f"ended a day ago, after {SOON_S} s at the soonest",
                limit="stored_mb",
                most=self.author_mb,
                used=round(use.size_bytes / MB, 1),
                **{WAIT: SOON_S},
            )


ENOUGH_ROOM = Room()
"""For whoever is not limited."""


def use_of(store: ObjectStore, author: str) -> Use:
    """Return what somebody has in the queue of `store`, also of what nobody has taken note of."""
    # The inbox first: what is taken note of meanwhile is on its page by then.
    tickets = {each.submission_id: each for each in (*announced(store), *read_pages(store))}
    return use_among(author, tickets.values())


def use_among(author: str, tickets: Iterable[Ticket]) -> Use:
    """Return what somebody has among `tickets`."""
    own = [ticket for ticket in tickets if ticket.author == author]
    return Use(
        submissions=sum(ticket.stage not in ENDED for ticket in own),
        size_bytes=sum(ticket.size_bytes for ticket in own),
    )
