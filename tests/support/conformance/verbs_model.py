"""A small model of what the documents promise of versions and aliases: docs/registry.md.

It knows of each version what it holds and answers, and which of its tasks were purged. What the
registry does to a store it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from workers.registry import Manifest

HEAD, PRODUCTION = "head", "production"


@dataclass(kw_only=True, slots=True)
class Published:
    """One version.

    Attributes:
        manifest: As it was when it was published.
        answers: What it answered then, as bytes; None where it holds no task.
        purged: Its tasks that were purged since.
    """

    manifest: Manifest
    answers: bytes | None
    purged: set[str] = field(default_factory=set)

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
        moves: How many moves the history has.
    """

    versions: dict[int, Published] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    learnt: set[int] = field(default_factory=set)
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

    def holders(self, task: str) -> list[int]:
        """Return the versions that hold `task`, or did before it was purged."""
        return sorted(number for number, found in self.versions.items() if task in found.tasks)

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
        self.versions[found.manifest.number] = found
        self.aliases.update(dict.fromkeys(aliases, found.manifest.number))
        self.moves += 1

    def move(self, moves: Mapping[str, int | None]) -> None:
        """Set aliases, or remove them; a move that changes nothing is none."""
        after = {**self.aliases, **moves}
        kept = {alias: number for alias, number in after.items() if number is not None}
        self.moves += kept != self.aliases
        self.aliases = kept

    def purge(self, task: str) -> None:
        """Note that nobody can read `task` any more."""
        holders = [self.versions[number] for number in self.holders(task)]
        self.moves += any(task not in found.purged for found in holders)
        for found in holders:
            found.purged.add(task)
