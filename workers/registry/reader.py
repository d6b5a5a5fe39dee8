"""Read access to one adapter in the registry; every byte is checked against its digest."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from adapters.contract.counts import whole_number
from adapters.errors import CorruptionError, InputError, MissingError, NotFoundError
from workers.concurrency.bounded import in_threads
from workers.registry.documents.accuracy import TaskAccuracy, accuracies_from_bytes
from workers.registry.documents.answer_sheet import AnswerSheet, sheet_from_bytes
from workers.registry.documents.history import Action, Entry, find_version
from workers.registry.documents.layout import (
    Kind,
    Stored,
    accuracies_key,
    answers_key,
    object_key,
)
from workers.registry.documents.manifest import Manifest, TaskRef, VersionRef
from workers.registry.documents.purged import Tombstone
from workers.registry.documents.refs import Refs
from workers.registry.objects import AdapterObjects
from workers.registry.past import past_entries
from workers.store.patience import AT_ONCE, Patience

FETCH_THREADS = 8
FETCH_AHEAD = 16
"""Most records that are read and not asked for yet, so that what is read never piles up."""

TOGETHER = 16
"""Records that are decoded at once where they pass, and read at once from a store that is at hand.
Each time what reads descriptions has to come back into the processor's cache."""

Made = TypeVar("Made")

MOST_DIGITS = 18
"""No adapter lives to see a version of more; Python reads no more than some thousand."""


