"""What is done to replicas under load, and at which moments: drawn from a seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.fakes.weather import Climate, Weather

REPLACED_S = 20.0
"""So long after a kill another replica answers in its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is done to the replicas, and for how long.

    Attributes:
        seconds: How long the load lasts.
        versions: How many versions are published; as many other moves lie between them.
        replicas: How often a replica is killed.
        controllers: How often Serve's controller is killed.
        weather: How the store is for a while, one kind after another, and for how many seconds.
        climate: How the store is besides; None for good weather.
        clients: How many ask at once.
        seed: Of everything that is drawn.
    """

    seconds: float = 600.0
    versions: int = 30
    replicas: int = 5
    controllers: int = 2
    weather: Mapping[Weather, float] = field(default_factory=lambda: {Weather.AWAY: 30.0})
    climate: Climate | None = None
    clients: int = 16
    seed: int = 0

    @property
    def bad_s(self) -> float:
        """How long the weather is bad, in seconds."""
        return sum(self.weather.values())


def replica_kills(plan: Plan, draw: random.Random, *, bad_at: float) -> list[float]:
    """Draw when replicas are killed, in seconds from the beginning, in order.

    While the store is bad no replica can start: it could not know what to answer with. So one of
    them is killed then, or shortly before, and no second one: nobody would be left to answer.

    Args:
        plan: How many, and how long all of it lasts.
        draw: Gives the moments.
        bad_at: When the bad weather begins.
    """
    drawn = sorted(draw.uniform(0.05, 0.9) * plan.seconds for _ in range(plan.replicas))
    if not plan.bad_s:
        return drawn
    good_at = bad_at + plan.bad_s
    risky = [at for at in drawn if bad_at - REPLACED_S < at < good_at + REPLACED_S]
    put_off = [good_at + REPLACED_S * number for number in range(1, len(risky))]
    return sorted([*(at for at in drawn if at not in risky[1:]), *put_off])
