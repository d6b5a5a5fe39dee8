"""Bounded text: the beginning and the end of what is written, and how much between is left out."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from adapters.errors import printable

HEAD_BYTES = 32 * 1024
TAIL_BYTES = 96 * 1024
ENTRY_CHARACTERS = 12_000
"""Of one entry; of a longer one the middle is left out."""
CLEAN_CUT = 1024
"""Where an entry is cut, so many characters more go, so that no part of a secret stays behind: its
form would not be recognised, and it has no break."""


@dataclass(slots=True)
class _Entry:
    text: str
    size: int
    is_masked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What is kept of a text.

    Attributes:
        head: Its beginning.
        tail: Its end, where that is not all in `head`.
        left_out_bytes: How much stood between them.
    """

    head: str
    tail: str = ""
    left_out_bytes: int = 0


class BoundedText:
    """Takes entries in, and keeps the first and the last ones. Safe between threads.

    Args:
        masked: Removes what nobody may read. It is asked about what is kept alone, when that is
            read: much may be written in a short time.
    """

    # Owns: the entries, guarded by `_lock`; what is in one is changed by whoever reads alone,
    # under `_reading`.

    def __init__(self, masked: Callable[[str], str]) -> None:
        self._masked = masked
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._head: list[_Entry] = []
        self._tail: deque[_Entry] = deque()
        self._head_left, self._tail_size, self._left_out = HEAD_BYTES, 0, 0
        self._number = 0

    @property
    def number(self) -> int:
        """How many entries came."""
        return self._number

    def add(self, text: str) -> None:
        """Take in an entry: one line or several, with a line break at its end."""
        cut, left_out = _cut(text)
        entry = _Entry(cut, len(cut.encode()))
        with self._lock:
            self._number += 1
            self._left_out += left_out
            if entry.size <= self._head_left:
                self._head.append(entry)
                self._head_left -= entry.size
                return
            self._head_left = 0
            self._tail.append(entry)
            self._tail_size += entry.size
            while self._tail_size > TAIL_BYTES:
                gone = self._tail.popleft()
                self._tail_size -= gone.size
                self._left_out += gone.size

    def kept(self) -> Kept:
        """Return what is kept by now, masked."""
        with self._reading:
            with self._lock:
                head, tail, left_out = list(self._head), list(self._tail), self._left_out
            for entry in (*head, *tail):
                if not entry.is_masked:
                    entry.text, entry.is_masked = self._masked(entry.text), True
            first, last = ("".join(entry.text for entry in part) for part in (head, tail))
            return Kept(head=first, tail=last, left_out_bytes=left_out)


def _cut(text: str) -> tuple[str, int]:
    """Return an entry that can be printed and is not too long, and how much that left out."""
    if len(text) <= ENTRY_CHARACTERS:
        return printable(text), 0
    begin = _until_break(text[: ENTRY_CHARACTERS // 2])
    end = _from_break(text[-ENTRY_CHARACTERS // 2 :])
    left_out = len(text) - len(begin) - len(end)
    return printable(f"{begin} … {left_out} characters left out … {end}"), left_out


def _until_break(text: str) -> str:
    """Return a beginning up to its last blank; without one it is cut shorter by far."""
    place = max(text.rfind(" "), text.rfind("\n"))
    return text[:place] if place > len(text) - CLEAN_CUT else text[:-CLEAN_CUT]


def _from_break(text: str) -> str:
    places = [place for place in (text.find(" "), text.find("\n")) if 0 <= place < CLEAN_CUT]
    return text[min(places) :] if places else text[CLEAN_CUT:]
