"""Costly sources: small files that are made to cost much where they are read without bounds."""

import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet

from tests.support.conformance.sources import header, tar

GIGABYTE = 2**30
MEGABYTE = 2**20
END = bytes(1024)
LABEL = b"a" + bytes(511)


@dataclass(frozen=True, kw_only=True, slots=True)
class Costly:
    """A costly source.

    Attributes:
        write: Writes it to a path; what is not written of a long file takes no disk.
        message: What the refusal says; empty where it is read.
        peak_bytes: Most memory that reading it takes.
        places: Where it is read: "local" and "stored"; in one alone where that takes seconds.
    """

    write: Callable[[Path], object]
    message: str = ""
    peak_bytes: int = 32 * MEGABYTE
    places: tuple[str, ...] = ("local", "stored")


def _holed(*pieces: bytes | int) -> Callable[[Path], None]:
    """Return what writes a file of pieces, and of holes of so many bytes."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            for piece in pieces:
                if isinstance(piece, int):
                    file.truncate(file.tell() + piece)
                    file.seek(piece, io.SEEK_CUR)
                else:
                    file.write(piece)

    return write


def _parquet(
    kind: pyarrow.DataType, letter: str | bytes, length: int, rows: int
) -> Callable[[Path], None]:
    """Return what writes a Parquet list of one cell, of so many equal letters, again and again."""

    def write(path: Path) -> None:
        indices = pyarrow.array([0] * rows, pyarrow.int32())
        dictionary = pyarrow.array([letter * length], kind)  # here: it takes as much memory
        paths = pyarrow.DictionaryArray.from_arrays(indices, dictionary)
        table = pyarrow.table({"path": paths, "label": paths})
        pyarrow.parquet.write_table(
            table,
            path,
            compression="zstd",
            dictionary_pagesize_limit=GIGABYTE,
            write_statistics=False,
        )

    return write


def _labels(number: int) -> bytes:
    """Return so many labels of nothing."""
    names = (f"{each}.cls" for each in range(number))
    return b"".join(header(name, size=1, kind=tarfile.REGTYPE) + LABEL for name in names)


_DEEP = tar([("1.jpg", b"x"), ("1.json", b"[" * MEGABYTE)])

COSTLY: dict[str, Costly] = {
    "attributes.tar": Costly(
        write=_holed(header("x", size=GIGABYTE, kind=tarfile.XHDTYPE), GIGABYTE, END),
        message="bytes of names and attributes of one member",
    ),
    "name.tar": Costly(
        write=_holed(header("x", size=GIGABYTE, kind=tarfile.GNUTYPE_LONGNAME), GIGABYTE, END),
        message="bytes of names and attributes of one member",
    ),
    "label.tar": Costly(
        write=_holed(
            header("1.jpg", size=0, kind=tarfile.REGTYPE),
            header("1.cls", size=GIGABYTE, kind=tarfile.REGTYPE),
            GIGABYTE,
            END,
        ),
        message="has no label: 1.cls has more than 1048576 bytes",
    ),
    "image.tar": Costly(
        write=_holed(
            header("1.jpg", size=GIGABYTE, kind=tarfile.REGTYPE), GIGABYTE, tar([("1.cls", b"a")])
        ),
    ),
    "tail.tar": Costly(
        write=_holed(tar([("1.jpg", b"x"), ("1.cls", b"a")]), GIGABYTE),
        message="zeros there",
    ),
    "deep.tar": Costly(write=lambda path: path.write_bytes(_DEEP), message="is no JSON"),
    "labels.tar": Costly(
        write=lambda path: path.write_bytes(_labels(30_000) + END),
        message="30000 samples cannot be used",
    ),
    "line.csv": Costly(write=_holed(b"path,label\n", GIGABYTE), message="in lines of less than"),
    "same.csv": Costly(
        write=lambda path: path.write_bytes(b"path,label\n" + b"a,b\n" * 300_000),
        message="expected paths of images",
        peak_bytes=5 * MEGABYTE,  # 17 bytes a row
        places=("stored",),
    ),
    "empty.csv": Costly(
        write=lambda path: path.write_bytes(b"path,label\n" + b"\n" * 20_000_000),
        message="expected at most 2000000 rows",
    ),
    "wrong.csv": Costly(
        write=lambda path: path.write_bytes(b"path,label\n" + b"a\n" * 200_000),
        message="200000 rows of ",
    ),
    "rows.parquet": Costly(
        write=_parquet(pyarrow.string(), "a", 1, 13_000_000),
        message="expected at most 2000000 rows",
    ),
    "cell.parquet": Costly(
        write=_parquet(pyarrow.string(), "a", 200_000_000, 3),
        message="bytes in the column path",
    ),
    # many rows, so that the column may be large: one text is told by its own length
    "cells.parquet": Costly(
        write=_parquet(pyarrow.string(), "a", 30_000_000, 12_000),
        message="bytes in a cell of the column path",
        peak_bytes=320 * MEGABYTE,
    ),
    "page.parquet": Costly(
        write=_parquet(pyarrow.string(), "a", 40_000_000, 12_000),
        message="expected pages of at most 33554432 bytes in the column path",
    ),
    # such cells are unpacked one by one, however often the file says the same
    "fixed.parquet": Costly(
        write=_parquet(pyarrow.binary(MEGABYTE // 8), b"a", MEGABYTE // 8, 1_000),
        message="text or whole numbers in the column path",
    ),
}
"""By the name of the file."""
