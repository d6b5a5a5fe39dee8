"""Rows of lists as they are found, and how large a list may be."""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from adapters.errors import SettingsError

COLUMNS = ("path", "label")
MOST_PATH_BYTES = 4096
"""Linux opens nothing longer."""
_SHOWN = 60
_COMPARED = 1000
"""A line of a mebibyte may name a million columns."""
_OTHER_NAMES = {
    **dict.fromkeys(("file", "filename", "file_name", "filepath", "image", "img", "name"), "path"),
    **dict.fromkeys(("class", "category", "target", "y", "species", "label_name"), "label"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ListLimits:
    """The largest list that is read; its rows are limited as everything in a source is.

    Attributes:
        size_bytes: Most bytes of the file: 2 million rows of 128.
        column_bytes: Most bytes of a column of a Parquet file as it is unpacked.
        page_bytes: Most bytes of a page of such a column; programs write one megabyte, or twelve.
        cell_bytes: Most bytes of a cell of such a file, of which a few kilobytes can be a single
            cell of gigabytes.
    """

    size_bytes: int = 256 * 2**20
    column_bytes: int = 512 * 2**20
    page_bytes: int = 32 * 2**20
    cell_bytes: int = MOST_PATH_BYTES


LIMITS = ListLimits()


class Row(NamedTuple):
    """One row as it was found.

    Attributes:
        number: What a person counts.
        path: The cell of the path.
        label: The cell of the label.
        wrong: What is wrong with the row as a whole; empty where it has its cells.
    """

    number: int
    path: object
    label: object
    wrong: str = ""


def columns_of(
    origin: str, found: list[str], *, usable: Collection[str] | None = None
) -> tuple[int, int]:
    """Return where the columns path and label are among those `found` in a list.

    Blanks around their names and capitals make no difference where nothing else tells two apart.

    Args:
        origin: Of the list, for messages.
        found: The names of its columns.
        usable: Those of them that could be path or label; all where None.

    Raises:
        SettingsError: one is not there, or is there twice.
    """
    plain = [name.strip().lower() for name in found]
    for names in (found, plain):
        if all(names.count(name) == 1 for name in COLUMNS):
            return names.index("path"), names.index("label")
    told = [shown_cell(name) for name in found[:20]] + ["…"] * (len(found) > 20)
    twice = [name for name in COLUMNS if plain.count(name) > 1]
    hint = _renaming([name for name in found if usable is None or name in usable])
    raise SettingsError(
        f"expected the columns path and label in {origin}"
        f"{', each once' if twice else ''}, found [{', '.join(told)}]{hint}"
    )


def shown_cell(value: object) -> str:
    """Return a cell as errors quote it, cut where it is long."""
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str | bytes) else repr(value)
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}…"


def _renaming(found: list[str]) -> str:
    """Return which of the columns are probably meant, of all that are missing."""
    plain = {name.strip().lower(): name for name in found[:_COMPARED]}
    renamed = []
    for name in COLUMNS:
        if name in plain:
            continue
        meant = next((plain[other] for other in plain if _OTHER_NAMES.get(other) == name), None)
        near = get_close_matches(name, list(plain), n=1, cutoff=0.75)
        if meant or near:
            renamed.append(f"{shown_cell(meant or plain[near[0]])} {name}")
    return f"; call {' and '.join(renamed)}" if renamed else _FIRST_ROW


_FIRST_ROW = "; the first row names the columns: put the row path,label before the others"
