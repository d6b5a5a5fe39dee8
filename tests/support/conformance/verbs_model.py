"""A small model of what the documents promise of versions and aliases: docs/registry.md.

It knows of each version what it holds and answers, and which of its tasks were purged. What the
registry does to a store it does not know.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from workers.registry import Manifest, TaskRef

HEAD, PRODUCTION = "head", "production"


@dataclass(kw_only=True, slots=True)
class Published:
    """One version.

    Attributes:
        manifest: As it was when it was published.
        answers: What it answered then, as bytes; None where it holds no task.
        learnt_from: The digests of the records that its shared state has learnt from.
        purged: The tasks that were purged since, of which it held a record or such a state.
    """

    manifest: Manifest
    answers: bytes | None
    learnt_from: frozenset[str] = frozenset()
    purged: set[str] = field(default_factory=set)

    @property
    def records(self) -> frozenset[str]:
        """The digests of its records."""
        return frozenset(task.record.sha256 for task in self.manifest.tasks)

    @property
    def state(self) -> str | None:
        """The digest of its shared state."""
        return self.manifest.shared.sha256 if self.manifest.shared else None

    @property
    def names(self) -> set[str]:
        """What a tombstone could name of it: records, shared state, submissions."""
        state = {self.state} if self.state else set()
        return state | self.records | {task.submission for task in self.manifest.tasks}

    @property
    def tasks(self) -> list[str]:
        """Names of its tasks, in their order."""
        return [task.task for task in self.manifest.tasks]

    @property
    def content(self) -> tuple[object, ...]:
        """What another version has in common with it that was made of its export."""
        manifest = self.manifest
        return (
            tuple((t.task, t.submission, t.record.sha256, t.classes) for t in manifest.tasks),
            manifest.shared and manifest.shared.sha256,
            (manifest.encoder, manifest.method, repr(sorted(manifest.settings.items()))),
            repr(manifest.provenance),
        )


@dataclass(slots=True)
class Line:
    """One adapter.

    Attributes:
        versions: By number.
        aliases: The number that each points to.
        learnt: The numbers of those that a coordinator has published.
        lineages: The digests of the records that each shared state has learnt from.
        buried: The digests and submissions that were purged.
        moves: How many moves the history has.
    """

    versions: dict[int, Published] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    learnt: set[int] = field(default_factory=set)
    lineages: dict[str, frozenset[str]] = field(default_factory=dict)
    buried: set[str] = field(default_factory=set)
    moves: int = 0

    @property
    def head(self) -> Published | None:
        """What the next task builds on."""
        return self.versions[self.aliases[HEAD]] if HEAD in self.aliases else None

    @property
    def head_tasks(self) -> list[str]:
        """Names of the tasks of `head`."""
        return self.head.tasks if self.head else []

    @property
    def next_number(self) -> int:
        """The number of the next version."""
        return max(self.versions, default=0) + 1

    @property
    def servable(self) -> list[int]:
        """The versions of which nothing was purged."""
        return sorted(number for number, found in self.versions.items() if not found.purged)

    def records_of(self, task: str) -> frozenset[str]:
        """Return the digests of all records of `task`."""
        tasks = (each for found in self.versions.values() for each in found.manifest.tasks)
        return frozenset(each.record.sha256 for each in tasks if each.task == task)

    def holders(self, task: str) -> list[int]:
        """Return the versions that hold `task`, or have learnt from it, or did before a purge."""
        records = self.records_of(task)
        return sorted(
            number
            for number, found in self.versions.items()
            if records & (found.records | found.learnt_from)
        )

    def others_of(self, task: str) -> list[TaskRef]:
        """Return the tasks that no version can answer for any more when `task` is purged."""
        gone = {*self.holders(task), *(n for n, found in self.versions.items() if found.purged)}
        kept = {
            record
            for number, found in self.versions.items()
            if number not in gone
            for record in found.records
        }
        newest = self.versions[max(self.holders(task))]
        return [
            each
            for each in newest.manifest.tasks
            if each.record.sha256 not in kept
            and each.task != task
            and each.submission not in self.buried
        ]

    def without(self, task: str) -> tuple[Published | None, list[TaskRef]] | None:
        """Return what `head` without `task` begins from, and what has to be learnt on it again.

        None where no shared state of it has learnt from the task.
        """
        head, unwanted = self.head, self.records_of(task)
        if head is None or not head.learnt_from & unwanted:
            return None
        wanted, base = head.records - unwanted, self._parent(head)
        while base and (base.purged or not base.records | base.learnt_from <= wanted):
            base = self._parent(base)
        kept = base.records if base else frozenset()
        tasks = head.manifest.tasks
        again = [e for e in tasks if e.record.sha256 not in kept and e.task != task]
        return base, again

    def _parent(self, found: Published) -> Published | None:
        parent = found.manifest.parent
        return self.versions[parent.number] if parent else None

    def brings_back(self, found: Published) -> bool:
        """Say whether a version holds what was purged here, and is not in another version again."""
        there = {name for number in self.servable for name in self.versions[number].names}
        return bool((found.names & self.buried) - there)

    def find(self, version: int | str) -> int | None:
        """Return the number of a version given by alias or number; None where there is none."""
        if isinstance(version, str):
            return self.aliases.get(version)
        return version if version in self.versions else None

    def has_submission(self, submission: str) -> bool:
        """Say whether a task of `head` was learnt from `submission`."""
        return bool(self.head and self.head.manifest.has_submission(submission))

    def publish(self, found: Published, aliases: tuple[str, ...]) -> None:
        """Add a version, and let `aliases` point to it."""
        if found.state is not None:
            before = self._parent(found)
            carried = before.learnt_from if before and before.records & found.records else set()
            lineage = self.lineages.setdefault(found.state, found.records | carried)
            found = replace(found, learnt_from=lineage)
        self.versions[found.manifest.number] = found
        self.aliases.update(dict.fromkeys(aliases, found.manifest.number))
        self.moves += 1

    def move(self, moves: Mapping[str, int | None]) -> None:
        """Set aliases, or remove them; a move that changes nothing is none."""
        after = {**self.aliases, **moves}
        kept = {alias: number for alias, number in after.items() if number is not None}
        self.moves += kept != self.aliases
        self.aliases = kept

    def purge(self, task: str, submissions: Collection[str]) -> None:
        """Note that nobody can read `task` any more, nor what was submitted of it."""
        holders, records = [self.versions[n] for n in self.holders(task)], self.records_of(task)
        states = {e.state for e in holders if e.state and e.learnt_from & records}
        named = records | states | set(submissions)
        fresh = not named <= self.buried or any(task not in found.purged for found in holders)
        self.moves += fresh
        self.buried |= named
        for found in holders:
            found.purged.add(task)
