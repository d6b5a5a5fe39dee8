"""The configuration as tables of Markdown: every key with its default, its meaning, its limits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cluster.client.methods import attributes
from cluster.config import AdapterConfig, Config

LIMITS = {"ge": "at least", "gt": "more than", "le": "at most"}
ADAPTER = "adapters: NAME"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("  |", " |") for line in lines)


def configuration() -> Iterator[str]:
    """Yield a table of keys for each part of the configuration."""
    yield from _keys("", Config)
    for heading, kind in (*parts_of(Config), (ADAPTER, AdapterConfig)):
        yield from _keys(heading, kind)
    for heading, kind in parts_of(AdapterConfig):
        yield from _keys(f"{ADAPTER}: {heading}", kind)


def parts_of(kind: type) -> Iterator[tuple[str, type]]:
    """Yield the parts of a configuration that are dataclasses, with their own parts."""
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint) and isinstance(hint, type):
            yield name, hint
            yield from ((f"{name}: {inner}", part) for inner, part in parts_of(hint))


def _keys(heading: str, kind: type) -> Iterator[str]:
    if heading:
        yield f"### `{heading}`"
    meanings, hints = attributes(kind), get_type_hints(kind, include_extras=True)
    rows = [
        (f"`{each.name}`", default(each), meanings[each.name] + bounds(hints[each.name]))
        for each in fields(kind)
    ]
    yield table(("key", "default", "meaning"), rows)


def default(field: "Field[Any]") -> str:
    """Return the default of a key as YAML has it."""
    if field.name == "store":
        return "`file://` and `store` in [NACRE_HOME](#environment-variables)"
    value = field.default if field.default_factory is MISSING else field.default_factory()
    if is_dataclass(value):
        return "see below"
    if value is None:
        return "none"
    if isinstance(value, tuple | dict):
        return "none" if not value else str(value)
    return f"`{value:,}`" if type(value) is int and value > 10**6 else f"`{value}`".lower()


def bounds(hint: object) -> str:
    """Return the limits of a number, or the words that are allowed, as a sentence."""
    if get_origin(hint) is Literal:
        return f" One of {', '.join(f'`{word}`' for word in get_args(hint))}."
    said = dict.fromkeys(limit for part in (hint, *get_args(hint)) for limit in _limits(part))
    return f" {', '.join(said).capitalize()}." if said else ""


def _limits(hint: object) -> Iterator[str]:
    for info in getattr(hint, "__metadata__", ()):
        for mark in getattr(info, "metadata", ()):
            for name, words in LIMITS.items():
                if hasattr(mark, name):
                    yield f"{words} {getattr(mark, name):,}"
