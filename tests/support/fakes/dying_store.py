"""Stores under which a process dies at one of its writes, and what is left of them."""

from collections.abc import Callable, Iterator

import pytest

from cluster.client.client import Client
from cluster.config import Config
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import CrashError, Fault, FaultyStore, RecordingStore

WRITES = ("put", "create", "replace", "delete")


def copy_of(store: ObjectStore) -> MemoryStore:
    """Return a store with the same objects."""
    copied = MemoryStore()
    for listed in store.list(""):
        copied.put(listed.key, store.get(listed.key).data)
    return copied


def killed_at_every_write(
    before: ObjectStore, verb: Callable[[Client], object], config: Config
) -> Iterator[tuple[str, MemoryStore]]:
    """Yield stores in which `verb` was called, killed before one of its writes, and called again.

    The first is one in which nobody was killed. With each comes the write.
    """
    whole = copy_of(before)
    recording = RecordingStore(whole)
    verb(Client(config, by="anna", store=recording))
    done = [f"{verb} {key}" for verb, key in recording.keys if verb in WRITES]
    yield "", whole
    for number, write in enumerate(done):
        store, seen = copy_of(before), iter(range(len(done)))

        def script(_number: int, operation: str, _key: str) -> Fault | None:
            return Fault.CRASH if operation in WRITES and next(seen) == number else None  # noqa: B023

        with pytest.raises(CrashError):
            verb(Client(config, by="anna", store=FaultyStore(store, script)))
        verb(Client(config, by="anna", store=store))
        yield write, store
