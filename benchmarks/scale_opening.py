"""Opening and following versions of a thousand tasks: `python -m benchmarks.scale_opening`.

Records of LADA are random, of ten classes with 16 memory vectors. A replica's steps are done here
one after the other on one thread, and their CPU time stands beside that of reading the same bytes:
the least of several times each, since all that others do on the machine only adds to them.
`python -m benchmarks.scale_opening 10 100` measures versions of so many tasks alone.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch.nn.functional import normalize

from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from benchmarks.random_records import VECTORS, WIDTH, publish_random
from benchmarks.table import Row, report
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry import Registry, VersionRef
from workers.registry.record_cache import Versions
from workers.serving.version_cache import LoadedVersion, VersionCache
from workers.store import FileStore, ObjectStore

CLASSES = 10
TASKS = (10, 100, 1000)
FORMATS: tuple[MemoryFormat, ...] = ("float32", "bfloat16")
OF_READING = 1.2
TIMES = 4

Result = TypeVar("Result")


def figures(sizes: Sequence[int] = TASKS) -> Iterator[Row]:
    """Yield what opening and following take at so many tasks."""
    encoder = Encoder(EncoderSettings())
    for tasks in sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = FileStore(Path(folder) / "store")
            _publish(store, encoder.fingerprint, range(tasks))
            yield from _opened(store, encoder, tasks)


def _opened(store: ObjectStore, encoder: Encoder, tasks: int) -> Iterator[Row]:
    title = f"{tasks:,} tasks of {CLASSES} classes"
    touched = torch.ones(3 * tasks * CLASSES * VECTORS, WIDTH)  # memory that the machine has given
    del touched
    reading = _reading(store)
    for kept in FORMATS:
        read_ms, opening_ms = float("inf"), float("inf")
        for _ in range(TIMES):
            taken_ms, size = _timed(reading)
            read_ms = min(read_ms, taken_ms)
            versions = Versions(store)
            cache = VersionCache(
                versions, base=encoder.image_tower, placement=Placement(memory=kept)
            )
            taken_ms, loaded = _timed(lambda: cache.load("main", _production(store)))  # noqa: B023
            opening_ms = min(opening_ms, taken_ms)
        _ask(loaded, encoder)
        share = opening_ms / read_ms
        yield Row(figure=f"{title}: bytes of records", value=size / 1e6, unit="MB")
        yield Row(figure=f"{title}: read and checked, {kept}", value=read_ms, unit="ms")
        yield Row(figure=f"{title}: ready, {kept}", value=opening_ms, unit="ms")
        yield Row(
            figure=f"{title}: ready, {kept}, of reading",
            value=share,
            bar=f"at most {OF_READING}" if tasks == max(TASKS) else None,
            holds=share <= OF_READING if tasks == max(TASKS) else None,
        )
        following_ms, first_ms = float("inf"), float("inf")
        for number in range(TIMES):
            _publish(store, encoder.fingerprint, [size + number])
            ref = _production(store)
            taken_ms, loaded = _timed(lambda: cache.load("main", ref))  # noqa: B023
            following_ms = min(following_ms, taken_ms)
            first_ms = min(first_ms, _timed(lambda: _ask(loaded, encoder))[0])  # noqa: B023
        yield Row(figure=f"{title}: one more followed, {kept}", value=following_ms, unit="ms")
        yield Row(figure=f"{title}: its first answer, {kept}", value=first_ms, unit="ms")


def _ask(loaded: LoadedVersion, encoder: Encoder) -> None:
    asked = normalize(torch.randn(1, WIDTH), dim=-1)
    loaded.adapter.score(asked, encoder=encoder.fingerprint, logit_scale=encoder.logit_scale)


def _reading(store: ObjectStore) -> Callable[[], int]:
    """Return what reads and checks the records of `production`, and keeps them until it ends."""

    def read() -> int:
        handle = Registry(store).adapter("main")
        kept = [content for _, content in handle.records(handle.manifest("production").tasks)]
        return sum(map(len, kept))

    return read


def _production(store: ObjectStore) -> VersionRef:
    return Registry(store).adapter("main").version("production")


def _publish(store: ObjectStore, fingerprint: str, numbers: Sequence[int]) -> None:
    registry = Registry(store)
    adapter = registry.adapter("main") if "main" in registry.adapters() else registry.create("main")
    publish_random(adapter, numbers, classes=CLASSES, encoder=fingerprint)


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the milliseconds of CPU that `work` takes in all threads, and what it returns."""
    started = time.process_time()
    result = work()
    return 1e3 * (time.process_time() - started), result


def main(arguments: Sequence[str]) -> int:
    """Measure everything, print the table, and return the exit code."""
    torch.set_num_threads(1)
    return report("scale_opening", list(figures(tuple(map(int, arguments)) or TASKS)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
