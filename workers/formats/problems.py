"""Many validation errors in one: some are shown, all are counted, and machines get every one."""

from collections.abc import Sequence

from adapters.errors import FieldValue, InputError

SHOWN = 20
KEPT = 1000
"""So many of the problems of one kind are kept; a list has millions of rows."""


def shown(problems: Sequence[str], count: int | None = None) -> str:
    """Return the first problems, one a line, and how many more there are of `count` in all."""
    lines = [*problems[:SHOWN]]
    more = (len(problems) if count is None else count) - len(lines)
    if more:
        lines.append(f"and {more} more")
    return "".join(f"\n  {line}" for line in lines)


class Problems:
    """Problems that are counted, of which the first are kept.

    Attributes:
        count: How many there are.
    """

    # Owns: the count, and the problems.

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[str] = []

    @property
    def kept(self) -> tuple[str, ...]:
        """The first of them."""
        return tuple(self._kept)

    def add(self, problem: str) -> None:
        """Count a problem."""
        self.count += 1
        if self.count <= KEPT:
            self._kept.append(problem)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        return shown(self._kept, self.count)


def raise_all(findings: Sequence[InputError]) -> None:
    """Raise what was found, as one error; return where nothing was.

    One finding is raised as it is. Several become one InputError with all their messages and
    fields.
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
        raise InputError(message, **{**fields, "problems": tuple(problems)})
