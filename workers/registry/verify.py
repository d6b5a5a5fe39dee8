"""Integrity check of every byte that an adapter's refs lead to."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from adapters.errors import (
    CorruptionError,
    InputError,
    MissingError,
    NotFoundError,
    SettingsError,
)
from workers.concurrency.bounded import pool_of
from workers.progress_callbacks import ProgressCallback
from workers.registry.documents.layout import refs_key
from workers.registry.documents.manifest import Manifest
from workers.registry.documents.refs import Refs
from workers.registry.objects import AdapterObjects
from workers.registry.reach import Reach, Reached, reachable
from workers.registry.reader import AdapterReader
from workers.store.base import ObjectStore
from workers.store.blobs import read_verified

THREADS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """Something in the store that is not as it was written.

    Attributes:
        key: The object.
        used_by: What needs it.
        message: What is wrong with it.
    """

    key: str
    used_by: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        objects: How many objects were checked.
        size_bytes: How many bytes they have.
        problems: What is broken; empty when all is well.
    """

    objects: int
    size_bytes: int
    problems: tuple[Damage, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is broken."""
        return not self.problems


def verify(
    store: ObjectStore,
    adapter: str,
    *,
    threads: int = THREADS,
    progress: ProgressCallback | None = None,
) -> Verification:
    """Read everything that the refs of `adapter` lead to, without caches, and check every byte.

    Records and shared states are decoded too, as a replica would, and the tensors of shared states
    must fit each other as their method says.

    Args:
        store: The object store.
        adapter: The adapter's name.
        threads: How many objects are read at once.
        progress: Called with objects checked so far, and objects to check.

    Raises:
        NotFoundError: There is no such adapter.
        UnavailableError: The store cannot be reached.
    """
    objects = AdapterObjects(store, adapter, remembered=0)
    try:
        refs = objects.refs()
    except CorruptionError as error:
        problem = Damage(key=refs_key(adapter), used_by="everything", message=error.message)
        return Verification(objects=1, size_bytes=0, problems=(problem,))
    unreadable: list[Damage] = []

    def note(used_by: str, error: CorruptionError | MissingError) -> None:
        unreadable.append(Damage(key=refs_key(adapter), used_by=used_by, message=error.message))

    reach = reachable(AdapterReader(objects), refs, on_broken=note)
    broken, absent = _checked(store, reach, threads, progress)
    return Verification(
        objects=len(reach.objects) + 1 - absent,
        size_bytes=sum(each.stored.size for each in reach.objects.values() if each.stored),
        # A document is unreadable because its bytes are broken, or else it never was right.
        problems=tuple(broken or unreadable or _misled(refs, reach)),
    )


def _checked(
    store: ObjectStore, reach: Reach, threads: int, progress: ProgressCallback | None
) -> tuple[list[Damage], int]:
    """Return what is wrong with everything that was not read on the way to it.

    The number is of what may be absent, and is.
    """
    problems, absent = list[Damage](), 0
    objects = [found for found in reach.objects.values() if found.key not in reach.checked]
    done = len(reach.objects) - len(objects)
    with pool_of(threads) as pool:
        for number, found in enumerate(pool.map(partial(_check, store), objects), done + 1):
            if isinstance(found, Damage):
                problems.append(found)
            absent += found is None
            if progress:
                progress(number, len(reach.objects))
    return problems, absent


def _check(store: ObjectStore, reached: Reached) -> Damage | Reached | None:
    """Return what is wrong with an object, or the object, or None where it may be absent and is."""
    try:
        stored = reached.stored
        if stored is not None:
            content = store.patience.ask(
                lambda: read_verified(store, reached.key, stored.ref),
                key=reached.key,
                url=store.url,
                because=f"{reached.used_by} needs it",
            )
            _check_content(content, reached)
        elif reached.reads is not None:
            try:
                content = store.get(reached.key).data
            except NotFoundError:
                return None  # nothing was measured
            reached.reads(content, repr(reached.key))
    # InputError also of what the store cannot read, such as a loop of links.
    except (CorruptionError, MissingError, InputError) as error:
        return Damage(key=reached.key, used_by=reached.used_by, message=error.message)
    return reached


def _check_content(content: bytes, reached: Reached) -> None:
    """Raise CorruptionError where `content` is no record or no state, as it should be."""
    # Records need torch, which takes a second to load: not where versions are only looked up.
    from adapters.contract.records import decode_record

    if reached.shared_by is not None:
        _check_shared(content, reached.key, reached.shared_by)
    if reached.task and (found := decode_record(content).task) != reached.task:
        raise CorruptionError(
            f"{reached.key!r} is the record of task {found!r}, and a version holds it as that of "
            f"{reached.task!r}; roll back to a version without it",
            key=reached.key,
        )


def _check_shared(content: bytes, key: str, manifest: Manifest) -> None:
    from adapters.contract.adapter_state import decode_shared
    from adapters.methods import method_named

    shared = decode_shared(content)
    expected, found = (manifest.method, manifest.encoder), (shared.method, shared.encoder)
    if found != expected:
        raise CorruptionError(
            f"{key!r} is the shared state of a version of {expected[0]!r} on encoder "
            f"{expected[1]!r}, and says that it was learnt by {found[0]!r} on {found[1]!r}; roll "
            "back to a version without it",
            key=key,
        )
    with suppress(SettingsError):  # a method of a package that is not installed here
        method_named(shared.method).check_shared(shared)


def _misled(refs: Refs, reach: Reach) -> Iterator[Damage]:
    """Yield what would mean that the refs were written by something else than this program."""
    for alias, version in refs.aliases.items():
        if version not in reach.published or version.number >= refs.next_version:
            yield Damage(
                key=refs_key(refs.adapter),
                used_by=f"alias {alias}",
                message=f"alias {alias!r} points to version {version.number}, which the history "
                "does not know",
            )
