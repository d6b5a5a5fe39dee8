"""How long it takes until a webhook is told: `make bench-events`.

A coordinator with its usual intervals, in this process, on a store in a folder; a real receiver on
loopback, asked over real connections.

1. From a task's having failed for good to the request about it; from an alias's having been moved
   by somebody else to the request about that.
2. Two hundred events that have waited for a receiver: how many a second it is told of them.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from adapters.errors import InputError
from benchmarks.table import Row, report
from cluster.client.client import Client
from cluster.config import Config
from tests.support.drivers.receiving import HttpReceiver, Request, receiver, yes
from tests.support.drivers.telling import permitted, telling
from tests.support.scenes.registry import learn
from tests.support.scenes.submissions import announced, submission
from workers.coordination.settings import Intervals
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.queue.progress import find_state
from workers.registry import Author, Registry
from workers.store import FileStore

MEASURED = 10
WAITING = 200
MOST_S = 2.0


def main() -> None:
    """Measure, and end with 1 where a bar does not hold."""
    torch.set_num_threads(1)
    encoder = Encoder(EncoderSettings())
    sys.exit(report("events", [*heard(encoder), *caught_up(encoder)]))


def heard(encoder: Encoder) -> list[Row]:
    """Return how long it takes to hear of a failed task, and of a moved alias."""
    with tempfile.TemporaryDirectory() as folder, receiver(yes) as running:
        store = FileStore(folder)
        client = registered(store, running)
        learn(Registry(store).create("main"), "birds", "boats")
        failed, moved = [], []
        events = permitted(running.url)
        with telling(store, encoder, events, intervals=Intervals(), poll_s=0.5) as crew:
            running.until(lambda requests: len(requests) == 2)
            for number in range(MEASURED):
                entry = submission(f"task-{number}")
                crew.raises["embed", entry.task] += [InputError("no such birds")]
                announced(store, replace(entry, accepted_at=time.time()))
                at = arrival(running, lambda event: event["type"] == "submission.failed", number)
                ticket = find_state(store, entry.submission_id).ticket
                failed.append(at - ticket.failures[-1].at)
            for number in range(MEASURED):
                client.alias("canary", 1 + number % 2)
                began = time.time()
                at = arrival(running, lambda event: event["type"] == "alias.moved", number)
                moved.append(at - began)
    return [*rows("from a failed task to its event", failed), *rows("from a moved alias", moved)]


def caught_up(encoder: Encoder) -> list[Row]:
    """Return how fast a receiver is told what has waited for it."""
    with tempfile.TemporaryDirectory() as folder, receiver(yes) as running:
        store = FileStore(folder)
        main = Registry(store).create("main")
        learn(main, "birds", "boats")
        registered(store, running)
        for number in range(WAITING):
            by = Author(who="anna", why="", now=time.time())
            main.alias("canary", 1 + number % 2, by=by)
        began = time.perf_counter()
        with telling(store, encoder, permitted(running.url), intervals=Intervals(), poll_s=0.5):
            running.until(lambda requests: len(requests) >= WAITING)
        rate = WAITING / (time.perf_counter() - began)
    return [Row(figure=f"{WAITING} events that have waited", value=round(rate), unit="events/s")]


def registered(store: FileStore, running: HttpReceiver) -> Client:
    """Register the receiver as a webhook, and return the client."""
    config = Config(store=store.url, events=permitted(running.url))
    client = Client(config, by="anna", store=store)
    client.add_webhook("receiver", running.url)
    return client


def arrival(
    running: HttpReceiver, wanted: Callable[[dict[str, object]], bool], number: int
) -> float:
    """Return when request `number`, from 0, of those that are `wanted` came, in epoch seconds."""

    def found(requests: list[Request]) -> list[Request]:
        return [each for each in requests if wanted(json.loads(each.body))]

    running.until(lambda requests: len(found(requests)) > number)
    return found(running.requests)[number].at


def rows(figure: str, seconds: list[float]) -> list[Row]:
    """Return the median and the worst of some times, which is judged."""
    worst = max(seconds)
    return [
        Row(
            figure=f"{figure}, median of {len(seconds)}", value=statistics.median(seconds), unit="s"
        ),
        Row(
            figure=f"{figure}, worst",
            value=worst,
            unit="s",
            bar=f"below {MOST_S:g} s",
            holds=worst < MOST_S,
        ),
    ]


if __name__ == "__main__":
    main()
