"""Collisions of class names: names that several tasks share.

Two classes of one name have one prompt, hence one untuned text feature: in the zero-shot part they
tie exactly, and column order decides. A task's names are compared with the existing ones before it
is learnt, so that somebody can choose to keep them, to qualify the new one, or to merge it into the
existing one.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from adapters.contract.records import ClassEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class NameCollision:
    """One name of several classes.

    Attributes:
        name: The name as `comparable_name` writes it.
        class_ids: At least two, existing classes first.
    """

    name: str
    class_ids: tuple[str, ...]


def comparable_name(name: str) -> str:
    """Return `name` as the tokenizer tells names apart: no case, no underscores, single spaces."""
    return " ".join(name.replace("_", " ").lower().split())


def name_collisions(
    new: Iterable[ClassEntry], existing: Iterable[ClassEntry]
) -> tuple[NameCollision, ...]:
    """Return the names that a new class shares with another class, new or existing, sorted."""
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for entry in existing:
        owners[comparable_name(entry.name)].append(entry.class_id)
    new_names = set()
    for entry in new:
        new_names.add(comparable_name(entry.name))
        owners[comparable_name(entry.name)].append(entry.class_id)
    return tuple(
        NameCollision(name=name, class_ids=tuple(owners[name]))
        for name in sorted(new_names)
        if len(owners[name]) > 1
    )
