"""Table of submissions, as `status` prints it."""

from collections import Counter

from cluster.cli.terminal.output import stdout
from cluster.cli.terminal.tables import print_table
from cluster.wire.tasks import TaskState
from workers.queue.ticket import ENDED, Stage

MOST_SHOWN = 60
WHY = "note or last error"


def print_states(states: list[TaskState], *, everything: bool) -> None:
    """Print where submissions are; where there are too many, the most telling ones."""
    shown = states if everything else _most_telling(states)
    columns = (
        *("submission", "adapter", "stage", "progress", "rate", "left"),
        *("version", "attempts", WHY),
    )
    rows = [_row(state) for state in shown]
    empty = "no submissions; add one with `nacre submit task.yaml`"
    print_table(columns, rows, empty=empty, prose=(WHY,))
    if len(shown) < len(states):
        counts = Counter(state.stage for state in states)
        told = ", ".join(f"{count:,} {stage}" for stage, count in counts.items())
        stdout().print(f"{len(states) - len(shown):,} more (in all: {told}); --all shows them")


def why_ended(state: TaskState) -> str:
    """Return why a submission has ended as it has, or why it was tried in vain."""
    return state.note or ("" if state.stage == Stage.PUBLISHED else state.error or "")


def _most_telling(states: list[TaskState]) -> list[TaskState]:
    """Return all states, or where there are too many the first open ones, in their order."""
    if len(states) <= MOST_SHOWN:
        return states
    open_ones = [state for state in states if state.stage not in ENDED]
    chosen = (open_ones or states[::-1])[:MOST_SHOWN]
    return sorted(chosen, key=lambda state: state.accepted_at)


def _row(state: TaskState) -> tuple[object, ...]:
    return (
        state.submission_id,
        state.adapter,
        state.stage,
        f"{state.done}/{state.total}" if state.total else "",
        f"{state.rate:.1f}/s" if state.rate else "",
        f"{state.left_s:.0f} s" if state.left_s is not None else "",
        state.version,
        state.attempts or "",
        why_ended(state),
    )
