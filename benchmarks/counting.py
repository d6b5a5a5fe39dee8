"""Cost of counting: `make bench-counting`.

What a replica counts of one request with one image, in a batch of its own, and what it takes to
tell Ray of all of it once a second. The share is of the time that a request takes at least:
decoding of a photograph and a forward of ViT-B-32's size, as `make bench-serve` measures them.
"""

import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.table import Row, report
from benchmarks.thread_time import seconds_of
from cluster.serving.metrics import Metrics
from workers.metrics import Tally
from workers.serving.predictor import Candidate

TIMES, TOLD = 20_000, 50
REQUEST_S = 0.062
MOST_SHARE = 0.01
ADAPTERS, TASKS = 3, 100


def main() -> int:
    """Measure, print, and return 0 when all bars hold."""
    return report("bench-counting", list(_rows()))


def _rows() -> Iterator[Row]:
    request = seconds_of(_request(Tally()), TIMES)
    yield Row(figure="counting a request of one image", value=1e6 * request, unit="µs")
    telling, points = _telling()
    yield Row(figure="numbers that Ray is told every second", value=points)
    yield Row(figure="telling Ray of all of them", value=1e3 * telling, unit="ms")
    share = request / REQUEST_S + telling
    yield Row(
        figure="both, of the time of a replica that answers one request after the other",
        value=100 * share,
        unit="%",
        bar=f"at most {100 * MOST_SHARE:.0f}",
        holds=share <= MOST_SHARE,
    )


def _request(tally: Tally) -> Callable[[], None]:
    adapters = [f"adapter-{number}" for number in range(ADAPTERS)]
    metrics = Metrics(tally, adapters=adapters)
    answers = [
        Candidate(label="a", class_id=f"task-{number}/a", task=f"task-{number}", score=0.9)
        for number in range(TASKS)
    ]
    number = 0

    def count() -> None:
        nonlocal number
        number += 1
        adapter = adapters[number % ADAPTERS]
        metrics.begun()
        metrics.decoded(0.005)
        metrics.batch(1, 0.057)
        metrics.answered(adapter, (answers[number % TASKS],))
        metrics.request("/v1/predict", 200, 0.062, adapter=adapter)

    return count


def _telling() -> tuple[float, int]:
    """Return the seconds in which Ray is told of what has changed, and how many numbers."""
    from cluster.metrics.ray_tally import RayTally

    # No Ray runs here: the process that counts is measured, and Ray sends from a thread of its own.
    tally = RayTally(every_s=3600.0)
    count = _request(tally)
    for _ in range(ADAPTERS * TASKS):
        count()
    tally.tell()
    seconds = 0.0
    for _ in range(TOLD):
        for _ in range(ADAPTERS * TASKS):
            count()
        began = time.thread_time()
        tally.tell()
        seconds += time.thread_time() - began
    return seconds / TOLD, len(tally.points())


if __name__ == "__main__":
    sys.exit(main())
