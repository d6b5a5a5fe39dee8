"""Queue and registry at 10, 100 and 1,000 published tasks, and 10,000 open submissions.

Records and test features are small and drawn at random: what grows with the number of tasks is
what is measured. Every line has its requests, CPU seconds and the bytes that it read and wrote.
`python -m benchmarks.scale_queue 10 100` measures published tasks of those numbers alone.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

from benchmarks.table import Row, grid, judged
from cluster.client.client import Client
from cluster.client.documents import DocumentClient
from cluster.config import Config
from cluster.wire.versions import PublishedVersion
from tests.support.scenes.measured import RandomTask, begun, random_task
from tests.support.scenes.submissions import submission
from workers import registry
from workers.coordination.recovery import recovered
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.learning.publisher import Publisher
from workers.queue.events import Accepted
from workers.queue.leadership import take_leadership
from workers.queue.ledger import Ledger
from workers.queue.machine import Limits, Queue
from workers.queue.progress import read_queue, ticket_of
from workers.registry import Registry
from workers.registry.record_cache import Versions
from workers.store import FileStore, ObjectStore
from workers.store.testing import RecordingStore

SIZES = (10, 100, 1_000)
QUEUED = 10_000
CLASSES, VECTORS, IMAGES = 10, 4, 2
PAGE = 20
STORE_RATE = 100
"""MB a second that a store gives over a network of a gigabit: `verify` checks no slower."""
MB = 1e6

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one call took.

    Attributes:
        requests: To the store.
        seconds: Of CPU, of this process with all its threads.
        received: Bytes read.
        sent: Bytes written.
    """

    requests: int
    seconds: float
    received: int
    sent: int


class CountedFolder(RecordingStore):
    """Counts what is asked of a folder, which stays at hand as it is for whoever works with it."""

    @property
    def at_hand(self) -> bool:
        return self.inner.at_hand


Measured = list[tuple[str, Cost, float | None]]
"""Each figure, what it took, and the most CPU seconds that it may take."""


def main(arguments: list[str]) -> int:
    """Measure everything, print the table, and return the exit code."""
    costs = measured(tuple(map(int, arguments)))
    headings = ["figure", "requests", "CPU s", "MB read", "MB written", "most CPU s"]
    grid("queue and registry", headings, [_line(*each) for each in costs])
    return judged("scale_queue", _judged(costs))


def figures() -> list[Row]:
    """Return the rows of everything."""
    return _judged(measured())


