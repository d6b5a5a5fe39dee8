"""Output of commands: sentences and bars for people, JSON for machines."""

import json
import logging
import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.table import Column
from rich.text import Text

from adapters.errors import printable
from workers.progress_callbacks import ProgressCallback

BAR_WIDTH = 20
COMMAND = re.compile(r"`[^`]+`")
NO_BREAK = "\0"
SIGN_S = 30.0
UNKNOWN_WIDTH = 80
BESIDE_BAR = 80
"""A terminal of fewer columns has room for what is done and for times, and not for a bar."""


def stdout() -> Console:
    """Return the console of results, made anew so that it follows a redirected stdout."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Return the console of progress and errors."""
    return _console(sys.stderr)


def say(sentence: str) -> None:
    """Print a sentence, and names in it as they are."""
    stdout().print(sentence)


def note(sentence: str) -> None:
    """Say on stderr what is no result; nothing where machines read."""
    if not for_machines():
        stderr().print(sentence)


def warn(*sentences: str | None) -> None:
    """Say on stderr what may not be as whoever asked thinks; nothing where it is."""
    for sentence in sentences:
        if sentence:
            note(f"note: {sentence}")


class Notes(logging.Handler):
    """Says what the client has logged as notes on stderr, such as that it waits.

    Made by the command that runs; what it logs may come from other threads.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_silent = for_machines()

    def emit(self, record: logging.LogRecord) -> None:
        """Say one."""
        if not self._is_silent:
            stderr().print(f"note: {record.getMessage()}")


def for_machines() -> bool:
    """Return whether the command that runs was asked for JSON."""
    context = click.get_current_context(silent=True)
    return context is not None and context.params.get("output") == "json"


def print_json(value: Any) -> None:
    """Print `value` as one JSON document, indented where a person looks at it."""
    click.echo(_as_json(value, indent=2 if sys.stdout.isatty() else None))


def print_json_line(value: Any) -> None:
    """Print `value` as a line of JSON, at once."""
    click.echo(_as_json(value, indent=None))
    sys.stdout.flush()


def print_json_error(value: Any) -> None:
    """Print an error as a line of JSON on stderr."""
    click.echo(_as_json(value, indent=None), err=True)


def bars() -> Progress:
    """Return progress bars on stderr, gone when they are finished; nothing where nobody looks."""
    console = stderr()
    looked_at = console.is_terminal and not console.is_dumb_terminal
    times = (
        ("elapsed", TimeElapsedColumn(table_column=Column(no_wrap=True))),
        ("left", TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True))),
    )
    narrow = console.width < BESIDE_BAR
    columns: list[ProgressColumn | str] = [
        _What(),
        *([] if narrow else [BarColumn(bar_width=BAR_WIDTH, table_column=Column(no_wrap=True))]),
        _Count(table_column=Column(no_wrap=True)),
        *(part for pair in times for part in pair),
    ]
    return Progress(*columns, console=console, transient=True, disable=not looked_at)


class _What(ProgressColumn):
    """What is being done: alone it gives way where a terminal is narrow, and is cut at its end."""

    def render(self, task: RichTask) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Count(MofNCompleteColumn):
    """What is done of what there is to do; nothing where nobody knows how much that is."""

    def render(self, task: RichTask) -> Text:
        return super().render(task) if task.total is not None else Text()


class Bar:
    """One bar for whatever is being done; in logs, a line for everything that is begun.

    Args:
        progress: Of `bars`.
    """

    # Owns: the number of its bar, and what was begun last.

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar: TaskID | None = None
        self._begun = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of `what` are done."""
        if self._progress.disable and what != self._begun:
            note(what)
        self._begun = what
        if self._bar is None:
            self._bar = self._progress.add_task(what)
        self._progress.update(self._bar, description=what, completed=done, total=total or None)


@contextmanager
def progress_bar(description: str) -> Iterator[ProgressCallback]:
    """Give a function that moves one bar: units done, units in all."""
    with bars() as progress:
        bar = progress.add_task(description, total=None)

        def report(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        yield report


@contextmanager
def waiting(description: str, *, every_s: float = SIGN_S) -> Iterator[None]:
    """Show that something lasts of which nobody knows how far it is: a bar, or lines in a log.

    Args:
        description: What it is.
        every_s: How often a log is told that it goes on, in seconds.
    """
    with bars() as progress:
        progress.add_task(description, total=None)
        if not progress.disable or for_machines():
            yield
            return
        note(description)
        ended, began = threading.Event(), time.monotonic()

        def tell() -> None:
            while not ended.wait(every_s):
                note(f"{description}: {time.monotonic() - began:.0f} s so far")

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()


output_option = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people, JSON for machines.",
)


def _console(stream: Any) -> Console:
    # NO_COLOR leaves bold type to rich; plain text is what people mean by it.
    colours = None if os.environ.get("NO_COLOR") else "auto"
    # Some shells and containers say that there are no columns, which is as if nobody had said it.
    width = UNKNOWN_WIDTH if re.fullmatch("0+", os.environ.get("COLUMNS", "")) else None
    return _Console(
        file=stream,
        width=width,
        highlight=False,
        soft_wrap=True,
        markup=False,
        emoji=False,
        color_system=colours,  # type: ignore[arg-type]
    )


class _Console(Console):
    """Prints sentences as they are: names in them may hold brackets, and words between colons.

    On a terminal they are wrapped between words, and commands in them nowhere, so that these can be
    copied: where one is longer than a line, the terminal wraps it.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, sentences wrapped, and without what no terminal should be sent."""
        super().print(*map(self._as_written, objects), **options)

    def _as_written(self, each: Any) -> Any:
        if not isinstance(each, str):
            return each
        text = printable(each)
        return _wrapped(text, self.width) if self.is_terminal else text


def _wrapped(text: str, width: int) -> str:
    """Return `text` in lines of at most `width` columns, as far as words and commands allow it."""
    lines = text.split("\n")
    return "\n".join(line if len(line) <= width else _lines(line, width) for line in lines)


def _lines(line: str, width: int) -> str:
    kept = COMMAND.sub(lambda found: found[0].replace(" ", NO_BREAK), line)
    indent = " " * (len(line) - len(line.lstrip()))
    filled = textwrap.fill(
        kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace(NO_BREAK, " ")


def _as_json(value: Any, *, indent: int | None) -> str:
    return json.dumps(value, indent=indent, default=_plain)


def _plain(value: object) -> object:
    from pydantic import BaseModel  # takes as long as all the rest of `nacre --version`

    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
