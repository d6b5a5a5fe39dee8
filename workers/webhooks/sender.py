"""Sender of deliveries, as the coordinator calls it: one request to one webhook, and its answer."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from workers.concurrency.supervision import Backoff
from workers.webhooks.milestone import Milestone
from workers.webhooks.webhook import Secret

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came of one request.

    Attributes:
        said: A sentence, without secrets and without anything that the receiver wrote.
        status: Of the answer; None where there was none.
        delivered: Whether the receiver has taken it.
        gone: Whether the receiver wants no more.
        refused: Whether the receiver is there and does not want this: other answers than yes, but
            for those that say that it cannot take anything just now.
        wait_s: How long it wants to be left alone, in seconds; 0 where it says nothing of that.
    """

    said: str
    status: int | None = None
    delivered: bool = False
    gone: bool = False
    refused: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel:
    """What is sent.

    Attributes:
        url: Where to.
        milestone: What has happened.
        sequence: Which one of its adapter's it is; None for a test.
        secrets: Each of them signs it.
        now: When, in seconds since the epoch.
    """

    url: str = field(repr=False)
    milestone: Milestone
    sequence: int | None
    secrets: Sequence[Secret]
    now: float


class Sender(Protocol):
    """Sends. Belongs to one event loop."""

    async def send(self, parcel: Parcel) -> Answer:
        """Return what came of it, whatever that is; bounded in time, and in what is read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookSetup:
    """How webhooks are served.

    Attributes:
        sender: Carries requests out.
        poll_s: Between two looks for moved aliases and for changed webhooks, in seconds.
        backoff: How long is waited after failures in a row; of that, a random part is left out.
        most_refusals: What was refused so often is set aside, and what comes after it is told.
        patience_s: A webhook that could not be told anything for so long is stopped, in seconds.
        kept_s: So long what has happened is kept for webhooks that are behind, in seconds.
        rng: Gives the jitter.
    """

    sender: Sender
    poll_s: float = 0.5
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=1.0, longest_s=300.0))
    most_refusals: int = 30
    patience_s: float = 3 * DAY_S
    kept_s: float = 30 * DAY_S
    rng: random.Random = field(default_factory=random.SystemRandom)
