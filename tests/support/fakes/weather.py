"""Weather of a store: what a proxy makes of its requests for a while, one kind after another."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.support.fakes.s3_proxy import Fate, Hook, Refusal, S3Proxy, S3Request

PATIENCE_S = 60.0
READING = frozenset({"GET", "HEAD"})


class Weather(Enum):
    """What happens to requests."""

    AWAY = "the store is away"  # connections end without an answer
    BUSY = "429 SlowDown"  # of every request
    FORBIDDEN = "403 InvalidAccessKeyId"  # keys are being rotated
    READ_ONLY = "403 of every write"  # a policy, a bucket that is being moved
    BROKEN = "503 of every second write, half of them made"
    DENYING = "404 of what exists"  # nodes that have just started
    HANGING = "no answer, on a connection that stays"  # a server that is stuck, a disk that is
    DRIPPING = "answers byte by byte, every second"  # a line, or a server, that is all but dead
    STALLING = "answers that stop in the middle"
    BEFORE = "every second read from before"  # nodes that have not heard of the latest write


REFUSALS: Mapping[Weather, Refusal] = {
    Weather.BUSY: Refusal(status=429, code="SlowDown"),
    Weather.FORBIDDEN: Refusal(status=403, code="InvalidAccessKeyId"),
    Weather.READ_ONLY: Refusal(status=403, code="AccessDenied"),
    Weather.BROKEN: Refusal(status=503, code="ServiceUnavailable"),
    Weather.DENYING: Refusal(status=404, code="NoSuchKey"),
}


STARVING: Mapping[Weather, Fate] = {
    Weather.HANGING: Fate.HANG,
    Weather.DRIPPING: Fate.DRIP,
    Weather.STALLING: Fate.STALL,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Climate:
    """Weather that comes again and again, for as long as there is no other.

    Attributes:
        weather: Which.
        lasts_s: How long it lasts, in seconds.
        each_s: How long after its beginning it begins again, in seconds.
    """

    weather: Weather
    lasts_s: float
    each_s: float

    def is_bad(self) -> bool:
        """Return whether the weather is bad at this moment."""
        return time.monotonic() % self.each_s < self.lasts_s


@dataclass(kw_only=True)
class Sky:
    """Makes the weather of a proxy.

    Attributes:
        proxy: Where it happens.
        hook: Decides about each request in good weather.
        now: The weather; None while it is as the climate has it.
        climate: What there is besides; None for good weather.
        met: How many requests met each kind.
    """

    proxy: S3Proxy
    hook: Hook = field(default=lambda _request: Fate.PASS)
    now: Weather | None = None
    climate: Climate | None = None
    met: Counter[Weather] = field(default_factory=Counter)
    _writes: int = 0
    _reads: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Look at each request of the proxy."""
        self.proxy.hook = self.decide

    def decide(self, request: S3Request) -> Fate | Refusal:
        """Return what becomes of a request."""
        weather = self.now
        if weather is None and self.climate and self.climate.is_bad():
            weather = self.climate.weather
        if weather is None or not self._meets(weather, request):
            return self.hook(request)
        self.met[weather] += 1
        if weather is Weather.AWAY:
            return Fate.LOSE
        if weather in STARVING:
            return STARVING[weather]
        if weather is Weather.BEFORE:
            self._reads[request.key] += 1
            return Fate.BEFORE if self._reads[request.key] % 2 else Fate.PASS
        if weather is Weather.BROKEN:
            self._writes += 1
            if self._writes % 2:
                return Fate.LOSE_ANSWER if self._writes % 4 == 1 else REFUSALS[weather]
            return self.hook(request)
        return REFUSALS[weather]

    def last(self, weather: Weather, seconds: float, *, say: Callable[[str], None]) -> None:
        """Let `weather` last for some seconds, and until a request has met it."""
        say(f"{weather.value}, for {seconds:.0f} s")
        self.now, began = weather, time.monotonic()
        time.sleep(seconds)  # a system that does nothing wrong for so long is what is looked for
        while not self.met[weather] and time.monotonic() - began < seconds + PATIENCE_S:
            time.sleep(0.1)
        self.now = None

    @staticmethod
    def _meets(weather: Weather, request: S3Request) -> bool:
        if weather in (Weather.READ_ONLY, Weather.BROKEN):
            return request.verb not in READING
        if weather in (Weather.DENYING, Weather.BEFORE):
            return request.verb in READING and request.of_object
        return True