def measured(sizes: tuple[int, ...] = ()) -> Measured:
    """Return what each call took; of published tasks alone where `sizes` are named."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        costs = _published(Path(folder) / "tasks", sizes or SIZES)
        return costs if sizes else [*costs, *_queued(Path(folder) / "queue")]


def _judged(costs: Measured) -> list[Row]:
    return [
        *(row for each in costs for row in _rows(*each)),
        _constant(costs, "commit"),
        _constant(costs, "published, the next task"),
        *(_rate(*each[:2]) for each in costs if each[0].startswith(("verify", "bare"))),
    ]


def _line(figure: str, cost: Cost, most_s: float | None) -> list[str]:
    return [
        figure,
        f"{cost.requests:,}",
        f"{cost.seconds:.3f}",
        f"{cost.received / MB:.3f}",
        f"{cost.sent / MB:.3f}",
        "" if most_s is None else f"{most_s:g}",
    ]


def _rows(figure: str, cost: Cost, most_s: float | None) -> Iterator[Row]:
    yield Row(figure=figure, value=cost.requests, unit="requests")
    yield Row(figure=figure, value=cost.received, unit="bytes read")
    holds = None if most_s is None else cost.seconds <= most_s
    bar = None if most_s is None else f"at most {most_s:g}"
    yield Row(figure=figure, value=cost.seconds, unit="CPU s", bar=bar, holds=holds)


def _constant(costs: Measured, what: str) -> Row:
    counts = sorted({cost.requests for figure, cost, _ in costs if figure.startswith(what)})
    return Row(
        figure=f"{what}: requests at all sizes",
        value=", ".join(map(str, counts)),
        bar="the same number",
        holds=len(counts) == 1,
    )


def _rate(figure: str, cost: Cost) -> Row:
    rate = cost.received / MB / cost.seconds
    judged = figure.startswith("verify") and "1,000" in figure
    bar, holds = f"at least {STORE_RATE}", rate >= STORE_RATE if judged else None
    return Row(
        figure=f"{figure}: a second of CPU reads",
        value=rate,
        unit="MB",
        bar=bar if holds is not None else None,
        holds=holds,
    )


def _published(folder: Path, sizes: tuple[int, ...]) -> Measured:
    store = CountedFolder(FileStore(folder))
    encoder = Encoder(EncoderSettings())
    found: Measured = []
    count = 0
    accuracies: tuple[registry.TaskAccuracy, ...] = ()
    for size in sizes:
        for number in range(count, size - 4):
            task = _task(encoder, number)
            task.store_features(store)
            accuracies = (*accuracies, _accuracy(task))
            task.commit(store, accuracies)
        found += _learnt(store, encoder, size)
        found += _looked_at(store, folder, size)
        count = size
    return found


def _task(encoder: Encoder, number: int) -> RandomTask:
    return random_task(
        f"task-{number:05d}", encoder, classes=CLASSES, vectors=VECTORS, images=IMAGES
    )


def _accuracy(task: RandomTask) -> registry.TaskAccuracy:
    images = len(task.features)
    return registry.TaskAccuracy(task=task.submission.task, accuracy=1 / 3, images=images)


def _learnt(store: RecordingStore, encoder: Encoder, size: int) -> Measured:
    """Publish the last four of `size` tasks: all anew, by a new process, and by the same twice."""
    publisher = Publisher(encoder, store, Versions(store))
    store.delete("measured/main")
    found: Measured = []
    for place, what in enumerate(
        (
            "published, all measured anew",
            "published, by a new process",
            "published, the next task",
        )
    ):
        task = _task(encoder, size - 4 + place)
        task.store_features(store)
        if place == 1:
            publisher = Publisher(encoder, store, Versions(store))
        assignment = begun(publisher, store, task)
        _, cost = _cost(store, partial(publisher.publish, assignment, now=2.0))
        found.append((f"{what}, {size:,} tasks", cost, None))
    task = _task(encoder, size - 1)
    task.store_features(store)
    _, cost = _cost(store, lambda: task.commit(store))
    return [*found, (f"commit, {size:,} tasks", cost, None)]


def _looked_at(store: RecordingStore, folder: Path, size: int) -> Measured:
    """Look at the adapter as the client's verbs do, each in a process that remembers nothing."""

    def main_of() -> registry.RegisteredAdapter:
        return Registry(store).adapter("main")

    def client() -> Client:
        return Client(Config(store=f"file://{folder}"), store=store)

    def page() -> list[PublishedVersion]:
        # As documents, each with all of its tasks, as the command prints them.
        return DocumentClient(client()).versions("main", limit=PAGE)

    head = main_of().resolve("head")
    verbs: list[tuple[str, Callable[[], object], float | None]] = [
        (f"history, a page of {PAGE}", lambda: list(islice(main_of().history(), PAGE)), 1.0),
        ("history, all", lambda: list(main_of().history()), None),
        ("show", lambda: registry.read_version(main_of(), "head"), 1.0),
        ("diff", lambda: registry.diff(main_of(), head - 1, head), 1.0),
        (f"versions, a page of {PAGE}", page, 1.0),
        ("versions, all", lambda: registry.read_versions(main_of()), None),
        ("gc, only looking", lambda: client().gc(), None),
        ("verify", lambda: client().verify(), None),
    ]
    return [
        (f"{what}, {size:,} tasks", _cost(store, verb)[1], most_s) for what, verb, most_s in verbs
    ] + [(f"bare reading of all bytes, {size:,} tasks", _cost(store, lambda: _all(store))[1], None)]


def _all(store: ObjectStore) -> int:
    """Read every byte of the adapter: the limit of `verify`."""
    return sum(len(store.get(listed.key).data) for listed in store.list("adapters/main/"))


def _queued(folder: Path) -> Measured:
    store = RecordingStore(FileStore(folder))
    tickets = []
    for number in range(QUEUED):
        entry = replace(submission(f"task-{number}"), accepted_at=float(number))
        store.put(entry.key, entry.to_bytes())
        tickets.append(ticket_of(entry))
    lead = take_leadership(store, owner="bench", host="bench", ttl_s=0.0, now=0.0)
    Ledger(store, lead).save(tickets, now=time.time())

    def restarted() -> Queue:
        lead = take_leadership(store, owner="bench", host="bench", ttl_s=3600, now=time.time())
        queue = Queue(Limits())
        for ticket in recovered(store, Ledger(store, lead).tickets).tickets:
            queue.apply(Accepted(ticket=ticket), now=0.0)
        queue.decide(now=1e12)
        return queue

    queue, restart = _cost(store, restarted)
    assert len(queue.tickets) == QUEUED, len(queue.tickets)
    _, look = _cost(store, lambda: read_queue(store))
    return [
        (f"restart, {QUEUED:,} open submissions", restart, 10.0),
        (f"status, {QUEUED:,} open submissions", look, 1.0),
    ]


def _cost(store: RecordingStore, call: Callable[[], Result]) -> tuple[Result, Cost]:
    store.reset()
    started = time.process_time()
    result = call()
    return result, Cost(
        requests=sum(store.operations.values()),
        seconds=time.process_time() - started,
        received=store.received,
        sent=store.sent,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
