"""Output of commands: tables and bars for people, one JSON document for machines."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from workers.progress_callbacks import ProgressCallback

PLAIN_WIDTH = 200


def stdout() -> Console:
    """Return the console of results, made anew so that it follows a redirected stdout."""
    # What is not read on a terminal is not folded to a terminal's width.
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(file=sys.stdout, highlight=False, soft_wrap=True, width=width)


def stderr() -> Console:
    """Return the console of progress and errors."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print `value` as JSON, indented where a person looks at it."""
    click.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print `rows` under `columns`, or the sentence `empty` when there are none."""
    if not rows:
        stdout().print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, not markup: what people wrote may hold brackets.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    stdout().print(table)


def bars() -> Progress:
    """Return progress bars on stderr, gone when they are finished."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr(),
        transient=True,
    )


class Bar:
    """One bar for whatever is being done.

    Args:
        progress: Of `bars`.
    """

    # Owns: nothing but the number of its bar.

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar: TaskID | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of `what` are done."""
        if self._bar is None:
            self._bar = self._progress.add_task(what)
        self._progress.update(self._bar, description=what, completed=done, total=total)


@contextmanager
def progress_bar(description: str) -> Iterator[ProgressCallback]:
    """Give a function that moves one bar: units done, units in all."""
    with bars() as progress:
        bar = progress.add_task(description, total=None)

        def report(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        yield report


output_option = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people, one JSON document for machines.",
)