class AdapterReader:
    """Reads one adapter. Safe between threads; sees every change that others have made.

    Reads raise UnavailableError when the store cannot be reached, NotFoundError when the adapter
    does not exist, and CorruptionError, naming the object, when stored bytes are damaged.
    """

    def __init__(self, objects: AdapterObjects) -> None:
        self._objects = objects

    @property
    def name(self) -> str:
        """The adapter's name."""
        return self._objects.adapter

    @property
    def objects(self) -> AdapterObjects:
        """The adapter's objects in the store."""
        return self._objects

    def refs(self) -> Refs:
        """Return the aliases, next version number, epoch and latest history entry as of now."""
        return self._objects.refs()

    def newest_refs(self) -> Refs:
        """Return them for whoever has seen none before; see `AdapterObjects`."""
        return self._objects.newest_refs()

    def resolve(self, version: int | str) -> int:
        """Return the number of a version given by alias or number.

        Raises:
            NotFoundError: There is no such alias or version.
        """
        return self.version(version).number

    def version(self, version: int | str) -> VersionRef:
        """Return number and manifest of a version given by alias or number.

        An alias costs one read; a number that no alias points to, O(log versions) small ones.
        """
        return self.version_in(self.refs(), version)

    def version_in(self, refs: Refs, version: int | str) -> VersionRef:
        """Return what `version` was or is, as of `refs`."""
        if isinstance(version, str) and not _is_number(version):
            return refs.version(version)
        if isinstance(version, str):
            number = version_number(version)
        else:
            number = whole_number("version", version, least=None)
        for pointed in refs.aliases.values():
            if pointed.number == number:
                return pointed
        found = find_version(refs.history, number, self._objects.entry)
        if found is None:
            raise NotFoundError(
                f"adapter {self.name!r} has no version {number}; the next one will be "
                f"{refs.next_version}",
                adapter=self.name,
                version=number,
            )
        return found

    def manifest(self, version: int | str) -> Manifest:
        """Return the manifest of a version given by alias or number."""
        return self._objects.manifest(self.version(version).manifest)

    def record_bytes(self, task: TaskRef) -> bytes:
        """Return the checked bytes of a task's record, from the local cache where possible.

        Raises:
            NotFoundError: The task was purged.
            MissingError: The record is not to be found, although nobody purged it.
            CorruptionError: The record is damaged.
        """
        try:
            return self._objects.read_once(Kind.RECORD, task.record)
        except NotFoundError:
            self._check_not_purged(task.record, "its record is gone for good")
        except CorruptionError as error:
            raise of_task(task, error) from error
        because = f"a version of adapter {self.name!r} holds task {task.task!r}"
        return self._objects.read(Kind.RECORD, task.record, because=because)

    def _check_not_purged(self, blob: Stored, what: str) -> None:
        for tombstone in self.tombstones(self.refs()):
            if blob in tombstone.records:
                raise NotFoundError(
                    f"task {tombstone.task!r} was purged by {tombstone.author.who!r}: {what}; "
                    "serve a version without it",
                    task=tombstone.task,
                    key=object_key(self.name, Kind.RECORD, blob),
                )

    def records(self, tasks: Sequence[TaskRef]) -> Iterator[tuple[TaskRef, bytes]]:
        """Yield tasks with the bytes of their records, in order, fetching some ahead.

        Raises:
            NotFoundError, MissingError, CorruptionError: Like `record_bytes`.
        """
        return self.made(tasks, list)

    def made(
        self,
        tasks: Sequence[TaskRef],
        make: Callable[[Sequence[tuple[TaskRef, bytes]]], Sequence[Made]],
    ) -> Iterator[Made]:
        """Yield what `make` makes of the tasks and bytes that `records` yields, of some at once.

        From a store that is at hand it is made where it is read: in another thread, and of bytes
        that are in the processor's cache.
        """
        for group in self._made_groups(tasks, make):
            waiting = deque(group)
            del group
            while waiting:  # each is let go when the next one is asked for
                yield waiting.popleft()

    def _made_groups(
        self,
        tasks: Sequence[TaskRef],
        make: Callable[[Sequence[tuple[TaskRef, bytes]]], Sequence[Made]],
    ) -> Iterator[Sequence[Made]]:
        if not self._objects.store.at_hand:
            read = in_threads(self.record_bytes, tasks, threads=FETCH_THREADS, ahead=FETCH_AHEAD)
            pairs = zip(tasks, read, strict=True)
            return map(make, iter(lambda: list(islice(pairs, TOGETHER)), []))

        def make_some(some: Sequence[TaskRef]) -> Sequence[Made]:
            return make([(task, self.record_bytes(task)) for task in some])

        # Some at once: to hand each one over would take a quarter as long as to read and check it.
        # And by turns: with two groups under way both threads want the interpreter and the cache,
        # which took 120 to 200 ms more of the processor for a thousand records and saved 40 to 60.
        groups = (tasks[start : start + TOGETHER] for start in range(0, len(tasks), TOGETHER))
        return in_threads(make_some, groups, threads=1, ahead=1)

    def shared_bytes(self, manifest: Manifest) -> bytes | None:
        """Return the checked bytes of the version's shared state; None when it has none.

        Raises:
            NotFoundError: It had learnt from a task that was purged.
            MissingError: It is not to be found, although nobody purged it.
            CorruptionError: It is damaged.
        """
        if manifest.shared is None:
            return None
        try:
            return self._objects.read_once(Kind.RECORD, manifest.shared)
        except NotFoundError:
            self._check_not_purged(
                manifest.shared, "the shared state that has learnt from it is gone for good"
            )
        because = f"version {manifest.number} of adapter {self.name!r} names it"
        return self._objects.read(Kind.RECORD, manifest.shared, because=because)

    def find_submission(self, submission: str, version: int | str = "head") -> int | None:
        """Return the version that brought `submission` into `version`; None when it has it not.

        A version is searched along its parents; with an alias that does not exist, None.
        """
        refs = self.refs()
        if isinstance(version, str) and not _is_number(version) and not refs.find(version):
            return None
        manifest = self._objects.manifest(self.version_in(refs, version).manifest)
        return self.first_with(manifest, submission)

    def first_with(self, manifest: Manifest, submission: str) -> int | None:
        """Return the earliest of `manifest` and its ancestors that has `submission`, or None."""
        found = None
        while manifest.has_submission(submission):
            found = manifest.number
            if manifest.parent is None:
                break
            manifest = self._objects.manifest(manifest.parent.manifest)
        return found

    def publication(self, submission: str, *, after: int) -> Entry | None:
        """Return the move that published `submission` as a version later than `after`, or None.

        Every move since then is read, wherever the aliases point today. An import of what was
        learnt from the same submission elsewhere is none.
        """
        for entry in self.history():
            if entry.next_version <= after + 1:
                return None
            learnt = entry.published is not None and entry.action is Action.COMMIT
            if learnt and entry.detail.get("submission") == submission:
                return entry
        return None

    def history(self) -> Iterator[Entry]:
        """Yield every move of the adapter's aliases, the latest first."""
        yield from past_entries(self._objects, self.refs().history)

    def accuracies(
        self, version: int | str, *, patience: Patience = AT_ONCE
    ) -> tuple[TaskAccuracy, ...]:
        """Return what was measured of a version, given by alias or number; empty for nothing."""
        return self.accuracies_of(self.version(version), patience=patience)

    def accuracies_of(
        self, version: VersionRef, *, patience: Patience = AT_ONCE
    ) -> tuple[TaskAccuracy, ...]:
        """Return what was measured of a version; empty when nothing was.

        Args:
            version: The version.
            patience: How long it is asked for before nothing was.
        """
        key, store = accuracies_key(self.name, version.manifest), self._objects.store
        because = f"version {version.number} was measured"
        try:
            found = patience.ask(lambda: store.get(key), key=key, url=store.url, because=because)
        except MissingError:
            return ()
        return accuracies_from_bytes(found.data, f"{key!r} in {store.url}")

    def answer_sheet(self, version: int | str) -> AnswerSheet | None:
        """Return what a version, given by alias or number, answers; None where none was kept."""
        return self.answer_sheet_of(self.version(version))

    def answer_sheet_of(self, version: VersionRef) -> AnswerSheet | None:
        """Return what a version answers about its test images; None where that was not kept."""
        key, store = answers_key(self.name, version.manifest), self._objects.store
        try:
            found = store.get(key)
        except NotFoundError:
            return None
        return sheet_from_bytes(found.data, f"{key!r} in {store.url}")

    def tombstones(self, refs: Refs) -> tuple[Tombstone, ...]:
        """Return what was purged, as of `refs`."""
        return self._objects.tombstones(refs.tombstones) if refs.tombstones else ()

    def check_servable(self, refs: Refs, version: VersionRef) -> None:
        """Raise InputError when a record of the version, or its shared state, was purged."""
        for tombstone in self.tombstones(refs):
            if version.number in tombstone.versions:
                tasks = self._objects.manifest(version.manifest).tasks
                held = any(task.record in tombstone.records for task in tasks)
                raise InputError(
                    f"version {version.number} of {self.name!r} "
                    f"{'held' if held else 'shares a state that has learnt from'} task "
                    f"{tombstone.task!r}, which {tombstone.author.who!r} purged: choose a version "
                    "without it",
                    adapter=self.name,
                    version=version.number,
                    task=tombstone.task,
                )


def of_task(task: TaskRef, error: CorruptionError) -> CorruptionError:
    """Return `error` with the task whose record it is about: a version may have a thousand."""
    fields = {**error.fields, "task": task.task}
    return CorruptionError(f"the record of task {task.task!r}: {error.message}", **fields)


def check_answerable(manifest: Manifest) -> None:
    """Raise InputError when a version holds no task: it cannot be in production."""
    if not manifest.tasks:
        raise InputError(
            f"version {manifest.number} of {manifest.adapter!r} holds no task, so that replicas "
            "would have nothing to answer with: it cannot be in production; name a version with "
            "tasks, or leave `production` where it is (`nacre drop` without `--promote`)",
            adapter=manifest.adapter,
            version=manifest.number,
        )


def _is_number(written: str) -> bool:
    """Return whether a version is given by its number, and by an alias otherwise."""
    return written.isascii() and written.isdecimal()


def version_number(written: str) -> int:
    """Return the number that decimal digits write; NotFoundError for more digits than any has."""
    if len(written) > MOST_DIGITS:
        raise NotFoundError(
            f"expected the number of a version, found {len(written)} digits: there is none of "
            f"more than {MOST_DIGITS}"
        )
    return int(written)
