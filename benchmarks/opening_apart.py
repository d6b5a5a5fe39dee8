"""Opening a version in a process that has just begun, as a replica's has, or only reading it.

What opens is forked from a process that has imported everything and done nothing else, so that
memory is given anew.
"""

import gc
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar, get_args

import torch

from adapters.adapter import Adapter
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from adapters.contract.records import decode_record, encode_record
from benchmarks.random_records import random_record
from cluster.stores.open import open_store
from tests.support.fakes.named_tower import NamedTower
from tests.support.scenes.serving import FINGERPRINT
from workers.registry import Registry, VersionRef
from workers.registry.record_cache import Versions
from workers.serving.version_cache import VersionCache
from workers.store import ObjectStore

TIMES = 4

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What work took.

    Attributes:
        cpu_ms: CPU time of all threads.
        clock_ms: Time by the clock.
        resident: Bytes by which the process has grown.
        size: Bytes of the records.
    """

    cpu_ms: float
    clock_ms: float
    resident: int
    size: int


def least(url: str, environment: Mapping[str, str], kept: MemoryFormat | None) -> Taken:
    """Return the least that `_work` took in processes that have just begun."""
    taken = [_apart(url, environment, kept) for _ in range(TIMES)]
    return Taken(
        cpu_ms=min(each.cpu_ms for each in taken),
        clock_ms=min(each.clock_ms for each in taken),
        resident=min(each.resident for each in taken),
        size=taken[0].size,
    )


def _apart(url: str, environment: Mapping[str, str], kept: MemoryFormat | None) -> Taken:
    # Forked from a process that has imported everything and done nothing else.
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([_work.__module__])
    here, there = server.Pipe(duplex=False)
    child = server.Process(target=_work, args=(there, url, dict(environment), kept))
    child.start()
    there.close()
    try:
        found: Taken = here.recv()
    finally:
        child.join()
    return found


def _work(
    there: Connection, url: str, environment: Mapping[str, str], kept: MemoryFormat | None
) -> None:
    """Open `production` with memory in the format `kept`; only read it where that is None."""
    torch.set_num_threads(1)
    _warm()
    store = open_store(url, environment=environment)
    ref = production(store)
    tasks = Registry(store).adapter("main").manifest("production").tasks
    placement = Placement(memory=kept or "float32")
    cache = VersionCache(Versions(store), base=NamedTower(FINGERPRINT), placement=placement)
    opening: Callable[[], object] = lambda: cache.load("main", ref)  # noqa: E731
    work = opening if kept else _reading(store)
    before, clock = _resident_bytes(), time.perf_counter()
    cpu_ms, held = timed(work)
    taken = Taken(
        cpu_ms=cpu_ms,
        clock_ms=1e3 * (time.perf_counter() - clock),
        resident=_resident_bytes() - before,
        size=sum(task.record.size for task in tasks),
    )
    there.send(taken)
    del held


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _warm() -> None:
    """Do once what a process does once, such as making what reads a description."""
    record = random_record(0, classes=10, encoder=FINGERPRINT)
    decoded = decode_record(encode_record(record))
    for kept in get_args(MemoryFormat):
        Adapter([decoded] * 2, placement=Placement(memory=kept)).extended_by([decoded])


def production(store: ObjectStore) -> VersionRef:
    return Registry(store).adapter("main").version("production")


def _reading(store: ObjectStore) -> Callable[[], list[bytes]]:
    """Return what reads and checks the records of `production`, and keeps them."""
    handle = Registry(store).adapter("main")
    tasks = handle.manifest("production").tasks
    return lambda: [content for _, content in handle.records(tasks)]


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the milliseconds of CPU that `work` takes in all threads, and what it returns."""
    started = time.process_time()
    result = work()
    return 1e3 * (time.process_time() - started), result
