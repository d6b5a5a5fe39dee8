"""The accuracy matrix as people see it: a line per version, and a heat map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LABEL_WIDTH = 20
CELL_WIDTH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixTable:
    """An accuracy matrix that grows by a row with every version.

    Attributes:
        tasks: The columns.
        zero_shot: Accuracy of the encoder alone, per task.
        rows: Accuracy after each task, per task.
        labels: Of the rows; after which task each was measured unless it is said.
    """

    tasks: tuple[str, ...]
    zero_shot: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...] = ()
    labels: tuple[str, ...] = ()

    def header(self) -> str:
        """Return the line above the rows."""
        names = "".join(f"{_short(task):>{CELL_WIDTH}}" for task in self.tasks)
        return f"{'accuracy on (%)':<{LABEL_WIDTH}}{names}"

    def line(self, label: str, row: Sequence[float]) -> str:
        """Return one row."""
        cells = "".join(f"{100 * value:>{CELL_WIDTH}.1f}" for value in row)
        return f"{label:<{LABEL_WIDTH}}{cells}"


def draw_matrix(matrix: MatrixTable, path: Path) -> Path | None:
    """Write `matrix` as a PNG to `path`; None where matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    mpl.use("Agg")
    from matplotlib import pyplot

    after = matrix.labels or tuple(f"after {task}" for task in matrix.tasks)
    labels = ["zero-shot", *after[: len(matrix.rows)]]
    values = [[100 * value for value in row] for row in (matrix.zero_shot, *matrix.rows)]
    figure, axes = pyplot.subplots(figsize=(1.3 * len(matrix.tasks) + 3, 0.55 * len(values) + 2))
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(matrix.tasks)), matrix.tasks, rotation=25, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            color = "black" if value > 60 else "white"
            weight = "bold" if 0 <= j < i else "normal"
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", color=color, weight=weight)
    axes.set_title("accuracy (%) on held-out images; bold: learnt")
    figure.colorbar(image, ax=axes)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    return path


def _short(task: str) -> str:
    return task if len(task) < CELL_WIDTH else task[: CELL_WIDTH - 3] + "~" + task[-1]
