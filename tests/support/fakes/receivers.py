"""Receivers of webhooks that do what a test wants, in the time of the test's own loop."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.webhooks.sender import Answer, Parcel

TAKEN = Answer(said="it answered 204", status=204, delivered=True)
BROKEN = Answer(said="it answered 500", status=500)
AWAY = Answer(said="it cannot be reached: the connection is refused")
TOO_LATE = Answer(said="it did not answer within 10 s")
GONE = Answer(said="it answered 410 Gone: it wants no more events", status=410, gone=True)


@dataclass(kw_only=True)
class Receiver:
    """Receives, and remembers what.

    Attributes:
        behaves: Returns the answer to a parcel, given how many came before, and after how many
            seconds; what it is told counts as received unless the answer says it was not reached.
        received: What has arrived, in order, with every repetition.
        taken: What it has answered with yes, in order, with every repetition.
        tries: How often each id was sent.
    """

    behaves: Callable[[Parcel, int], tuple[Answer, float]] = lambda _parcel, _count: (TAKEN, 0.0)
    received: list[Parcel] = field(default_factory=list)
    taken: list[Parcel] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)

    async def send(self, parcel: Parcel) -> Answer:
        """See `Sender`."""
        answer, after_s = self.behaves(parcel, sum(self.tries.values()))
        self.tries[parcel.milestone.id] += 1
        await asyncio.sleep(after_s)
        if answer.status is not None:
            self.received.append(parcel)
        if answer.delivered:
            self.taken.append(parcel)
        return answer

    @property
    def first_taken(self) -> list[Parcel]:
        """What it has answered with yes, each as it was taken first."""
        return list({parcel.milestone.id: parcel for parcel in reversed(self.taken)}.values())[::-1]

    def sequences(self, adapter: str) -> list[int]:
        """Return which events of an adapter it has taken, in the order of their first time."""
        found = (parcel for parcel in self.first_taken if parcel.milestone.adapter == adapter)
        return [parcel.sequence for parcel in found if parcel.sequence is not None]

    def kinds(self, about: str) -> list[str]:
        """Return what was taken of a submission or a task, in the order of the first time."""
        found = (parcel.milestone for parcel in self.first_taken)
        return [each.kind for each in found if about in (each.submission, each.task)]
