"""Collisions of class names: names that several tasks share.

Two classes of one name have one prompt, hence one untuned text feature: in the zero-shot part they
tie exactly, and column order decides. A task's names are compared with the existing ones before it
is learnt, so that somebody can choose to keep them, to qualify the new one, or to merge it into the
existing one.

Names are compared as CLIP's tokenizer reads them, which makes one prompt of many spellings:
`café` in one character or two, `AT&T` and `AT&amp;T`, straight and curled quotes, `t-shirt` and
`T - Shirt`. It reads no more than so many tokens either, so that prompts that differ behind these
are one prompt too; whoever has the tokenizer says which are cut.
"""

import html
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import ftfy
import regex

from adapters.contract.class_entry import ClassEntry

_PARTS = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)
"""What CLIP's tokenizer makes tokens of one by one: letters together, and every digit alone."""

Tokens = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NameCollision:
    """One name of several classes.

    Attributes:
        name: The name of the first of them, in lower case and with single spaces.
        class_ids: At least two, existing classes first.
    """

    name: str
    class_ids: tuple[str, ...]


def cleaned(text: str) -> str:
    """Return `text` as CLIP's tokenizer cleans it.

    Mojibake, ligatures, wide letters, curled quotes and HTML entities are mended, accents composed
    (NFC), white space is single, and there is no case.
    """
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


@lru_cache(maxsize=2**16)
def comparable_name(name: str) -> str:
    """Return what is the same for names of which a prompt makes the same tokens.

    Beyond that, an underscore is a space: names that nobody gave are those of folders.
    """
    return " ".join(_PARTS.findall(cleaned(name).replace("_", " ")))


def name_collisions(
    new: Iterable[ClassEntry],
    existing: Iterable[ClassEntry],
    *,
    cut: Mapping[str, Tokens] | None = None,
) -> tuple[NameCollision, ...]:
    """Return the names that a new class shares with another class, new or existing, sorted.

    Args:
        new: Classes that are compared with all others.
        existing: Classes that are not compared with each other.
        cut: The tokens that are read of prompts that are too long for the encoder, by the prompt.
    """
    owners: defaultdict[str | Tokens, dict[str, str]] = defaultdict(dict)
    compared: dict[str | Tokens, None] = {}
    for entry in existing:
        for key in _keys(entry, cut or {}):
            owners[key][entry.class_id] = entry.name
    for entry in new:
        for key in _keys(entry, cut or {}):
            compared[key] = None
            owners[key][entry.class_id] = entry.name
    shared = {tuple(owners[key]): owners[key] for key in compared if len(owners[key]) > 1}
    collisions = (
        NameCollision(name=_single(next(iter(names.values()))), class_ids=class_ids)
        for class_ids, names in shared.items()
    )
    return tuple(sorted(collisions, key=lambda each: (each.name, each.class_ids)))


def _keys(entry: ClassEntry, cut: Mapping[str, Tokens]) -> Iterable[str | Tokens]:
    yield comparable_name(entry.name)
    if entry.prompt in cut:
        yield cut[entry.prompt]


def _single(name: str) -> str:
    return " ".join(cleaned(name).replace("_", " ").split())
