"""Lists that grow from document to document: what another began with is known, the rest is read.

Every manifest lists all of its tasks. A thousand manifests of a thousand tasks are a million lines,
of which a thousand differ. The list is the last of a manifest's keys in canonical JSON, so that the
list of the next version begins with the same bytes.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from cachetools import LRUCache

OPENING, CLOSING = b',"tasks":[', b"]}"
_BETWEEN = b'],["'
_BEGINNING = 128
"""So many bytes at the beginning of a list tell which others it may share more with."""
MOST = 16
_BETWEEN_ITEMS = b"],["
MOST_ITEMS = 2**16

Item = TypeVar("Item")


def parted(data: bytes) -> tuple[bytes, bytes] | None:
    """Return a document with its list `tasks` taken out, and the text of what is in the list.

    None where the list is not the last of the document's keys. Where the first is an object with an
    empty list `tasks`, and the second in brackets is a list, the document is the one with the other
    in it: what opens before `tasks` closes right behind it, at the end, so that nothing is around
    it but the document itself.
    """
    start = data.find(OPENING) + len(OPENING)
    if start < len(OPENING) or not data.endswith(CLOSING):
        return None
    return data[:start] + CLOSING, data[start : -len(CLOSING)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known(Generic[Item]):
    """A list that was read.

    Attributes:
        text: Its items, without the brackets around them.
        ends: Where each item ends in there.
        items: What was made of them.
    """

    text: bytes
    ends: tuple[int, ...]
    items: tuple[Item, ...]

    def shared(self, text: bytes) -> int:
        """Return how many items at its beginning `text` begins with, too."""
        if text.startswith(self.text):
            count = len(self.items)
        elif self.text.startswith(text):
            count = bisect_right(self.ends, len(text))
        else:
            count = bisect_right(
                range(len(self.ends)), False, key=lambda at: not self._begins(text, at)
            )
        while count and text[(end := self.ends[count - 1]) : end + 1] not in (b"", b","):
            count -= 1
        return count

    def _begins(self, text: bytes, at: int) -> bool:
        end = self.ends[at]
        return text[:end] == self.text[:end]


class KnownLists(Generic[Item]):
    """Remembers the latest lists, by how they begin. Safe between threads.

    Args:
        read: Makes items of a list in brackets; raises ValueError where it is none.
    """

    # Owns: `_known`, guarded by `_lock`.

    def __init__(self, read: Callable[[bytes], tuple[Item, ...]]) -> None:
        self._read = read
        self._known: LRUCache[bytes, _Known[Item]] = LRUCache(MOST)
        self._lock = threading.Lock()

    def items(self, text: bytes) -> tuple[Item, ...]:
        """Return the items of the list whose text, without its brackets, is `text`.

        Raises:
            ValueError: it is not the text of such a list.
        """
        beginning = text[:_BEGINNING]
        with self._lock:
            known = self._known.get(beginning) or _Known(text=b"", ends=(), items=())
        shared = known.shared(text)
        end = known.ends[shared - 1] if shared else 0
        items, rest = known.items[:shared], text[end:]
        if rest:
            first = end + bool(shared)  # behind the comma
            found = self._read(b"[" + text[first:] + b"]")
            if not found:
                raise ValueError("expected another item behind a comma")
            items = (*items, *found)
            ends = _ends(text, first)
            if len(found) == len(ends) == text.count(b"[", first):  # no name has any bracket
                ends = (*known.ends[:shared], *ends)
                with self._lock:
                    self._known[beginning] = _Known(text=text, ends=ends, items=items)
        return items


class KnownItems(Generic[Item]):
    """Remembers items by their text, wherever in a list they are. Safe between threads.

    For lists of which any item may differ from document to document, and most do not.

    Args:
        read: Makes items of a list in brackets; raises ValueError where it is none.
    """

    # Owns: `_known`, which is looked up and added to in single steps.

    def __init__(self, read: Callable[[bytes], tuple[Item, ...]]) -> None:
        self._read = read
        self._known: dict[bytes, Item] = {}

    def items(self, text: bytes) -> tuple[Item, ...]:
        """Return the items, lists without lists in them, of the list whose text is `text`.

        Raises:
            ValueError: it is not the text of such a list, or a bracket in a name leaves that open.
        """
        parts = text[1:-1].split(_BETWEEN_ITEMS) if text else []
        if text and not (text[:1] == b"[" and text[-1:] == b"]" and text.count(b"[") == len(parts)):
            raise ValueError("expected lists without brackets in them")
        items = tuple(map(self._known.get, parts))
        unknown = [part for part, item in zip(parts, items, strict=True) if item is None]
        if not unknown:
            return cast("tuple[Item, ...]", items)
        # Each bracket is one between two items, so that as many items are these, one by one.
        found = self._read(b"[[" + _BETWEEN_ITEMS.join(unknown) + b"]]")
        if len(found) != len(unknown):  # one of them is in a name
            raise ValueError("expected lists without brackets in them")
        if len(self._known) + len(found) > MOST_ITEMS:
            self._known.clear()
        self._known.update(zip(unknown, found, strict=True))
        rest = iter(found)
        return tuple(next(rest) if item is None else item for item in items)


def _ends(text: bytes, start: int) -> tuple[int, ...]:
    """Return where items that are lists, and begin with a text, end in `text` from `start` on."""
    ends = []
    while (start := text.find(_BETWEEN, start) + 1) > 0:
        ends.append(start)
    return (*ends, len(text))
