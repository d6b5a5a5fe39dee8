"""Logs of this machine, as far as they are of the last hour: the ends of what others write."""

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

HOUR_S = 3600.0
MOST_OF_LINE = 2**14
MOST_OF_FILE, MOST_IN_ALL, MOST_FILES = 2**19, 24 * 2**20, 300
ENDS = frozenset({".log", ".out", ".err", ".txt"})
_STAMP = re.compile(r"\W?(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")


@dataclass(frozen=True, kw_only=True, slots=True)
class LatestLog:
    """The end of a log.

    Attributes:
        name: Its path below the folder that it was found in, behind a name for that.
        text: Its last lines.
    """

    name: str
    text: str


def latest_logs(folders: Sequence[tuple[str, Path]], *, now: float) -> Iterator[LatestLog]:
    """Yield the ends of the logs in some folders, those that were written last first.

    A link is not followed, and a file of somebody else is not read: folders for temporary files
    belong to everybody.

    Args:
        folders: Names and folders; or files.
        now: Seconds since the epoch; what is older than an hour is left out.
    """
    found = sorted(
        {
            path: (changed, f"{name}/{path.relative_to(folder) if path != folder else path.name}")
            for name, folder in folders
            for path, changed in _files(folder)
            if changed > now - HOUR_S
        }.items(),
        key=lambda entry: -entry[1][0],
    )
    left = MOST_IN_ALL
    for path, (_, name) in found[:MOST_FILES]:
        text = _end_of(path, most=min(MOST_OF_FILE, left), since=now - HOUR_S)
        if text:
            left -= len(text)
            yield LatestLog(name=name, text=text)
        if left <= 0:
            return


def _files(folder: Path) -> Iterator[tuple[Path, float]]:
    """Yield regular files of this user and when they were changed, without following links."""
    if folder.is_file() and not folder.is_symlink():
        yield from _own(folder)
        return
    for top, _, names in os.walk(folder, followlinks=False):
        for name in names:
            path = Path(top) / name
            if path.suffix in ENDS:
                yield from _own(path)


def _own(path: Path) -> Iterator[tuple[Path, float]]:
    with suppress(OSError):  # it may be gone by now
        facts = path.lstat()
        if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.getuid():
            yield path, facts.st_mtime


def _end_of(path: Path, *, most: int, since: float) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(handle, "rb") as file, suppress(OSError):
        size = os.fstat(handle).st_size
        file.seek(max(0, size - most))
        text = file.read(most).decode(errors="backslashreplace")
        lines = text.splitlines(keepends=True)
        if size > most:
            lines = lines[1:]  # a part of a line may be a part of a secret
        return "".join(map(_short, _since(lines, since)))
    return ""


def _short(line: str) -> str:
    if len(line) <= MOST_OF_LINE:
        return line
    # Cut between words: the beginning of a secret may be enough of it.
    kept = line[:MOST_OF_LINE].rpartition(" ")[0]
    return f"{kept} … cut, of {len(line)} characters\n"


def _since(lines: list[str], since: float) -> Iterator[str]:
    """Yield lines from the first that is not older; one that says no time is of the one before."""
    is_old = False
    for line in lines:
        at = _time_of(line)
        is_old = is_old if at is None else at < since
        if not is_old:
            yield line


def _time_of(line: str) -> float | None:
    if line.startswith("{"):
        with suppress(ValueError, TypeError, AttributeError, RecursionError):
            return float(json.loads(line)["at"]) if '"at"' in line else None
    if found := _STAMP.match(line):
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(f"{found[1]} {found[2]}").timestamp()
    return None
