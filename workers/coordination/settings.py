"""Settings of a coordinator: its store, crew and clock, intervals, limits and adapter rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.housekeeping.retention import Retention
from workers.learning.crew import Crew
from workers.learning.gate import Gate
from workers.metrics.meter import UNREAD, Meter
from workers.queue.machine import Limits
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission
from workers.webhooks.sender import WebhookSetup


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterRules:
    """How the tasks of one adapter are learnt and published.

    Attributes:
        method: The method's name, for submissions that carry none.
        gate: Decides whether a version is served.
    """

    method: str = "lada"
    gate: Gate = field(default_factory=Gate)

    def carried_by(self, submission: Submission) -> "AdapterRules":
        """Return how `submission` is learnt: by the method that it was checked with."""
        carried = submission.learning
        return replace(self, method=carried.method) if carried else self


@dataclass(frozen=True, kw_only=True, slots=True)
class Intervals:
    """How often the coordinator looks and writes, in seconds.

    Attributes:
        poll_s: Between two looks for requests and for moved aliases.
        report_s: Between two writings of how far the active ones are.
        lead_s: How long the lead lasts unless it is renewed, which is done three times as often.
        retention_s: Between two looks for what is kept no longer.
        step_back_s: Until it looks again, after it lost the lead or could not begin.
    """

    poll_s: float = 0.5
    report_s: float = 0.5
    lead_s: float = 15.0
    retention_s: float = 3600.0
    step_back_s: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What a coordinator works with.

    Attributes:
        store: The object store.
        crew: The roles.
        clock: Gives seconds since the epoch.
        rules: How the tasks of an adapter, given by its name, are learnt and published.
        limits: How much goes on at once.
        intervals: How often it looks and writes.
        retention: How long images and features are kept.
        threads: Where it reads and writes the store, so that its event loop goes on.
        configuration: What it publishes of the system's configuration while it leads.
        webhooks: How webhooks are served; None where events go nowhere.
        meter: Counts what happens.
    """

    store: ObjectStore
    crew: Crew
    clock: Callable[[], float]
    rules: Callable[[str], AdapterRules] = field(default=lambda _adapter: AdapterRules())
    limits: Limits = field(default_factory=Limits)
    intervals: Intervals = field(default_factory=Intervals)
    retention: Retention = field(default_factory=Retention)
    threads: Threads = SYSTEM_THREADS
    configuration: Mapping[str, Any] | None = None
    webhooks: WebhookSetup | None = None
    meter: Meter = UNREAD
