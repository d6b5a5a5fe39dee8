"""Opening and following versions of a thousand tasks: `python -m benchmarks.scale_opening`.

Records of LADA are random, of ten classes with 16 memory vectors. What a replica does is done here
in a process that has just begun, as a replica's has, and its CPU time stands beside that of reading
and checking the same bytes in another one: the least of several times each, since all that others
do on the machine only adds to them. Once from a folder, whose bytes are in the memory of the
system, and once from an S3 server on this machine, whose own time does not count.
`python -m benchmarks.scale_opening 10 100` measures versions of so many tasks alone.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch.nn.functional import normalize

from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from benchmarks.opening_apart import TIMES, least, production, timed
from benchmarks.random_records import WIDTH, publish_random
from benchmarks.table import Row, report
from cluster.stores.open import open_store
from tests.support.drivers.s3_server import seaweedfs
from tests.support.fakes.named_tower import NamedTower
from tests.support.scenes.serving import FINGERPRINT
from workers.registry import Registry
from workers.registry.record_cache import Versions
from workers.serving.version_cache import LoadedVersion, VersionCache
from workers.store import FileStore, ObjectStore

CLASSES = 10
TASKS = (10, 100, 1000)
FORMATS: tuple[MemoryFormat, ...] = ("float32", "bfloat16")
OF_READING = 1.2
FOLDER, S3 = "a folder", "S3"


def figures(sizes: Sequence[int] = TASKS) -> Iterator[Row]:
    """Yield what opening and following take at so many tasks."""
    for tasks in sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = FileStore(Path(folder) / "store")
            _publish(store, range(tasks))
            yield from _opened(store.url, {}, tasks, FOLDER)
            yield from _followed(store, tasks)
        with tempfile.TemporaryDirectory() as folder:
            server = seaweedfs(Path(folder))
            if server is None:
                yield Row(figure="from S3", value="not measured: there is no S3 server")
                continue
            server.start()
            try:
                url, environment = server.settings.url, dict(server.environment)
                _publish(open_store(url, environment=environment), range(tasks))
                yield from _opened(url, environment, tasks, S3)
            finally:
                server.stop()


def _opened(url: str, environment: Mapping[str, str], tasks: int, source: str) -> Iterator[Row]:
    title = f"{tasks:,} tasks of {CLASSES} classes, from {source}"
    read = least(url, environment, "read")
    yield Row(figure=f"{title}: bytes of records", value=read.size / 1e6, unit="MB")
    yield Row(figure=f"{title}: read and checked", value=read.cpu_ms, unit="ms")
    yield Row(figure=f"{title}: read and checked, by the clock", value=read.clock_ms, unit="ms")
    yield Row(figure=f"{title}: read and kept", value=read.resident / 1e6, unit="MB")
    floor = least(url, environment, "floor")
    figure = f"{title}: read, digested and copied once, the least for opening"
    yield Row(figure=figure, value=floor.cpu_ms, unit="ms")
    for kept in FORMATS if source == FOLDER else FORMATS[:1]:
        ready = least(url, environment, kept)
        share = ready.cpu_ms / read.cpu_ms
        judged = tasks == max(TASKS)
        yield Row(figure=f"{title}: ready, {kept}", value=ready.cpu_ms, unit="ms")
        yield Row(figure=f"{title}: ready, {kept}, by the clock", value=ready.clock_ms, unit="ms")
        yield Row(figure=f"{title}: in memory, {kept}", value=ready.resident / 1e6, unit="MB")
        yield Row(
            figure=f"{title}: ready, {kept}, of reading",
            value=share,
            bar=f"at most {OF_READING}" if judged else None,
            holds=share <= OF_READING if judged else None,
        )
        yield Row(figure=f"{title}: ready, {kept}, of the least", value=ready.cpu_ms / floor.cpu_ms)


def _followed(store: ObjectStore, tasks: int) -> Iterator[Row]:
    title, number = f"{tasks:,} tasks of {CLASSES} classes", tasks
    for kept in FORMATS:
        placement = Placement(memory=kept)
        cache = VersionCache(Versions(store), base=NamedTower(FINGERPRINT), placement=placement)
        loaded = cache.load("main", production(store))
        _ask(loaded)
        following_ms, first_ms = float("inf"), float("inf")
        for _ in range(TIMES):
            _publish(store, [number])
            number += 1
            ref = production(store)
            taken_ms, loaded = timed(lambda: cache.load("main", ref))  # noqa: B023
            following_ms = min(following_ms, taken_ms)
            first_ms = min(first_ms, timed(lambda: _ask(loaded))[0])  # noqa: B023
        yield Row(figure=f"{title}: one more followed, {kept}", value=following_ms, unit="ms")
        yield Row(figure=f"{title}: its first answer, {kept}", value=first_ms, unit="ms")


def _ask(loaded: LoadedVersion) -> None:
    asked = normalize(torch.randn(1, WIDTH), dim=-1)
    loaded.adapter.score(asked, encoder=FINGERPRINT, logit_scale=100.0)


def _publish(store: ObjectStore, numbers: Sequence[int]) -> None:
    registry = Registry(store)
    adapter = registry.adapter("main") if "main" in registry.adapters() else registry.create("main")
    publish_random(adapter, numbers, classes=CLASSES, encoder=FINGERPRINT)


def main(arguments: Sequence[str]) -> int:
    """Measure everything, print the table, and return the exit code."""
    torch.set_num_threads(1)
    return report("scale_opening", list(figures(tuple(map(int, arguments)) or TASKS)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
