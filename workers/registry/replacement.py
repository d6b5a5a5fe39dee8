"""Replacement of an adapter's refs: one write by condition, repeated until its answer is known.

When an answer is lost, the write is recognised by its write id: in the refs, or in the history
behind them. Nothing is ever cleaned up here: what was written and never referenced is harmless, and
what is in doubt may be referenced after all.
"""

import random
from dataclasses import replace
from typing import Any

from adapters.errors import ConflictError, UnavailableError, UnknownOutcomeError
from workers.formats.documents import next_count
from workers.registry.acknowledged import part
from workers.registry.documents.change import Change, settling
from workers.registry.documents.history import Entry, links
from workers.registry.documents.layout import Kind, refs_key
from workers.registry.documents.refs import Refs
from workers.registry.objects import AdapterObjects
from workers.store.patience import AT_ONCE
from workers.store.serial_document import Held


class Replacement:
    """Writes the refs of one adapter.

    Args:
        objects: The adapter's objects.
        read_backs: How often a write in doubt is repeated before UnknownOutcomeError is raised.
        rng: Gives write ids.
    """

    def __init__(self, objects: AdapterObjects, *, read_backs: int, rng: random.Random) -> None:
        self._objects = objects
        self._read_backs = read_backs
        self._rng = rng

    def finished(self, held: Held[Refs], change: Change[Any]) -> Refs:
        """Return the new refs with a write id, after storing the history entry they name."""
        before, write_id = held.content, f"{self._rng.getrandbits(128):032x}"
        serial = next_count(held.above, "the serial of an adapter's refs")
        refs = replace(change.refs, write_id=write_id, serial=serial, before=held.digest)
        if change.move is None:
            return refs
        previous, jump = links(before.history, self._objects.entry)
        entry = Entry(
            index=next_count(previous.index, "the index of a history") if previous else 0,
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

    def made(self, held: Held[Refs], after: Refs) -> bool:
        """Replace the refs by `after`; False when another writer was first.

        A write whose answer was lost is written again, over the old refs or over itself, until it
        is acknowledged: what is merely seen need not stay.
        """
        data, etag = after.to_bytes(), held.etag
        refused: set[str] = set()
        in_doubt = False
        for _ in range(self._read_backs):
            try:
                written = self._objects.store.replace(refs_key(after.adapter), data, etag)
            except ConflictError:
                if not in_doubt:
                    return False
                refused.add(etag)
            except UnknownOutcomeError:
                in_doubt = True
            except UnavailableError as error:
                raise (_unknown(after) if in_doubt else error) from error
            else:
                self._objects.refs_document.acknowledged(data, written, after)
                return True
            found = self._read_back(after, refused)
            if found.content.write_id in (after.write_id, held.content.write_id):
                etag = found.etag
            elif after.history in (None, held.content.history):
                return False  # a fence or an area: deciding again on newer refs is right as well
            elif self._is_current(found, after):
                return self._is_in_history(after, found.content)
            else:
                refused.add(found.etag)
        raise _unknown(after)

    def _is_current(self, found: Held[Refs], after: Refs) -> bool:
        """Say whether the store acknowledges a change of what was `found`.

        Others may be from before `after`, or of a write after it that vanishes and takes it along.
        """
        if self._objects.store.patience == AT_ONCE:
            return True
        settled = self.finished(found, settling(found))
        data = settled.to_bytes()
        try:
            etag = self._objects.store.replace(refs_key(after.adapter), data, found.etag)
        except ConflictError:
            return False
        except (UnavailableError, UnknownOutcomeError) as error:
            raise _unknown(after) from error
        self._objects.refs_document.acknowledged(data, etag, settled)
        return True

    def _read_back(self, after: Refs, refused: set[str]) -> Held[Refs]:
        try:
            return self._objects.refs_to_change(frozenset(refused))
        except UnavailableError as error:
            raise _unknown(after) from error

    def _is_in_history(self, after: Refs, refs: Refs) -> bool:
        """Say whether `after` took effect, although other changes have followed it."""
        try:
            return not part(self._objects, refs.history, after.history).lost
        except UnavailableError as error:
            raise _unknown(after) from error


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
