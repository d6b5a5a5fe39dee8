"""Drawing for reports: shades, curves, heat maps, images inside a page."""

import io
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import nan
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from harness.answers import Answered
from workers.images.decode import decode_image

LIBRARIES = ("nacre", "torch", "open_clip_torch", "scikit-learn", "numpy", "pillow")
THUMBNAIL = 96
WIDTH, HEIGHT = 720, 300
COLORS = (
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7",
    "#9c755f", "#bab0ac", "#1f77b4", "#17becf", "#8c564b",
)  # fmt: skip
DARK = 55
"""Percent from which a cell's figure is white."""


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
    return environment.get_template(template).render(size=(WIDTH, HEIGHT), **content)


def shaded(value: float, *, learnt: bool = False, half: float | None = None) -> dict[str, Any]:
    """Return a cell of a heat map, from white to deep blue and legible at both ends.

    Args:
        value: Percent.
        learnt: Whether it is set in bold.
        half: Half of its confidence interval, where there is one.
    """
    fraction = min(1.0, max(0.0, value / 100))
    red, green, blue = (round(255 + (end - 255) * fraction) for end in (8, 64, 129))
    return {
        "value": value,
        "half": half,
        "learnt": learnt,
        "back": f"rgb({red},{green},{blue})",
        "fore": "#fff" if value > DARK else "#222",
    }


def points(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return where a curve through percentages goes."""
    step = (WIDTH - 60) / max(1, len(values) - 1)
    return [
        (40 + step * place, HEIGHT - 30 - (HEIGHT - 50) * value / 100)
        for place, value in enumerate(values)
    ]


def pictures(answered: Sequence[tuple[Answered, bytes]]) -> Iterator[dict[str, Any]]:
    """Yield answers with small versions of their image files, as a page shows them."""
    for answer, content in answered:
        picture = decode_image(content, origin=f"image {answer.image} of {answer.set_name}")
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
        written = io.BytesIO()
        picture.save(written, "JPEG", quality=80)
        yield {
            "answer": answer,
            "source": "data:image/jpeg;base64," + b64encode(written.getvalue()).decode(),
        }


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
