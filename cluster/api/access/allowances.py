"""Allowances: what each requester has under way in one replica, and has asked for in a minute.

Replicas do not ask each other: an allowance is that of one replica, and whoever is spread over
several has as many. It is not divided by them either, since then it would depend on chance which
replica a request comes to.

The rate is a bucket that leaks: it has one number per requester, and says exactly how long to wait
until the next images have room. Whoever sends more in one request than a minute allows waits until
the bucket is empty, and fills it beyond its brim.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from adapters.errors import WAIT, LimitError
from cluster.config import NO_LIMITS, RequesterLimits

MINUTE_S = 60.0
ROUNDING = 1e-6
"""Images; whoever has waited for as long as was said is let in."""
SOON_S = 1
"""Nobody knows when a request that is under way will be answered."""


@dataclass(slots=True)
class _Bucket:
    """Images of one requester that have not leaked yet.

    Attributes:
        level: How many there were.
        at: When.
        per_s: How many leak in a second.
    """

    level: float
    at: float
    per_s: float

    def level_at(self, now: float) -> float:
        """Return how many there are at `now`."""
        return max(0.0, self.level - (now - self.at) * self.per_s)


class Allowances:
    """Counts for one replica. Belongs to one event loop.

    Args:
        limits_of: Returns the limits of a requester, given by name.
        clock: Gives seconds that never go back.
    """

    # Owns: the counts. Nothing is kept of whoever has nothing under way and an empty bucket.

    def __init__(
        self,
        limits_of: Callable[[str], RequesterLimits] = lambda _: NO_LIMITS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits_of = limits_of
        self._clock = clock
        self._under_way: dict[str, int] = {}
        self._buckets: dict[str, _Bucket] = {}

    @property
    def size(self) -> int:
        """Of how many requesters something is kept."""
        return len(self._under_way.keys() | self._buckets.keys())

    @contextmanager
    def request(self, who: str) -> Iterator[None]:
        """Count a request as under way within this.

        Raises:
            LimitError: there are as many as may be.
        """
        most, before = self._limits_of(who).requests, self._under_way.get(who, 0)
        if most is not None and before >= most:
            raise LimitError(
                f"{who!r} has {before} requests under way here, as many as are allowed at once "
                f"(`requests: {most}` under `limits` in the configuration of the service); send "
                f"this one again after {SOON_S} s, and fewer at once",
                limit="requests",
                most=most,
                used=before,
                **{WAIT: SOON_S},
            )
        self._under_way[who] = before + 1
        try:
            yield
        finally:
            left = self._under_way.pop(who) - 1
            if left:
                self._under_way[who] = left

    def images(self, who: str, count: int) -> None:
        """Note that images are asked for; with a count of 0, only look whether there is room.

        Raises:
            LimitError: there were as many in the last minute as may be; these are not counted.
        """
        most, now = self._limits_of(who).images_per_minute, self._clock()
        self._forget_empty(now)
        if most is None:
            return
        bucket = self._buckets.pop(who, None) or _Bucket(level=0.0, at=now, per_s=most / MINUTE_S)
        level, wanted = bucket.level_at(now), max(1, count)
        over = min(level, level + wanted - most)
        if over > ROUNDING:
            self._buckets[who] = bucket
            wait_s = max(1, ceil(over / bucket.per_s))
            raise LimitError(
                f"{who!r} has asked for {ceil(level)} images within the last minute, and "
                f"{wanted} more would be over what is allowed (`images_per_minute: {most}` under "
                f"`limits` in the configuration of the service); send these again after {wait_s} s",
                limit="images_per_minute",
                most=most,
                used=ceil(level),
                **{WAIT: wait_s},
            )
        if level + count:
            self._buckets[who] = _Bucket(level=level + count, at=now, per_s=bucket.per_s)

    def _forget_empty(self, now: float) -> None:
        """Forget whose bucket is empty; those that were filled longest ago come first."""
        for who, bucket in list(self._buckets.items())[:2]:
            if not bucket.level_at(now):
                del self._buckets[who]
