"""Versions of random records, and replicas that follow them: what is learnt does not matter."""

import threading
from collections.abc import Callable
from contextlib import suppress

from adapters.contract.records import Record, encode_record
from adapters.errors import NacreError
from tests.support.fakes.named_tower import NamedTower
from tests.support.fakes.random_records import random_record
from tests.support.scenes.registry import ANNA, BOTH
from workers.registry import AddRecord, Commit, Inline, RegisteredAdapter, VersionRef
from workers.registry.record_cache import Versions
from workers.serving.follower import Follower
from workers.serving.version_cache import VersionCache
from workers.store import ObjectStore
from workers.store.testing import Fault, FaultyStore, RecordingStore, WrappedStore

FINGERPRINT = "ab" * 32
TIMEOUT_S = 180.0
"""So long a thread is waited for that should have come long ago."""


class Clock:
    """Seconds that go on when somebody says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def small_record(task: str, *, encoder: str = FINGERPRINT) -> Record:
    """Return a record of three classes whose features have width 8."""
    seed = int.from_bytes(task.encode()) % 2**31
    return random_record(task, encoder=encoder, width=8, classes=3, vectors=2, seed=seed, noun=task)


def adding(record: Record) -> AddRecord:
    """Return the update of a version that adds a record."""
    return AddRecord(
        task=record.task,
        submission=f"{record.task}-0123456789ab",
        record=Inline(encode_record(record)),
        classes=len(record.classes),
    )


def publish(
    adapter: RegisteredAdapter, *tasks: str | Record, aliases: tuple[str, ...] = BOTH
) -> VersionRef:
    """Publish a version for each task, given by its record or its name; return the last one."""
    for task in tasks:
        record = task if isinstance(task, Record) else small_record(task)
        commit = Commit(
            updates=(adding(record),),
            encoder=record.encoder,
            method="lada",
            settings={},
            aliases=aliases,
        )
        number = adapter.commit(commit, by=ANNA).number
    return adapter.version(number)


def records_read(store: RecordingStore) -> int:
    """Return how many records have been read from `store`."""
    return sum("/records/" in key for _, key in store.keys)


class TamperedStore(WrappedStore):
    """A way to a store on which a bit of every record is turned over.

    Attributes:
        honest: Whether it is not, for once.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.honest = False

    def get_range(self, key: str, start: int, length: int) -> bytes:
        data = super().get_range(key, start, length)
        if self.honest or "/records/" not in key:
            return data
        return bytes([data[0] ^ 1]) + data[1:]


class HeldStore(WrappedStore):
    """Holds up whoever reads an object until it is let go.

    Args:
        inner: The store that does the work.
        part: Of the keys of the objects that this is about.
        operation: That is held up.

    Attributes:
        holds: Whether it does so now.
        reached: Set when the first one has come.
        go: Set by the test.
    """

    def __init__(self, inner: ObjectStore, part: str, *, operation: str = "get_range") -> None:
        super().__init__(inner)
        self._part = part
        self._operation = operation
        self.holds = True
        self.reached = threading.Event()
        self.go = threading.Event()

    def after(self, operation: str, key: str, sent: int, received: int) -> None:
        del sent, received
        if self.holds and operation == self._operation and self._part in key:
            self.reached.set()
            assert self.go.wait(TIMEOUT_S)


class Replica:
    """A follower of `main` with a cache of its own, and a way to the store that can be cut.

    Args:
        store: Where everything is.

    Attributes:
        away: Whether the store cannot be reached.
        told: Whether calls reach it.
        store: Counts what it asks.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.away = False
        self.told = True
        self.clock = Clock()
        cut = FaultyStore(store, lambda *_: Fault.FAIL if self.away else None)
        self.store = RecordingStore(cut)
        self.versions = Versions(self.store)
        self.cache = VersionCache(self.versions, base=NamedTower(FINGERPRINT), most=3)
        self.follower = Follower(self.cache, self.versions, adapter="main", clock=self.clock)

    @property
    def label(self) -> str:
        """What answers."""
        return self.follower.current.label


class Replicas:
    """An audience of replicas in this process; what goes wrong with one is its own affair."""

    def __init__(self, *replicas: Replica) -> None:
        self.replicas = replicas

    def prepare(self, adapter: str, version: VersionRef) -> None:
        """See `Audience`."""
        self._tell(adapter, lambda follower: follower.prepare(version))

    def follow(self, adapter: str, serial: int) -> None:
        """See `Audience`."""
        self._tell(adapter, lambda follower: follower.follow(serial))

    def _tell(self, adapter: str, what: Callable[[Follower], object]) -> None:
        assert adapter == "main"
        for replica in self.replicas:
            if replica.told:
                with suppress(NacreError):
                    what(replica.follower)
