"""Opening a version in a process that has just begun, as a replica's has, or only reading it.

What opens is forked from a process that has imported everything and done nothing else, so that
memory is given anew. It is had and given back once before that: a virtual machine may first have to
get it from its host, which takes several times as long as everything else.
"""

import gc
import hashlib
import mmap
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from adapters.contract.records import decode_record, encode_record
from adapters.contract.tiles import PAGE, room_for
from benchmarks.random_records import random_record
from cluster.stores.open import open_store
from tests.support.fakes.named_tower import NamedTower
from tests.support.scenes.serving import FINGERPRINT
from workers.registry import Registry, VersionRef
from workers.registry.documents.layout import Kind, object_key
from workers.registry.record_cache import Versions
from workers.serving.version_cache import VersionCache
from workers.store import ObjectStore

TIMES = 4
GIVEN = 2**20
"""Bytes that are had before, at a time; as many in all as twice the records have."""

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


Work = MemoryFormat | Literal["read", "floor"]
"""Opening with memory in a format; only reading and checking; or what no opening can do without."""


def least(url: str, environment: Mapping[str, str], kept: Work) -> Taken:
    """Return the least that `_work` took in processes that have just begun."""
    taken = [_apart(url, environment, kept) for _ in range(TIMES)]
    return Taken(
        cpu_ms=min(each.cpu_ms for each in taken),
        clock_ms=min(each.clock_ms for each in taken),
        resident=min(each.resident for each in taken),
        size=taken[0].size,
    )


def _apart(url: str, environment: Mapping[str, str], kept: Work) -> Taken:
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


def _work(there: Connection, url: str, environment: Mapping[str, str], kept: Work) -> None:
    """Open `production` with memory in the format `kept`, or do the part of it that is named."""
    torch.set_num_threads(1)
    _warm()
    store = open_store(url, environment=environment)
    ref = production(store)
    tasks = Registry(store).adapter("main").manifest("production").tasks
    work: Callable[[], object] = _floor(store) if kept == "floor" else _reading(store)
    if kept in get_args(MemoryFormat):
        placement = Placement(memory=cast("MemoryFormat", kept))
        cache = VersionCache(Versions(store), base=NamedTower(FINGERPRINT), placement=placement)
        work = partial(cache.load, "main", ref)
    _have(2 * sum(task.record.size for task in tasks))
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


def _have(size: int) -> None:
    """Have so much memory, and give it back."""
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for start in range(0, size - GIVEN, GIVEN):
            memory[start : start + GIVEN] = bytes(GIVEN)


def _floor(store: ObjectStore) -> Callable[[], list[Tensor]]:
    """Return what reads the records of `production`, makes their digests, and copies them once."""
    keys = [
        object_key("main", Kind.RECORD, task.record)
        for task in Registry(store).adapter("main").manifest("production").tasks
    ]

    def work() -> list[Tensor]:
        rooms, filled = list[Tensor](), PAGE
        for key in keys:
            data = store.get_range(key, 0, PAGE)
            hashlib.sha256(data).digest()
            if filled + len(data) > PAGE:
                rooms.append(room_for((PAGE,), torch.uint8, torch.device("cpu")))
                filled = 0
            end = filled + len(data)
            rooms[-1][filled:end] = torch.frombuffer(data, dtype=torch.uint8)
            filled = end
        return rooms

    return work


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
