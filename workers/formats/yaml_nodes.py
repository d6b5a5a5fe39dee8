"""YAML and JSON as nodes: scalars as they were written, with their lines, and nothing resolved yet.

A parser that resolves scalars by itself has read `007` as 7, `no` as false and 2001-01-01 as a date
before anybody can say that a name was meant. Here a scalar keeps its text, and what it means is
decided by what is expected in its place (`workers.formats.yaml_scalars`).
"""

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlLimits:
    """The largest file that is read.

    Attributes:
        size_bytes: Most bytes; a submission, which holds all that a task file says, has no more.
        nodes: Most scalars, lists and mappings; a task of 60,000 images in as many classes has
            120,000 scalars.
        depth: Most lists and mappings inside each other; configurations have 5.
    """

    size_bytes: int = 4 * 2**20
    nodes: int = 200_000
    depth: int = 32


DEFAULT_LIMITS = YamlLimits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Scalar:
    """A single value.

    Attributes:
        text: As it was written, without quotes.
        is_plain: Whether it was written without quotes.
        line: Where, from 1; 0 where that is not known.
    """

    text: str
    is_plain: bool
    line: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """A list."""

    items: list["Node"] = field(default_factory=list)
    line: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Entries:
    """Keys and values; the keys are scalars of different texts."""

    entries: dict[str, tuple[Scalar, "Node"]] = field(default_factory=dict)
    line: int = 0


Node: TypeAlias = Scalar | Items | Entries
