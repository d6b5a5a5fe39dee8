"""Preconditions of a commit on the state that it is applied to; each checks itself."""

from dataclasses import dataclass
from typing import Protocol

from adapters.errors import ConflictError
from workers.registry.documents.history import Entry
from workers.registry.documents.layout import HEAD
from workers.registry.documents.manifest import Manifest
from workers.registry.documents.refs import Refs, check_epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What requirements are checked against.

    Attributes:
        refs: The refs as they are now.
        base: The version that would be built on; None when there is none.
        latest: The latest history entry, to say who was first; None when there is none.
    """

    refs: Refs
    base: Manifest | None
    latest: Entry | None


class Requirement(Protocol):
    """A condition on the state that a commit is applied to."""

    def check(self, situation: Situation) -> None:
        """Raise ConflictError unless the condition holds."""


@dataclass(frozen=True, slots=True)
class HeadIs:
    """`head`, or another alias, still is the version that was trained on (None: there is none)."""

    version: int | None
    alias: str = HEAD

    def check(self, situation: Situation) -> None:
        """Raise ConflictError, naming who moved the alias, when it is another version."""
        check_alias_is(situation.refs, self.alias, self.version, situation.latest)


@dataclass(frozen=True, slots=True)
class SubmissionAbsent:
    """No task of the version built on was learnt from this submission.

    A commit that finds the submission there has been made already, and reports that version.
    """

    submission: str

    def check(self, situation: Situation) -> None:
        """Raise ConflictError when the submission is there."""
        if situation.base and situation.base.has_submission(self.submission):
            raise ConflictError(
                f"version {situation.base.number} of {situation.base.adapter!r} already holds "
                f"submission {self.submission!r}",
                submission=self.submission,
                version=situation.base.number,
            )


@dataclass(frozen=True, slots=True)
class EpochIs:
    """Nobody has begun to learn for the adapter since the trainer did, under this epoch."""

    epoch: int

    def check(self, situation: Situation) -> None:
        """Raise ConflictError, naming who began meanwhile, when the epoch has risen."""
        check_epoch(situation.refs, self.epoch)


def check_alias_is(refs: Refs, alias: str, expected: int | None, latest: Entry | None) -> None:
    """Raise ConflictError, naming who moved it, unless `alias` points to version `expected`."""
    current = refs.find(alias)
    found = current.number if current else None
    if found == expected:
        return
    by = f" by {latest.author.who!r} ({latest.action.value})" if latest else ""
    raise ConflictError(
        f"alias {alias!r} of {refs.adapter!r} moved: expected version {expected or 'none'}, found "
        f"{found or 'none'}{by}; resolve it again and retry",
        adapter=refs.adapter,
        alias=alias,
        expected=expected,
        found=found,
        winner=latest.author.who if latest else None,
    )
