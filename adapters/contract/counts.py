"""Counts: as sentences say them (`1 image`, `2 images`), and as callers give them."""

import operator
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import SupportsIndex, TypeVar

from adapters.errors import InputError

Item = TypeVar("Item")

_IRREGULAR = {
    **{"class": "classes", "copy": "copies", "entry": "entries"},
    **{"is": "are", "was": "were", "has": "have", "stays": "stay"},
}


def counted(number: int, noun: str) -> str:
    """Return a number and what is counted: `1 class`, `2 classes`, `2 test images`.

    Args:
        number: How many.
        noun: One of them; of several words the last one gets the plural.
    """
    return f"{number} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a noun, a verb or several words, of which the last one gets it."""
    first, space, last = noun.rpartition(" ")
    return f"{first}{space}{_IRREGULAR.get(last, f'{last}s')}"


def agreeing(number: int, word: str) -> str:
    """Return a verb or noun in the number that goes with `number`: `is` or `are`."""
    return word if number == 1 else plural(word)


def whole_number(name: str, value: SupportsIndex, *, least: int | None = 0) -> int:
    """Return a number that a caller gives, of any kind that is one, as numpy's are.

    Raises:
        InputError: it is none: no truth, no fraction and no text is a number; or below `least`.
    """
    given: object = value
    is_number = isinstance(given, SupportsIndex) and not isinstance(given, bool)
    if not is_number or (least is not None and operator.index(value) < least):
        bound = "" if least is None else f" from {least} on"
        raise InputError(f"{name}: expected a whole number{bound}, found {given!a:.40}")
    return operator.index(value)


def first(items: Iterable[Item], limit: int) -> Iterator[Item]:
    """Return the first `limit` items; all where it is 0. InputError where it is no limit."""
    return islice(items, min(whole_number("limit", limit), sys.maxsize) or None)
