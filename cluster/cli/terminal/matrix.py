"""The accuracy matrix printed in a terminal: a line per version."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

LABEL_WIDTH = 20
LEAST_CELL = len("100.0")
GAP = 2
UNKNOWN = "–"
Row = Sequence[float | None]
"""Accuracies from 0 to 1, one for each column; None where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixTable:
    """An accuracy matrix; names are never cut.

    Attributes:
        tasks: The columns.
        label_width: Characters for the label of a row.
    """

    tasks: tuple[str, ...]
    label_width: int = LABEL_WIDTH

    def header(self) -> str:
        """Return the line above the rows."""
        return self._line("accuracy on (%)", self.tasks)

    def line(self, label: str, row: Row) -> str:
        """Return one row."""
        return self._line(label, [UNKNOWN if each is None else f"{100 * each:.1f}" for each in row])

    def lines(self, rows: Mapping[str, Row], *, width: int | None) -> Iterator[str]:
        """Yield the table, with `rows` by their labels, in parts of at most `width` characters."""
        label_width = max(LABEL_WIDTH, *map(cell_len, rows))
        for columns in self._parts(None if width is None else width - label_width):
            part = replace(self, tasks=self.tasks[columns], label_width=label_width)
            yield from [""] if columns.start else []
            yield part.header()
            yield from (part.line(label, row[columns]) for label, row in rows.items())

    def _line(self, label: str, cells: Sequence[str]) -> str:
        padded = (
            " " * (width - cell_len(cell)) + cell
            for cell, width in zip(cells, map(_width, self.tasks), strict=True)
        )
        return label + " " * (self.label_width - cell_len(label)) + "".join(padded)

    def _parts(self, room: int | None) -> Iterator[slice]:
        """Yield which columns fit side by side; one that is wider than all room is alone."""
        first, used = 0, 0
        for place, width in enumerate(map(_width, self.tasks)):
            if room is not None and place > first and used + width > room:
                yield slice(first, place)
                first, used = place, 0
            used += width
        yield slice(first, len(self.tasks))


def _width(task: str) -> int:
    return GAP + max(LEAST_CELL, cell_len(task))
