"""The accuracy matrix printed in a terminal: a line per version."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

LABEL_WIDTH = 20
CELL_WIDTH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixTable:
    """An accuracy matrix that grows by a row with every version.

    Attributes:
        tasks: The columns.
        zero_shot: Accuracy of the encoder alone, per task.
        rows: Accuracy after each task, per task.
    """

    tasks: tuple[str, ...]
    zero_shot: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...] = ()

    def header(self) -> str:
        """Return the line above the rows."""
        names = "".join(f"{_short(task):>{CELL_WIDTH}}" for task in self.tasks)
        return f"{'accuracy on (%)':<{LABEL_WIDTH}}{names}"

    def line(self, label: str, row: Sequence[float]) -> str:
        """Return one row."""
        cells = "".join(f"{100 * value:>{CELL_WIDTH}.1f}" for value in row)
        return f"{label:<{LABEL_WIDTH}}{cells}"

    def lines(self, rows: Mapping[str, Sequence[float]], *, width: int | None) -> Iterator[str]:
        """Yield the table, with `rows` by their labels, in parts of at most `width` characters."""
        fitting = len(self.tasks) if width is None else max(1, (width - LABEL_WIDTH) // CELL_WIDTH)
        for first in range(0, len(self.tasks), fitting):
            columns = slice(first, first + fitting)
            part = MatrixTable(tasks=self.tasks[columns], zero_shot=self.zero_shot[columns])
            yield from [""] if first else []
            yield part.header()
            yield from (part.line(label, row[columns]) for label, row in rows.items())


def _short(task: str) -> str:
    return task if len(task) < CELL_WIDTH else task[: CELL_WIDTH - 3] + "~" + task[-1]
