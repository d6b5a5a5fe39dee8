"""Many validation errors in one: some of each cause are shown, all are counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.errors import FieldValue, InputError

SHOWN = 20
EXAMPLES = 3
"""So many of one cause are shown."""
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9]+")
KEPT = 1000
"""So many of the problems of one kind are kept; a list has millions of rows."""


def shown(problems: Sequence[str], count: int | None = None) -> str:
    """Return the first problems, one a line, and how many more there are of `count` in all."""
    lines = [*problems[:SHOWN]]
    more = (len(problems) if count is None else count) - len(lines)
    if more:
        lines.append(f"and {more} more")
    return "".join(f"\n  {line}" for line in lines)


def cause_of(problem: str, *, about: str = "") -> str:
    """Return what a sentence has in common with others of its cause.

    It is the sentence without what it is about, numbers, and what is in quotation marks.
    """
    return _PARTICULARS.sub("…", problem.replace(about, "") if about else problem)


class Problems:
    """Problems that are counted and grouped by their causes, of which the first are kept.

    One cause has as often as not as many problems as there are images, and would hide the others.

    Attributes:
        count: How many there are.
    """

    # Owns: the count, the problems, and the causes.

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[str] = []
        self._causes: dict[str, _Cause] = {}

    @property
    def kept(self) -> tuple[str, ...]:
        """The first of them."""
        return tuple(self._kept)

    @property
    def telling(self) -> tuple[str, ...]:
        """The first of them, one of each cause before all others."""
        firsts = [cause.examples[0] for cause in self._causes.values()]
        seen = frozenset(firsts)
        return (*firsts, *(each for each in self._kept if each not in seen))[:KEPT]

    def add(self, problem: str, *, cause: str = "") -> None:
        """Count a problem.

        Args:
            problem: A sentence.
            cause: What it has in common with others; of the sentence where it is left out.
        """
        self.count += 1
        if self.count <= KEPT:
            self._kept.append(problem)
        key = cause or cause_of(problem)
        if key not in self._causes and len(self._causes) >= KEPT:
            key = ""  # whatever else there is
        found = self._causes.setdefault(key, _Cause())
        found.count += 1
        if len(found.examples) < EXAMPLES:
            found.examples.append(problem)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        lines: list[str] = []
        left = self.count
        for cause in self._causes.values():
            if len(lines) >= SHOWN:
                break
            lines += cause.lines()
            left -= cause.count
        return "".join(f"\n  {line}" for line in [*lines, *([f"and {left} more"] if left else [])])


@dataclass(slots=True)
class _Cause:
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the examples, and how many more there are."""
        more = self.count - len(self.examples)
        return [*self.examples, *([f"and {more} more like {self._these}"] if more else [])]

    @property
    def _these(self) -> str:
        return "this" if len(self.examples) == 1 else "these"


def raise_all(findings: Sequence[InputError]) -> None:
    """Raise what was found, as one error; return where nothing was.

    One finding is raised as it is. Several become one error with all their messages and fields: of
    the kind that all of them are of, or else an InputError.
    """
    if len(findings) == 1:
        raise findings[0]
    if findings:
        fields: dict[str, FieldValue] = {}
        problems: list[str] = []
        for finding in findings:
            fields |= finding.fields
            listed = finding.fields.get("problems", (finding.message,))
            problems += listed if isinstance(listed, tuple) else ()
        message = "\n".join(finding.message for finding in findings)
        kinds = {type(finding) for finding in findings}
        kind = kinds.pop() if len(kinds) == 1 else InputError
        raise kind(message, **{**fields, "problems": tuple(problems)})
