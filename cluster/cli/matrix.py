"""The accuracy matrix printed in a terminal: a line per version."""

from collections.abc import Sequence
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


def _short(task: str) -> str:
    return task if len(task) < CELL_WIDTH else task[: CELL_WIDTH - 3] + "~" + task[-1]
