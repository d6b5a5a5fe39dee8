"""Table of submissions, as `status` prints it."""

from collections import Counter

from cluster.cli.progress import why_ended
from cluster.cli.terminal.output import stdout
from cluster.cli.terminal.tables import print_table
from workers.queue.progress import State
from workers.queue.ticket import ENDED

MOST_SHOWN = 60


def print_states(states: list[State], *, everything: bool) -> None:
    """Print where submissions are; where there are too many, the most telling ones."""
    shown = states if everything else _most_telling(states)
    columns = (
        *("submission", "adapter", "stage", "progress", "rate", "left"),
        *("version", "attempts", "last error"),
    )
    rows = [_row(state) for state in shown]
    empty = "no submissions; add one with `nacre submit task.yaml`"
    print_table(columns, rows, empty=empty, prose=("last error",))
    if len(shown) < len(states):
        counts = Counter(state.ticket.stage.value for state in states)
        told = ", ".join(f"{count:,} {stage}" for stage, count in counts.items())
        stdout().print(f"{len(states) - len(shown):,} more (in all: {told}); --all shows them")


def _most_telling(states: list[State]) -> list[State]:
    """Return all states, or where there are too many the first open ones, in their order."""
    if len(states) <= MOST_SHOWN:
        return states
    open_ones = [state for state in states if state.ticket.stage not in ENDED]
    chosen = (open_ones or states[::-1])[:MOST_SHOWN]
    return sorted(chosen, key=lambda state: state.ticket.accepted_at)


def _row(state: State) -> tuple[object, ...]:
    ticket, progress = state.ticket, state.progress
    left = progress.left_s if progress else None
    rate = progress.rate if progress else None
    return (
        ticket.submission_id,
        ticket.adapter,
        ticket.stage.value,
        f"{state.done}/{state.total}" if state.total else "",
        f"{rate:.1f}/s" if rate else "",
        f"{left:.0f} s" if left is not None else "",
        ticket.version,
        ticket.attempts or "",
        why_ended(ticket),
    )
