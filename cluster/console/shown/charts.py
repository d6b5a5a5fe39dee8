"""Charts as SVG without styles or scripts: curves, columns, spans, the line of versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.wire.versions import PublishedVersion

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 12, 28
STEPS_OF_HEAT = 10
LANE = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One line of a chart.

    Attributes:
        title: What it is of.
        dash: Its pattern, so that lines differ without colour.
        color: The number of its colour.
        points: `x,y x,y …`, each piece without a gap.
        ends: Where its last point is.
        last: Its last value, as it is written.
    """

    title: str
    dash: str
    color: int
    points: tuple[str, ...]
    ends: tuple[float, float]
    last: str


DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2")
COLORS = 6


def curves(lines: Mapping[str, Sequence[float | None]]) -> list[Curve]:
    """Return lines of fractions, oldest first; None leaves a gap."""
    longest = max((len(values) for values in lines.values()), default=0)
    step = (WIDTH - LEFT - RIGHT) / max(1, longest - 1)
    found = []
    for number, (title, values) in enumerate(lines.items()):
        placed = [
            None if value is None else (LEFT + step * index, _height(value))
            for index, value in enumerate(values)
        ]
        there = [point for point in placed if point is not None]
        if not there:
            continue
        known = [value for value in values if value is not None]
        found.append(
            Curve(
                title=title,
                dash=DASHES[number % len(DASHES)],
                color=number % COLORS,
                points=tuple(_pieces(placed)),
                ends=there[-1],
                last=f"{100 * known[-1]:.1f} %",
            )
        )
    return found


def _height(fraction: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, max(0.0, fraction)))


def _pieces(placed: Sequence[tuple[float, float] | None]) -> list[str]:
    pieces: list[list[str]] = [[]]
    for point in placed:
        if point is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{point[0]:.1f},{point[1]:.1f}")
    return [" ".join(piece) for piece in pieces if piece]


def heat(fraction: float | None) -> int | None:
    """Return the step of a shade, 0 to 10; None where there is nothing to shade."""
    return None if fraction is None else round(STEPS_OF_HEAT * min(1.0, max(0.0, fraction)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a chart.

    Attributes:
        x: Where it begins.
        y: Its top.
        height: How high it is.
        title: What it stands for.
    """

    x: float
    y: float
    height: float
    title: str


def columns(values: Sequence[tuple[str, int]]) -> list[Column]:
    """Return columns for named counts."""
    most = max((number for _, number in values), default=0) or 1
    step = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    room = HEIGHT - TOP - BOTTOM
    return [
        Column(
            x=LEFT + step * index,
            y=TOP + room * (1 - number / most),
            height=room * number / most,
            title=title,
        )
        for index, (title, number) in enumerate(values)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One stage on a line of time.

    Attributes:
        name: The stage.
        x: Where it begins, in percent of all.
        width: How long it is, in percent of all.
        seconds: How long it took.
    """

    name: str
    x: float
    width: float
    seconds: float


def spans(stages: Sequence[tuple[str, float, float]]) -> list[Span]:
    """Return named stages with their beginning and end in seconds, on one line of time."""
    if not stages:
        return []
    first, last = stages[0][1], max(end for _, _, end in stages)
    whole = max(last - first, 1e-9)
    return [
        Span(
            name=name,
            x=100 * (begin - first) / whole,
            width=max(0.4, 100 * (end - begin) / whole),
            seconds=end - begin,
        )
        for name, begin, end in stages
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One row of the line of versions.

    Attributes:
        number: The version of the row.
        x: Where its point is, in pixels.
        lines: What passes through the row: from where to where in pixels, each with its height in
            percent of the row.
    """

    number: int
    x: int
    lines: tuple[tuple[int, int, int, int], ...]


def tree(versions: Sequence[PublishedVersion]) -> list[Node]:
    """Return versions, the newest first, on lanes: a version that is no first child has its own."""
    rows = {version.number: row for row, version in enumerate(versions)}
    lanes = _lanes(versions)
    lines: list[list[tuple[int, int, int, int]]] = [[] for _ in versions]
    for version in versions:
        row, x, parent = rows[version.number], _x(lanes[version.number]), version.parent or 0
        if parent not in rows:
            continue
        lines[row].append((x, 50, x, 100))
        for passed in range(row + 1, rows[parent]):
            lines[passed].append((x, 0, x, 100))
        lines[rows[parent]].append((x, 0, _x(lanes[parent]), 50))
    return [
        Node(number=version.number, x=_x(lanes[version.number]), lines=tuple(lines[row]))
        for row, version in enumerate(versions)
    ]


def _lanes(versions: Sequence[PublishedVersion]) -> dict[int, int]:
    lanes: dict[int, int] = {}
    taken: set[int] = set()
    for version in reversed(versions):  # the oldest first
        parent = version.parent or 0
        is_first = parent in lanes and parent not in taken
        lanes[version.number] = lanes[parent] if is_first else len(set(lanes.values()))
        taken.add(parent)
    return lanes


def _x(lane: int) -> int:
    return LANE // 2 + 2 + lane * LANE
