"""Change of an adapter's refs: what is to be written, and what the history says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from workers.registry.documents.forks import Fork
from workers.registry.documents.history import Action, Author
from workers.registry.documents.manifest import VersionRef
from workers.registry.documents.refs import Refs
from workers.store.serial_document import Held

Result = TypeVar("Result")


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


def settling(held: Held[Refs], lost: Sequence[Fork] = ()) -> Change[None]:
    """Return the change of nothing but the serial, and of what is noted as lost."""
    forks = (*held.content.forks, *lost)
    return Change(refs=replace(held.content, forks=forks), move=None, result=None)
