"""RegisteredAdapter: one adapter in the registry; reads it, commits to it, moves its aliases."""

from collections.abc import Mapping

from adapters.errors import InputError
from workers.registry.commit import Commit
from workers.registry.documents.change import Change, Move, Result, Settled
from workers.registry.documents.history import Action, Author, walk
from workers.registry.documents.layout import HEAD, PRODUCTION, check_alias
from workers.registry.documents.manifest import Manifest, VersionRef
from workers.registry.documents.refs import Fence, Refs, fenced
from workers.registry.objects import AdapterObjects
from workers.registry.publish import Publishing
from workers.registry.reader import AdapterReader, check_answerable
from workers.registry.requirements import check_alias_is
from workers.registry.swap import RefsWriter

ANY = -1
"""Stands for any version where one may be expected."""


class RegisteredAdapter(AdapterReader):
    """Reads and moves one adapter. Safe between threads, processes and machines.

    Every method that changes something takes effect in one instant or not at all. It raises
    ConflictError when somebody else was first and the change is no longer wanted as it stands,
    and UnknownOutcomeError when it cannot be known whether it took effect: look before repeating.
    """

    def __init__(self, objects: AdapterObjects, writer: RefsWriter) -> None:
        super().__init__(objects)
        self.writer = writer

    def commit(self, commit: Commit, *, by: Author) -> Manifest:
        """Publish a new version and return its manifest.

        When the version built on already holds the submission that must be absent, that is
        success: the manifest of the version which brought it is returned and nothing changes.

        Raises:
            ConflictError: A requirement does not hold; the message names who was first.
            InputError: An update is impossible, such as a task name that exists.
        """
        return self.writer.change(Publishing(reader=self, commit=commit, author=by).decide)

    def rollback(
        self,
        version: int | str,
        *,
        by: Author,
        serving_only: bool = False,
        expected: int | None = ANY,
    ) -> int:
        """Move `production` and `head` to an earlier version, and return its number.

        Nothing is deleted, and version numbers are not used again. `production` is left alone
        where it does not exist yet.

        Args:
            version: An alias or a number.
            by: Who does it, why and when.
            serving_only: Move `production` alone, so that the next task still builds on `head`.
            expected: Refuse unless `production` points to this version now.
        """

        def aliases(refs: Refs) -> tuple[str, ...]:
            serving = (PRODUCTION,) if serving_only or refs.find(PRODUCTION) else ()
            return serving if serving_only else (*serving, HEAD)

        def decide(refs: Refs) -> Change[int] | Settled[int]:
            self._check_expected(refs, PRODUCTION, expected)
            target = self.version_in(refs, version)
            moves = dict.fromkeys(aliases(refs), target)
            return self._moved(refs, moves, Move(action=Action.ROLLBACK, author=by), target.number)

        return self.writer.change(decide)

    def promote(
        self,
        version: int | str,
        *,
        by: Author,
        alias: str = PRODUCTION,
        with_head: bool = False,
        expected: int | None = ANY,
    ) -> int:
        """Move `alias` to a version, so that replicas serve it, and return its number.

        Args:
            version: An alias or a number.
            by: Who does it, why and when.
            alias: Any alias but `head`.
            with_head: Move `head` in the same instant, so that the next task builds on it.
            expected: Refuse unless `alias` points to this version now (None: does not exist).
        """
        move = Move(action=Action.PROMOTE, author=by)
        return self._point(alias, version, move, expected, with_head=with_head)

    def alias(
        self, alias: str, version: int | str, *, by: Author, expected: int | None = ANY
    ) -> int:
        """Set an alias of the user's own, like `promote`, and return the version's number."""
        return self._point(alias, version, Move(action=Action.ALIAS, author=by), expected)

    def remove_alias(self, alias: str, *, by: Author) -> None:
        """Remove an alias; `head` stays. Nothing happens when there is none."""
        _check_movable(alias)

        def decide(refs: Refs) -> Change[None] | Settled[None]:
            return self._moved(refs, {alias: None}, Move(action=Action.ALIAS, author=by), None)

        self.writer.change(decide)

    def name_version(
        self, version: int, aliases: tuple[str, ...], *, by: Author
    ) -> tuple[str, ...]:
        """Let those of `aliases` point to a version that do not exist; others stay where they are.

        Args:
            version: The number of a version.
            aliases: Any, `head` included.
            by: Who imports it, why and when.

        Returns:
            Those of `aliases` that point to it now.
        """

        def decide(refs: Refs) -> Change[tuple[str, ...]] | Settled[tuple[str, ...]]:
            target = self.version_in(refs, version)
            absent = {check_alias(alias): target for alias in aliases if not refs.find(alias)}
            after = refs.moved(absent)
            pointing = tuple(alias for alias in aliases if after.find(alias) == target)
            move = Move(action=Action.IMPORT, author=by)
            return self._moved(refs, absent, move, pointing)

        return self.writer.change(decide)

    def note_refusal(self, version: VersionRef, *, by: Author) -> None:
        """Write into the history that a replica could not load a version; nothing moves.

        Written once, until something else happens to the adapter or to another version.

        Args:
            version: What could not be loaded.
            by: Which replica, why, and when.
        """

        def decide(refs: Refs) -> Change[None] | Settled[None]:
            latest = next(walk(refs.history, self.objects.entry), None)
            digest = version.manifest.sha256
            if latest and latest.action is Action.REFUSE and latest.detail["digest"] == digest:
                return Settled(result=None)
            detail = {"version": str(version.number), "digest": digest}
            move = Move(action=Action.REFUSE, author=by, detail=detail)
            return Change(refs=refs, move=move, result=None)

        self.writer.change(decide)

    def fence(self, owner: str) -> Fence:
        """Raise the epoch, so that commits which require an earlier one are refused from now on.

        No clock is asked: whoever leads the queue has the right to train.

        Args:
            owner: Names the trainer, for people.
        """

        def decide(refs: Refs) -> Change[Fence]:
            after = fenced(refs, owner=owner)
            return Change(refs=after, move=None, result=after.fence)

        return self.writer.change(decide)

    def _point(
        self,
        alias: str,
        version: int | str,
        move: Move,
        expected: int | None,
        *,
        with_head: bool = False,
    ) -> int:
        _check_movable(alias)
        aliases = (alias, HEAD) if with_head else (alias,)

        def decide(refs: Refs) -> Change[int] | Settled[int]:
            self._check_expected(refs, alias, expected)
            target = self.version_in(refs, version)
            return self._moved(refs, dict.fromkeys(aliases, target), move, target.number)

        return self.writer.change(decide)

    def _moved(
        self,
        refs: Refs,
        aliases: Mapping[str, VersionRef | None],
        move: Move,
        result: Result,
    ) -> Change[Result] | Settled[Result]:
        """Return the change that sets `aliases`, or that nothing is to be done."""
        for target in aliases.values():
            if target is not None:
                self.check_servable(refs, target)
        served = aliases.get(PRODUCTION)
        if served is not None:
            check_answerable(self.objects.manifest(served.manifest))
        after = refs.moved(aliases)
        if after == refs:
            return Settled(result=result)
        return Change(refs=after, move=move, result=result)

    def _check_expected(self, refs: Refs, alias: str, expected: int | None) -> None:
        if expected != ANY:
            latest = self.objects.entry(refs.history) if refs.history else None
            check_alias_is(refs, alias, expected, latest)


def _check_movable(alias: str) -> None:
    if check_alias(alias) == HEAD:
        raise InputError(
            "alias 'head' is moved by what is published, dropped or imported, and by `rollback`, "
            "so that no task is lost from sight"
        )
