"""Metrics of a replica: what it counts of requests, batches, answers and versions."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from math import inf

from workers.metrics import UNREAD, Meter
from workers.metrics.bounded import BoundedNames
from workers.metrics.families import (
    BATCH_IMAGES,
    BATCHES,
    CONFIDENCE,
    DECODE_SECONDS,
    FORWARD_SECONDS,
    INFLIGHT,
    MOST_TASKS,
    OTHER,
    PREDICTIONS,
    REFUSALS,
    REFUSED_VERSION,
    REQUEST_SECONDS,
    REQUESTS,
    STALENESS,
    SWAP_SECONDS,
    TASK_ACCURACY,
    VERSION_CREATED,
    VERSION_INFO,
    VERSION_NUMBER,
)
from workers.metrics.meter import Labels
from workers.queue.machine import EVERY_ADAPTER
from workers.registry.documents.layout import PRODUCTION
from workers.serving.follower import FollowerState
from workers.serving.predictor import Candidate

ASKING = ("/v1/predict", "/v1/adapters/{adapter}/predict", "/v1/embed")
LOST = ("429", "500", "503", "504")
"""Statuses of which the first must be seen as well: counters of them are there from the start."""
FULL, DRAINED = "full", "drained"


@dataclass(frozen=True, kw_only=True, slots=True)
class Following:
    """What a replica answers with for an adapter.

    Attributes:
        state: Of its follower.
        age_s: Seconds since it was seen last where `production` points.
    """

    state: FollowerState
    age_s: float


class Metrics:
    """What one replica counts.

    Args:
        meter: Counts.
        adapters: Names of those that it serves; what is asked of others is counted together.
        replica: Tells the gauges of this replica from those of others.
    """

    # Owns: how many requests are under way and how accurate what answers is, guarded by `_lock`.

    def __init__(
        self, meter: Meter = UNREAD, *, adapters: Collection[str] = (), replica: str = "alone"
    ) -> None:
        self._meter = meter
        self.replica = replica
        self._adapters = frozenset(adapters)
        self._tasks = {name: BoundedNames(MOST_TASKS) for name in adapters}
        self._lock = threading.Lock()
        self._under_way = 0
        self._accuracies: dict[str, dict[Labels, float]] = {}
        meter.before_reading("requests", self._measure)
        for route in ASKING:
            for adapter in ("",) if route == "/v1/embed" else adapters:
                for code in ("200", *LOST):
                    meter.count(REQUESTS, route, code, adapter, by=0)
        for adapter in adapters:
            meter.count(REFUSALS, adapter, by=0)

    def begun(self) -> None:
        """Note that a request has come."""
        with self._lock:
            self._under_way += 1

    def request(self, route: str, status: int, seconds: float, *, adapter: str = "") -> None:
        """Count a request that was answered.

        Args:
            route: Its pattern.
            status: Of its answer.
            seconds: That it took.
            adapter: Which it is about; `*` or nothing where it is about none.
        """
        with self._lock:
            self._under_way -= 1
        known = "" if adapter in ("", EVERY_ADAPTER) else self._known(adapter)
        self._meter.count(REQUESTS, route, str(status), known)
        self._meter.observe(REQUEST_SECONDS, seconds, route)

    def batch(self, images: int, seconds: float, *, is_full: bool = False) -> None:
        """Count a batch that was embedded."""
        self._meter.count(BATCHES, FULL if is_full else DRAINED)
        self._meter.observe(BATCH_IMAGES, images)
        self._meter.observe(FORWARD_SECONDS, seconds)

    def decoded(self, seconds: float) -> None:
        """Count an image that was decoded."""
        self._meter.observe(DECODE_SECONDS, seconds)

    def answered(self, adapter: str, best: Iterable[Candidate]) -> None:
        """Count images that were answered, by the best candidate of each."""
        known = self._known(adapter)
        for one in best:
            task = OTHER if one.task is None else self._task(adapter, one.task)
            self._meter.count(PREDICTIONS, known, task)
            self._meter.observe(CONFIDENCE, one.score, known)

    def swapped(self, adapter: str, seconds: float) -> None:
        """Count that a replica has gone where `production` points."""
        self._meter.observe(SWAP_SECONDS, seconds, self._known(adapter))

    def refused(self, adapter: str) -> None:
        """Count a version that could not be loaded."""
        self._meter.count(REFUSALS, self._known(adapter))

    def accuracies(self, adapter: str, accuracies: Mapping[str, float]) -> None:
        """Note what the version that answers gets right of each task's test images, 0 to 1."""
        names = self._tasks[adapter]
        with self._lock:
            self._accuracies[adapter] = {
                (adapter, names(task)): value for task, value in accuracies.items()
            }
            found = {
                key: value for each in self._accuracies.values() for key, value in each.items()
            }
        # What has no name of its own has no accuracy: a mean over some tasks would say nothing.
        named = {key: value for key, value in found.items() if key[1] != OTHER}
        self._meter.set_all(TASK_ACCURACY, named)

    def follows(self, states: Callable[[], Mapping[str, Following]]) -> None:
        """Have the versions measured that `states` tells of, whenever somebody reads."""
        self._meter.before_reading("versions", lambda: self._measure_versions(states()))

    def _measure(self) -> None:
        self._meter.set(INFLIGHT, float(self._under_way), self.replica)

    def _measure_versions(self, found: Mapping[str, Following]) -> None:
        info: dict[Labels, float] = {}
        for adapter, following in found.items():
            current, refusal = following.state.current, following.state.refusal
            where = adapter, self.replica
            if following.age_s < inf:
                self._meter.set(STALENESS, following.age_s, *where)
            number = refusal.ref.number if refusal else 0
            self._meter.set(REFUSED_VERSION, float(number), *where)
            if current is not None:
                label, digest = current.label, current.digest[:12]
                info[(adapter, label, digest, self.replica)] = 1.0
                number = current.ref.number
                self._meter.set(VERSION_NUMBER, float(number), adapter, PRODUCTION, self.replica)
                self._meter.set(VERSION_CREATED, current.manifest.created, *where)
        self._meter.set_all(VERSION_INFO, info)

    def _known(self, adapter: str) -> str:
        return adapter if adapter in self._adapters else OTHER

    def _task(self, adapter: str, task: str) -> str:
        names = self._tasks.get(adapter)
        return OTHER if names is None else names(task)
