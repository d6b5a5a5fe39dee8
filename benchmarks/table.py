"""The figures of a benchmark: printed as a table, written as JSON, and judged by their bars."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure.

    Attributes:
        figure: What was measured.
        value: The measurement.
        unit: Its unit.
        bar: What it has to reach, in words; None where nothing is asked of it.
        holds: Whether it does; None without a bar.
    """

    figure: str
    value: float | str
    unit: str = ""
    bar: str | None = None
    holds: bool | None = None


def report(name: str, rows: Sequence[Row], out: Path = OUT) -> int:
    """Print `rows`, write them to NAME.json in `out`, and return the exit code.

    Returns:
        0 when every bar holds, 1 otherwise.
    """
    lines = []
    for row in rows:
        value = row.value if isinstance(row.value, str) else f"{row.value:,.6g}"
        holds = {True: "yes", False: "NO", None: ""}[row.holds]
        lines.append([row.figure, value, row.unit, row.bar or "", holds])
    grid(name, ["figure", "value", "unit", "bar", "holds"], lines)
    return judged(name, rows, out)


def kept_rows(name: str, out: Path = OUT) -> list[Row] | None:
    """Return the rows that `report` has written under `name`; None where there are none."""
    path = out / f"{name}.json"
    return [Row(**row) for row in json.loads(path.read_text())] if path.exists() else None


def grid(name: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print `lines` under `headings`; the first column is words, the others are figures."""
    table = Table(title=name)
    for heading in headings:
        words = heading in (headings[0], "unit", "bar", "holds")
        table.add_column(heading, justify="left" if words else "right")
    for line in lines:
        table.add_row(*line)
    Console(width=140).print(table)


def judged(name: str, rows: Sequence[Row], out: Path = OUT) -> int:
    """Write `rows` to NAME.json in `out`; say which bars do not hold, and return the code."""
    out.mkdir(exist_ok=True)
    half = out / f".{name}.json"  # who is stopped while writing leaves what was there
    half.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    half.replace(out / f"{name}.json")
    failed = [row for row in rows if row.holds is False]
    for row in failed:
        print(f"{row.figure}: {row.value} {row.unit} ({row.bar}): does not hold")
    return 1 if failed else 0
