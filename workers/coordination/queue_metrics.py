"""Queue metrics: what is counted of a queue while one coordinator leads."""

from collections import Counter

from workers.metrics.bounded import BoundedNames
from workers.metrics.families import (
    ATTEMPTS,
    ENDED,
    GATE,
    MOST_ADAPTERS,
    OLDEST_AGE,
    STAGE_SECONDS,
    SUBMISSIONS,
    UNDER_WAY,
)
from workers.metrics.meter import Labels, Meter
from workers.queue.machine import EVERY_ADAPTER, Queue
from workers.queue.ticket import ACTIVE, Cause, Stage, Ticket
from workers.queue.ticket import ENDED as ENDED_STAGES

EVERY_S = 2.0
"""Between two looks at all tickets, which may be ten thousand."""
VERDICTS = {Stage.PUBLISHED: "passed", Stage.REJECTED: "refused"}
OPEN = tuple(stage for stage in Stage if stage not in ENDED_STAGES)


class QueueMetrics:
    """Counts changes of tickets, and measures how many there are.

    Args:
        meter: Counts.
    """

    # Owns: when it looked last; belongs to the queue's event loop.

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._adapter = BoundedNames(MOST_ADAPTERS)
        self._looked_at: float | None = None
        for outcome in ENDED_STAGES:
            meter.count(ENDED, outcome.value, by=0)
        for stage in ACTIVE:
            for cause in Cause:
                meter.count(ATTEMPTS, stage.value, cause.value, by=0)

    def changed(self, before: Ticket, after: Ticket, *, now: float) -> None:
        """Count what has become of a ticket."""
        if after.failures and after.failures != before.failures:
            failure = after.failures[-1]
            self._meter.count(ATTEMPTS, failure.stage.value, failure.cause.value)
        if after.stage is before.stage:
            return
        self._meter.observe(STAGE_SECONDS, max(0.0, now - before.since), before.stage.value)
        if after.stage in ENDED_STAGES:
            self._meter.count(ENDED, after.stage.value)
        verdict = VERDICTS.get(after.stage)
        if verdict is not None:
            self._meter.count(GATE, self._adapter(after.adapter), verdict)

    def measure(self, queue: Queue, *, now: float) -> None:
        """Measure what is in the queue, unless that was done a moment ago."""
        if self._looked_at is not None and 0 <= now - self._looked_at < EVERY_S:
            return
        self._looked_at = now
        waiting = [each for each in queue.tickets.values() if each.stage not in ENDED_STAGES]
        counts = Counter((each.stage.value, self._adapter(each.adapter)) for each in waiting)
        adapters = {self._adapter(each.adapter) for each in queue.tickets.values()}
        for adapter in adapters:  # so that the first verdict is seen as one more
            for verdict in VERDICTS.values():
                self._meter.count(GATE, adapter, verdict, by=0)
        none: dict[Labels, float] = {
            (stage.value, adapter): 0.0 for stage in OPEN for adapter in adapters
        }
        self._meter.set_all(SUBMISSIONS, none | {key: float(n) for key, n in counts.items()})
        paused = queue.paused
        oldest = min(
            (each.accepted_at for each in waiting if not paused & {each.adapter, EVERY_ADAPTER}),
            default=now,
        )
        self._meter.set(OLDEST_AGE, max(0.0, now - oldest))
        self._meter.set(UNDER_WAY, float(len(queue.active)))

    def end(self) -> None:
        """Take away what only somebody who leads can say."""
        for family in (SUBMISSIONS, OLDEST_AGE, UNDER_WAY):
            self._meter.set_all(family, {})
