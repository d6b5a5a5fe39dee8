"""Drawing for reports: shades, curves, heat maps, images inside a page."""

import io
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import nan
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from adapters.reliability import Bin, Reliability
from harness.answers import Answered, SetMistakes
from workers.images.decode import decode_image

LIBRARIES = ("nacre", "torch", "open_clip_torch", "scikit-learn", "numpy", "pillow")
THUMBNAIL = 96
WIDTH, HEIGHT = 720, 300
SQUARE, MARGIN = 240, 40
"""Of a reliability diagram: its side, and the room for what stands left and below."""
COLORS = (
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7",
    "#9c755f", "#bab0ac", "#1f77b4", "#17becf", "#8c564b",
)  # fmt: skip
DASHES = ("none", "8 3", "2 3", "10 3 2 3", "5 3")
"""So that lines can be told apart without their colours."""
PAPER, DEEP = (255, 255, 255), (8, 64, 129)
NIGHT, BRIGHT = (30, 33, 38), (38, 98, 178)
"""Of a heat map, what nothing and a hundred percent look like, on a light and on a dark page."""
DARK = 70
"""Percent from which a cell's figure is white: either has a contrast of 4.5 on its side of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What every page says besides its figures.

    Attributes:
        versions: Of the libraries, by name.
        fingerprint: Of the encoder.
        collisions: For each name that several tasks share, their classes.
    """

    versions: Mapping[str, str]
    fingerprint: str
    collisions: Mapping[str, Sequence[str]]


def library_versions() -> dict[str, str]:
    """Return the versions of what figures depend on."""
    return {name: version(name) for name in LIBRARIES}


def page(template: str, **content: Any) -> str:
    """Return the page that `template` makes of `content`."""
    environment = Environment(
        loader=PackageLoader("harness.pages", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(
        size=(WIDTH, HEIGHT), square=(SQUARE, MARGIN), **content
    )


def shaded(value: float, *, learnt: bool = False, said: str = "") -> dict[str, Any]:
    """Return a cell of a heat map, from white to deep blue and legible at both ends.

    Args:
        value: Percent.
        learnt: Whether it is set in bold.
        said: How sure it is, where that is known.
    """
    return {
        "value": value,
        "said": said,
        "learnt": learnt,
        "light": _between(PAPER, DEEP, value),
        "dark": _between(NIGHT, BRIGHT, value),
        "fore": "#fff" if value > DARK else "#000",
    }


def _between(first: Sequence[int], last: Sequence[int], percent: float) -> str:
    fraction = min(1.0, max(0.0, percent / 100))
    parts = (
        round(start + (end - start) * fraction) for start, end in zip(first, last, strict=True)
    )
    return f"rgb({','.join(map(str, parts))})"


def line(title: str, place: int, values: Sequence[float]) -> dict[str, Any]:
    """Return the curve number `place` through percentages."""
    return {
        "title": title,
        "color": COLORS[place % len(COLORS)],
        "dashes": DASHES[place % len(DASHES)],
        "points": points(values),
    }


def points(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return where a curve through percentages goes."""
    step = (WIDTH - 60) / max(1, len(values) - 1)
    return [
        (40 + step * place, HEIGHT - 30 - (HEIGHT - 50) * value / 100)
        for place, value in enumerate(values)
    ]


def diagram_bar(of: Bin, within: Reliability) -> dict[str, Any]:
    """Return where a bin stands in a reliability diagram of SQUARE by SQUARE.

    Args:
        of: The bin.
        within: All of them; the largest has the largest dot.
    """
    most = max(each.images for each in within.bins)
    return {
        "x": MARGIN + of.confidence * SQUARE,
        "y": MARGIN / 2 + (1 - of.accuracy) * SQUARE,
        "ideal": MARGIN / 2 + (1 - of.confidence) * SQUARE,
        "radius": 2 + 3 * (of.images / most) ** 0.5,
        "said": f"{of.images} images: probability {of.confidence:.0%}, right {of.accuracy:.0%}",
    }


def picture(
    answer: Answered, content: bytes | None, *, before: str = "", home: str = ""
) -> dict[str, Any]:
    """Return an answer with a small version of its image file, as a page shows it.

    Args:
        answer: What was answered.
        content: The file; None where it has been removed.
        before: What another version has answered.
        home: The task that the image is of, where its answer is of another one.
    """
    return {
        "expected": answer.expected,
        "predicted": answer.predicted,
        "before": before,
        "right": answer.right,
        "confidence": answer.confidence,
        "elsewhere": answer.task if answer.task != (home or answer.set_name) else "",
        "source": None if content is None else _small(answer, content),
    }


def _small(answer: Answered, content: bytes) -> str:
    small = small_picture(content, origin=f"image {answer.image} of {answer.set_name}")
    return "data:image/jpeg;base64," + b64encode(small).decode()


def shown_mistakes(of_set: SetMistakes, read: Callable[[int], bytes | None]) -> dict[str, Any]:
    """Return what a version gets wrong about a set, as a page shows it.

    Args:
        of_set: What it gets wrong.
        read: Returns the file of the set's image at a place.
    """
    return {
        "set_name": of_set.set_name,
        "found": of_set.found,
        "called": lambda name: _called(of_set, name),
        "pictures": [picture(answer, read(answer.image)) for answer in of_set.answered],
    }


def _called(of_set: SetMistakes, class_id: str) -> str:
    """Return the name of a class, with its task where that is another than the set's."""
    name, task = of_set.names[class_id], class_id.partition("/")[0]
    return name if task == of_set.set_name else f"{name} ({task})"


def small_picture(content: bytes, *, origin: str) -> bytes:
    """Return a small JPEG of an image file; ImageError where it is none."""
    picture = decode_image(content, origin=origin)
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=80)
    return written.getvalue()


def pyplot() -> Any:
    """Return matplotlib's pyplot; None where matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_heat_map(
    path: Path, rows: Mapping[str, Sequence[dict[str, Any]]], columns: Sequence[str], *, title: str
) -> Path | None:
    """Write rows of `shaded` cells by label as a PNG to `path`; None where matplotlib is absent."""
    plot = pyplot()
    if plot is None:
        return None
    figure, axes = plot.subplots(figsize=(0.9 * len(columns) + 3, 0.5 * len(rows) + 2))
    # Rows of versions that are measured on what they have learnt are shorter.
    values = [
        [*(cell["value"] for cell in cells), *[nan] * (len(columns) - len(cells))]
        for cells in rows.values()
    ]
    axes.imshow(values, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), list(rows))
    for i, cells in enumerate(rows.values()):
        for j, cell in enumerate(cells):
            color = "white" if cell["value"] > DARK else "black"
            weight = "bold" if cell["learnt"] else "normal"
            written = f"{cell['value']:.1f}"
            axes.text(j, i, written, ha="center", va="center", color=color, weight=weight)
    axes.set_title(title)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plot.close(figure)
    return path
