"""Ray tally: what this process counts, handed to Ray every second, whose agent shows it per node.

Counting takes no call of Ray, so that requests do not wait for it. Ray's own histograms are not
used: its agent makes them anew out of the middles of their buckets, one observation after another,
and has sums that nobody has measured. Buckets, count and sum of a histogram are counters here, and
so are exact.
"""

import atexit
import logging
import os
import threading
from functools import cache
from typing import Any

from ray.util.metrics import Counter, Gauge

from cluster.version import this_build
from workers.metrics import Family, Kind, Point, Tally
from workers.metrics.families import BUILD
from workers.metrics.meter import Labels

EVERY_S = 1.0
logger = logging.getLogger("nacre.metrics")


class RayTally(Tally):
    """A tally of which Ray is told.

    Args:
        every_s: How often, in seconds.
    """

    # Owns: the thread, Ray's instruments, and what each counter had when Ray was told last; all
    # guarded by `_telling`.

    def __init__(self, *, every_s: float = EVERY_S) -> None:
        super().__init__()
        self._every_s = every_s
        self._telling = threading.Lock()
        self._instruments: dict[tuple[Family, str], Any] = {}
        self._told: dict[tuple[Family, str, Labels], float] = {}
        self._ending = threading.Event()
        threading.Thread(target=self._tell_again, name="metrics", daemon=True).start()

    def tell(self) -> None:
        """Tell Ray what has been counted since it was told last, and how the gauges stand."""
        with self._telling:
            for point in self.points():
                self._tell(point)

    def _tell(self, point: Point) -> None:
        instrument = self._instrument(point)
        if point.family.kind is Kind.GAUGE:
            instrument.set(point.value, point.named)
            return
        key = point.family, point.suffix, point.labels
        told = self._told.get(key)
        if told is None or point.value > told:
            # `inc` refuses nothing: a counter that is there before it grows is one whose first
            # increase Prometheus sees.
            instrument._record(point.value - (told or 0.0), point.named)
            self._told[key] = point.value

    def _instrument(self, point: Point) -> Any:
        key = point.family, point.suffix
        if key not in self._instruments:
            made = Gauge if point.family.kind is Kind.GAUGE else Counter
            name = point.name.removesuffix("_total")  # Ray puts it behind all counters
            self._instruments[key] = made(name, point.family.help, tuple(point.named))
        return self._instruments[key]

    def _tell_again(self) -> None:
        said = ""
        while not self._ending.wait(self._every_s):
            try:
                self.tell()
                said = ""
            except Exception as error:  # noqa: BLE001 - what is not told now is told the next time
                if (reason := repr(error)) != said:
                    logger.warning("Ray is not told what is counted", extra={"error": reason})
                said = reason


@cache
def ray_meter() -> RayTally:
    """Return the meter of this process, which has joined a Ray: one for all that it does."""
    meter, build = RayTally(), this_build()
    meter.set(BUILD, 1.0, build.version, build.commit)
    atexit.register(meter.tell)
    return meter


def replica_label() -> str:
    """Return what tells the gauges of this process from those of others of its kind."""
    from ray.serve import get_replica_context

    try:
        return str(get_replica_context().replica_id.unique_id)
    except Exception:  # noqa: BLE001 - no replica of Serve
        return str(os.getpid())
