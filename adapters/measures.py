"""Continual-learning metrics: transfer, average, last, backward transfer, forgetting.

Shapes: K tasks; row j of the matrix is measured after learning task j, column k on task k's images
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from adapters.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinualMeasures:
    """Figures of an accuracy matrix, in the matrix's unit.

    Attributes:
        transfer: Mean over tasks 2..K of the accuracy before the task was learnt, averaged task by
            task and then over tasks. None with one task.
        average: Mean of the whole matrix.
        last: Mean of the last row.
        backward_transfer: Mean over tasks 1..K-1 of last row minus diagonal. None with one task.
        forgetting: Mean over tasks 1..K-1 of the best accuracy since the task was learnt minus the
            last one. None with one task.
        transfer_by_task: Mean above the diagonal, per task; None for the first.
        average_by_task: Column means.
        last_by_task: The last row.
    """

    transfer: float | None
    average: float
    last: float
    backward_transfer: float | None
    forgetting: float | None
    transfer_by_task: tuple[float | None, ...]
    average_by_task: tuple[float, ...]
    last_by_task: tuple[float, ...]


def continual_measures(matrix: Sequence[Sequence[float]]) -> ContinualMeasures:
    """Return the figures of a K x K accuracy matrix.

    Transfer is the mean of column means. The mean of all cells above the diagonal is another number
    and weighs late tasks more.

    Args:
        matrix: matrix[j][k] is the accuracy on task k after learning task j.

    Raises:
        InputError: no tasks, or not a square matrix.
    """
    tasks = len(matrix)
    if tasks == 0 or any(len(row) != tasks for row in matrix):
        raise InputError(
            f"accuracy matrix: expected as many columns as rows, found {tasks} rows of "
            f"{sorted({len(row) for row in matrix})} columns"
        )
    columns = list(zip(*matrix, strict=True))
    transfers = [fmean(column[:task]) for task, column in enumerate(columns) if task > 0]
    learnt = list(enumerate(columns))[:-1]
    averages = tuple(fmean(column) for column in columns)
    last = tuple(matrix[-1])
    return ContinualMeasures(
        transfer=fmean(transfers) if transfers else None,
        average=fmean(averages),
        last=fmean(last),
        backward_transfer=fmean(column[-1] - column[task] for task, column in learnt)
        if learnt
        else None,
        forgetting=fmean(max(column[task:]) - column[-1] for task, column in learnt)
        if learnt
        else None,
        transfer_by_task=(None, *transfers),
        average_by_task=averages,
        last_by_task=last,
    )
