"""Cost of the console: `make bench-console`.

1. The first bytes of pages at 10,000 submissions and 500 versions, from `nacre console`.
2. How long after a change in the store it is in the events of an open page.
3. What 200 open pages read of the store in a while, beside what one does.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from benchmarks.table import Row, report
from cluster.client.client import Client
from cluster.config import Config, ServeConfig
from tests.support.drivers.console_site import ConsoleSite
from tests.support.drivers.operations import CountingStore
from tests.support.drivers.s3_server import free_port
from tests.support.scenes.registry import ANNA, BOTH, adapter, addition
from tests.support.scenes.submissions import submission
from tests.support.scenes.tickets import write_tickets
from workers.queue.progress import ticket_of
from workers.queue.ticket import Stage, Ticket
from workers.registry import AddRecord, DropTask
from workers.store import FileStore, ObjectStore

QUEUED, VERSIONS, TASKS = 10_000, 500, 20
ASKED, CHANGED, VIEWERS = 30, 8, 200
WATCHED_S = 8.0
FIRST_BYTES_MS, CHANGE_S = 200.0, 1.5
MORE_READS = 1.1
PAGES = {
    "overview": "",
    "queue": "/queue",
    "queue, one stage": "/queue?stage=waiting&from=5000",
    "versions": "/adapters/main/versions",
    "accuracy": "/adapters/main/matrix",
    "history": "/history",
}


def main() -> int:
    """Measure everything, print the table, and return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        store = FileStore(Path(name) / "store")
        _fill(store)
        with _console(store) as url:
            rows = [*_pages(url), *_changes(url, store)]
        rows += _viewers(store)
    return report("console", rows)


def _fill(store: ObjectStore) -> None:
    """Publish versions of twenty tasks, each taking the place of its last one, and fill a queue."""
    target = adapter(store)
    for number in range(VERSIONS):
        task, head = f"task-{number % TASKS}", target.refs().find("head")
        commit = addition(task, parent=head.number if head else None, aliases=BOTH)
        (added,) = commit.updates
        assert isinstance(added, AddRecord)
        kept = replace(added, submission=f"{task}-{number:012x}")
        dropped = (DropTask(task=task),) if number >= TASKS else ()
        target.commit(
            replace(commit, updates=(*dropped, kept), requirements=commit.requirements[1:]), by=ANNA
        )
    write_tickets(store, [_ticket(number) for number in range(QUEUED)])


def _ticket(number: int, stage: Stage | None = None) -> Ticket:
    made = submission(f"queued-{number}", accepted_at=time.time() - QUEUED + number)
    found = stage or (Stage.PUBLISHED if number % 4 == 0 else Stage.WAITING)
    return replace(ticket_of(made), stage=found, since=made.accepted_at)


@contextmanager
def _console(store: ObjectStore) -> Iterator[str]:
    port = free_port()
    environment = {**os.environ, "NACRE_STORE": store.url}
    environment.pop("NACRE_TOKEN", None)
    command = [sys.executable, "-m", "cluster.cli", "console", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}/console"
        try:
            _wait_for(url)
            yield url
        finally:
            process.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            httpx.get(url, timeout=120).raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _pages(url: str) -> list[Row]:
    rows = []
    with httpx.Client(timeout=60) as client:
        for name, path in PAGES.items():
            taken = []
            for _ in range(ASKED):
                begun = time.perf_counter()
                with client.stream("GET", f"{url}{path}") as answer:
                    next(answer.iter_raw())
                    taken.append(1000 * (time.perf_counter() - begun))
                    answer.raise_for_status()
            median = statistics.median(taken)
            rows.append(
                Row(
                    figure=f"{QUEUED:,} submissions, {VERSIONS} versions: first bytes, {name}",
                    value=median,
                    unit="ms",
                    bar=f"below {FIRST_BYTES_MS:g}",
                    holds=median < FIRST_BYTES_MS,
                )
            )
    return rows


def _changes(url: str, store: ObjectStore) -> list[Row]:
    """Change the queue and move an alias, and look when an open page hears of it."""
    client = Client(Config(store=store.url, serve=ServeConfig(port=1)), store=store, by="bench")
    taken = []
    for number in range(CHANGED):
        page, word = f"/console/queue?q=changed-{number}", f"changed-{number}"
        ticket = replace(_ticket(QUEUED + number, Stage.WAITING), task=word)
        taken.append(_heard(url, page, word, lambda ticket=ticket: write_tickets(store, [ticket])))
        page, word = "/console/history", f"moved-{number}"
        taken.append(
            _heard(
                url,
                page,
                word,
                lambda word=word: client.alias(
                    "canary", int(word.rpartition("-")[2]) + 1, why=word
                ),
            )
        )
    worst = max(taken)
    return [
        Row(figure="a change on an open page, median", value=statistics.median(taken), unit="s"),
        Row(
            figure="a change on an open page, the slowest",
            value=worst,
            unit="s",
            bar=f"below {CHANGE_S:g}",
            holds=worst < CHANGE_S,
        ),
    ]


def _heard(url: str, page: str, word: str, change: object) -> float:
    """Return how long after a change its word is in the events of a page, in seconds."""
    assert callable(change)
    with httpx.stream("GET", f"{url}/events", params={"page": page}, timeout=60) as answer:
        lines = answer.iter_lines()
        for line in lines:
            if line == "event: at":
                break
        change()
        begun = time.perf_counter()
        for line in lines:
            if word in line and not line.startswith("event"):
                break
        return time.perf_counter() - begun


def _viewers(store: ObjectStore) -> list[Row]:
    reads = {count: _reads_of(store, count) for count in (1, VIEWERS)}
    ratio = reads[VIEWERS] / reads[1]
    return [
        Row(figure="one open page: operations of the store", value=reads[1], unit="per s"),
        Row(figure=f"{VIEWERS} open pages: the same", value=reads[VIEWERS], unit="per s"),
        Row(
            figure="ratio",
            value=ratio,
            bar=f"at most {MORE_READS:g}",
            holds=ratio <= MORE_READS,
        ),
    ]


def _reads_of(store: ObjectStore, viewers: int) -> float:
    """Return how many operations of the store open pages cost in a second."""
    counting = CountingStore(store)
    config = Config(store=store.url, serve=ServeConfig(port=1))
    with ConsoleSite(config, store=counting) as site:
        return asyncio.run(_watched(site, counting, viewers))


async def _watched(site: ConsoleSite, counting: CountingStore, viewers: int) -> float:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        await client.get(f"{site.url}/queue")
        open_now = asyncio.Semaphore(0)

        async def view() -> None:
            page = {"page": "/console/queue"}
            async with client.stream("GET", f"{site.url}/events", params=page) as answer:
                async for line in answer.aiter_lines():
                    if line == "event: at":
                        open_now.release()

        looking = [asyncio.create_task(view()) for _ in range(viewers)]
        for _ in range(viewers):
            await open_now.acquire()
        before, begun = counting.seen.total(), time.monotonic()
        await asyncio.sleep(WATCHED_S)
        after, took_s = counting.seen.total(), time.monotonic() - begun
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
    return (after - before) / took_s


if __name__ == "__main__":
    raise SystemExit(main())
