"""Compare-and-swap of an adapter's refs: the short retry loop around the write that takes effect.

A change is decided on the refs as they are, written, and decided again on newer refs when the
race was lost. When an answer is lost, the write is recognised by its write id: in the refs, or in
the history behind them. Nothing is ever cleaned up here: what was written and never referenced
is harmless, and what is in doubt may be referenced after all.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from adapters.errors import ConflictError, UnavailableError, UnknownOutcomeError
from workers.registry.audience import Audience, Nobody, moved_production
from workers.registry.history import Action, Author, Entry, links, walk
from workers.registry.layout import Kind, refs_key
from workers.registry.manifest import VersionRef
from workers.registry.objects import AdapterObjects
from workers.registry.refs import Refs

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceRetry:
    """How often a lost race is run again, and how long is waited in between.

    Attributes:
        attempts: Races before ConflictError is raised.
        first_s: Longest wait after the first lost race, in seconds; it doubles with every one.
        longest_s: Longest wait of all, in seconds.
        read_backs: How often a write in doubt is repeated before UnknownOutcomeError is raised.
    """

    attempts: int = 40
    first_s: float = 0.005
    longest_s: float = 1.0
    read_backs: int = 4

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        """Return how long to wait after lost race number `attempt` (from 0), with full jitter."""
        return rng.uniform(0.0, min(self.longest_s, self.first_s * 2.0 ** min(attempt, 30)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """What the history will say of a change."""

    action: Action
    author: Author
    published: VersionRef | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change(Generic[Result]):
    """New refs, what the history says of them, and what the caller gets.

    `move` is None for changes that are no move of an alias: fences and areas.
    """

    refs: Refs
    move: Move | None
    result: Result


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled(Generic[Result]):
    """Nothing is to be written: the state is as wanted already."""

    result: Result


Decide = Callable[[Refs], Change[Result] | Settled[Result]]


class RefsWriter:
    """Replaces the refs of one adapter.

    Args:
        objects: The adapter's objects.
        retry: How lost races are run again.
        rng: Gives write ids and jitter.
        sleep: Waits for some seconds.
        audience: Is told before and after `production` moves.
    """

    def __init__(
        self,
        objects: AdapterObjects,
        *,
        retry: RaceRetry,
        rng: random.Random,
        sleep: Callable[[float], None] = time.sleep,
        audience: Audience | None = None,
    ) -> None:
        self._audience = audience or Nobody()
        self._objects = objects
        self._retry = retry
        self._rng = rng
        self._sleep = sleep

    def change(self, decide: Decide[Result]) -> Result:
        """Decide on the current refs and replace them, until it is done or refused.

        Raises:
            ConflictError: Every race was lost; nothing was changed.
            UnknownOutcomeError: The answer was lost and the store cannot be asked.
        """
        for attempt in range(self._retry.attempts):
            refs, etag = self._objects.refs()
            decision = decide(refs)
            if isinstance(decision, Settled):
                return decision.result
            after = self._finished(refs, decision)
            served = moved_production(refs, after)
            if served is not None:
                self._audience.prepare(after.adapter, served)
            if self._replaced(refs, etag, after):
                if served is not None:
                    self._audience.follow(after.adapter)
                return decision.result
            self._sleep(self._retry.wait_s(attempt, self._rng))
        raise ConflictError(
            f"adapter {self._objects.adapter!r} is too busy: lost {self._retry.attempts} races in "
            "a row; nothing was changed, try again later",
            adapter=self._objects.adapter,
        )

    def _finished(self, before: Refs, change: Change[Result]) -> Refs:
        """Return the new refs with a write id, after storing the history entry they name."""
        write_id = f"{self._rng.getrandbits(128):032x}"
        refs = replace(change.refs, write_id=write_id)
        if change.move is None:
            return refs
        previous, jump = links(before.history, self._objects.entry)
        entry = Entry(
            index=previous.index + 1 if previous else 0,
            action=change.move.action,
            author=change.move.author,
            moves=_moves(before, refs),
            published=change.move.published,
            next_version=refs.next_version,
            detail=change.move.detail,
            write_id=write_id,
            previous=previous,
            jump=jump,
        )
        stored = self._objects.write(Kind.HISTORY, entry.to_bytes(), area=before.area)
        return replace(refs, history=stored)

    def _replaced(self, before: Refs, etag: str, after: Refs) -> bool:
        """Replace `before` by `after`; False when another writer was first."""
        in_doubt = False
        for _ in range(self._retry.read_backs):
            try:
                self._objects.store.replace(refs_key(before.adapter), after.to_bytes(), etag)
            except ConflictError:
                return in_doubt and self._landed(before, after)
            except UnknownOutcomeError:
                in_doubt = True
                if self._moved_on(before, after):
                    return self._landed(before, after)
                # Still the old refs: the write may yet arrive, so the very same one is repeated.
            except UnavailableError as error:
                if in_doubt:
                    raise _unknown(after) from error
                raise
            else:
                return True
        raise _unknown(after)

    def _moved_on(self, before: Refs, after: Refs) -> bool:
        try:
            return self._objects.refs()[0].write_id != before.write_id
        except UnavailableError as error:
            raise _unknown(after) from error

    def _landed(self, before: Refs, after: Refs) -> bool:
        """Say whether `after` took effect, although other changes may have followed it."""
        try:
            refs, _ = self._objects.refs()
            if refs.write_id == after.write_id:
                return True
            if after.history in (None, before.history):
                return False  # a fence or an area: deciding again on newer refs is right as well
            return self._in_history(refs, after)
        except UnavailableError as error:
            raise _unknown(after) from error

    def _in_history(self, refs: Refs, after: Refs) -> bool:
        mine = self._objects.entry(after.history) if after.history else None
        for entry in walk(refs.history, self._objects.entry):
            if mine is None or entry.index <= mine.index:
                return entry == mine
        return False


def _moves(before: Refs, after: Refs) -> dict[str, tuple[int | None, int | None]]:
    moves = {}
    for alias in sorted({*before.aliases, *after.aliases}):
        old, new = before.find(alias), after.find(alias)
        if old != new:
            moves[alias] = (old.number if old else None, new.number if new else None)
    return moves


def _unknown(after: Refs) -> UnknownOutcomeError:
    return UnknownOutcomeError(
        f"a change of adapter {after.adapter!r} was sent and its answer was lost: it may have "
        f"taken effect; look in the history for write id {after.write_id}",
        adapter=after.adapter,
        write_id=after.write_id,
    )
