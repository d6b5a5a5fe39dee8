"""Tables for people: one line per row in a pipe, and on a terminal as wide as that is.

Words are never broken: ids and versions are copied. Columns without content are left out. What does
not fit side by side is printed below each other, a block per row.
"""

import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from adapters.errors import one_line
from cluster.cli.terminal.output import say, stdout

GAP = 2
KEPT_TOGETHER = "\N{NO-BREAK SPACE}"
"""A space at which no line ends; printed as any other."""
LEAST_PROSE = 24
"""Characters; sentences in narrower columns are no pleasure to read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Laid:
    """A table as lines.

    Attributes:
        head: The names of the columns; None where each row is a block that names them.
        lines: The rows.
    """

    head: str | None
    lines: tuple[str, ...]


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    empty: str,
    prose: Collection[str] = (),
) -> None:
    """Print `rows` under `columns`, or the sentence `empty` when there are none.

    Args:
        columns: Their names.
        rows: Their cells; None is nothing.
        empty: Said instead of no rows.
        prose: Columns of sentences, which may go on in further lines.
    """
    if not rows:
        say(empty)
        return
    laid = laid_out(columns, rows, prose=prose, width=screen_width())
    if laid.head is not None:
        stdout().print(Text(laid.head, style="bold"))
    for line in laid.lines:
        say(line)


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print what is known of one thing, a name and a value a line; nothing of what is unknown.

    A list goes on in a further line only between two of its parts.
    """
    nothing: tuple[object, ...] = ("", [], None)
    known = [(name, one_line(_joined(value))) for name, value in facts if value not in nothing]
    indent = 2 + max((cell_len(name) for name, _ in known), default=0) + 1
    width = screen_width()
    for name, value in known:
        first, *rest = [value] if width is None else _wrapped(value, max(1, width - indent))
        for label, line in ((f"  {name}", first), *(("", line) for line in rest)):
            say(f"{label:<{indent}}{line.replace(KEPT_TOGETHER, ' ')}")


def _joined(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return ", ".join(str(part).replace(" ", KEPT_TOGETHER) for part in value)


def screen_width() -> int | None:
    """Return the width of the terminal in characters; None where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def laid_out(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    prose: Collection[str],
    width: int | None,
) -> Laid:
    """Return the table in at most `width` characters, where that can be; None for any width."""
    cells = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    kept = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    names = [columns[place] for place in kept]
    shown = [[row[place] for place in kept] for row in cells]
    widths = _widths(names, shown, prose=prose, width=width)
    if widths is None:
        assert width is not None
        blocks = [line for row in shown for line in _block(names, row, width)]
        return Laid(head=None, lines=tuple(blocks))
    lines = [line for row in shown for line in _lines(row, widths)]
    return Laid(head=_line(names, widths), lines=tuple(lines))


def _widths(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    prose: Collection[str],
    width: int | None,
) -> list[int] | None:
    """Return the widths of the columns side by side; None where they do not fit."""
    whole = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
    over = 0 if width is None else sum(whole) + GAP * (len(whole) - 1) - width
    if over <= 0:
        return whole
    # The widest column of sentences gives way, down to its longest word.
    yielding = [place for place, name in enumerate(names) if name in prose]
    if not yielding:
        return None
    widest = max(yielding, key=lambda place: whole[place])
    words = (word for row in rows for word in row[widest].split())
    least = max(LEAST_PROSE, *map(cell_len, words), cell_len(names[widest]))
    whole[widest] -= over
    return whole if whole[widest] >= least else None


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of one row; only sentences take more than one."""
    parts = [
        _wrapped(cell, width) if cell_len(cell) > width else [cell]
        for cell, width in zip(row, widths, strict=True)
    ]
    for place in range(max(map(len, parts))):
        yield _line([part[place] if place < len(part) else "" for part in parts], widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    return (" " * GAP).join(padded).rstrip()


def _block(names: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """Yield the lines of one row below each other: its first cell, and what is said of it."""
    yield f"{names[0]} {row[0]}".rstrip() if row[0] else ""
    indent = 2 + max(map(cell_len, names[1:]), default=0) + GAP
    for name, cell in zip(names[1:], row[1:], strict=True):
        if cell:
            first, *rest = _wrapped(cell, max(1, width - indent))
            yield f"  {name}".ljust(indent) + first
            yield from (" " * indent + line for line in rest)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
