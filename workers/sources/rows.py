"""Rows of lists as they are found, and how large a list may be."""

import io
from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

from adapters.errors import SettingsError
from workers.sources.places.place import Place

MOST_LINE = 2**20
_READ_AHEAD = 2**20
MOST_PATH_BYTES = 4096
"""Linux opens nothing longer."""


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


class Unlabelled:
    """The label of a row that nobody has given a class yet."""


UNLABELLED = Unlabelled()


class Row(NamedTuple):
    """One row as it was found.

    Attributes:
        number: What a person counts.
        path: The cell of the path.
        label: The cell of the label.
        wrong: What is wrong with the row as a whole; empty where it has its cells.
        split: The cell of the split, where one was asked for.
    """

    number: int
    path: object
    label: object
    wrong: str = ""
    split: object = None


def lines_of(place: Place, name: str) -> Generator[bytes]:
    """Yield the lines of a file, none of which is read beyond a limit.

    Raises:
        SettingsError: it is too large, or a line is.
        NotFoundError: it cannot be read.
    """
    size = 0
    with io.BufferedReader(place.opened(name), _READ_AHEAD) as file:
        while line := file.readline(MOST_LINE):
            size += len(line)
            if size > LIMITS.size_bytes or len(line) == MOST_LINE:
                raise too_long(place.origin(name))
            yield line


def too_long(origin: str) -> SettingsError:
    """Return that a list, or a line of it, is over the limit."""
    return SettingsError(
        f"expected a list of at most {LIMITS.size_bytes} bytes in lines of less than {MOST_LINE} "
        f"at {origin}, found more"
    )
