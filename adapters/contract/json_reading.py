"""Strict reading of JSON that somebody else may have written: bounded, and with one meaning alone.

The standard library takes `NaN`, keeps the last of two equal keys, builds numbers and lists of any
length, and gives up in its own way on what is deep. Whoever reads here gets what JSON means
everywhere, or a ValueError.
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

Kind = TypeVar("Kind")


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonLimits:
    """The largest document that is read.

    Attributes:
        depth: Most lists and objects inside each other; documents of nacre have 6.
        values: Most values. Commas and brackets in text count too, so that it is known beforehand.
    """

    depth: int = 32
    values: int = 4_000_000


DEFAULT_LIMITS = JsonLimits()
_MOST_DIGITS = 20
_ALL_ZEROS, _LONG_RUN = bytes.maketrans(b"0123456789", b"0" * 10), b"0" * _MOST_DIGITS
_LARGEST = 2**64
_HOLDING = (dict, list)
_HALF = re.compile(r"[\ud800-\udfff]")
_HALF_WRITTEN = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(content: bytes | bytearray, *, limits: JsonLimits = DEFAULT_LIMITS) -> Any:
    """Return what the JSON in `content` says.

    Args:
        content: UTF-8, with or without a byte-order mark.
        limits: What is too large.

    Raises:
        ValueError: it is no JSON, is over a limit, has a key twice, half a character, or a number
            that is none or does not fit into 64 bits; the message says which.
    """
    brackets = content.count(b"[") + content.count(b"{")
    if brackets + content.count(b",") > limits.values:
        raise ValueError(f"expected at most {limits.values} values, found more")
    try:
        decoder = _DECODER if _LONG_RUN in content.translate(_ALL_ZEROS) else _OF_SHORT_NUMBERS
        value = decoder.decode(str(content, "utf-8-sig"))
    except RecursionError as error:
        raise _too_deep(limits) from error
    if brackets > limits.depth:
        _check_depth(value, limits)
    if _HALF_WRITTEN.search(content):
        _check_texts(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key {_first_twice(pairs)[:60]!r} is there twice")
    return found


def _first_twice(pairs: list[tuple[str, Any]]) -> str:
    seen = set[str]()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("asked only where a key is there twice")


def _whole(text: str) -> int:
    if len(text) < _MOST_DIGITS:
        return int(text)
    if len(text) <= _MOST_DIGITS + 1 and abs(int(text)) < _LARGEST:
        return int(text)
    raise ValueError(f"expected a whole number of 64 bits, found {len(text)} digits")


def _fraction(text: str) -> float:
    number = float(text)
    if math.isfinite(number):
        return number
    raise ValueError(f"expected a number, found one that is too large: {text[:60]}")


def _no_number(text: str) -> float:
    raise ValueError(f"expected a number, found {text}")


_STRICT: dict[str, Any] = {
    "object_pairs_hook": _object,
    "parse_float": _fraction,
    "parse_constant": _no_number,
}
_DECODER = json.JSONDecoder(**_STRICT, parse_int=_whole)
_OF_SHORT_NUMBERS = json.JSONDecoder(**_STRICT)
"""Where no number has as many digits as `_whole` looks at: asking it takes longer than reading."""


def _check_depth(value: Any, limits: JsonLimits) -> None:
    """Raise ValueError where lists and objects of `value` are too deep; without recursion."""
    level = [[value]]
    for _ in range(limits.depth + 1):
        level = [inner for outer in level for inner in _inside(outer) if type(inner) in _HOLDING]
        if not level:
            return
    raise _too_deep(limits)


def is_text(written: str) -> bool:
    """Return whether a text could be written: it has no half of a character (a lone surrogate)."""
    return _HALF.search(written) is None


def _check_texts(value: Any) -> None:
    """Raise ValueError where a text in `value`, which is not too deep, has half a character."""
    if isinstance(value, str) and not is_text(value):
        raise ValueError("expected text, found half a character (a lone surrogate)")
    if isinstance(value, dict):
        _check_texts(list(value))
    if isinstance(value, (dict, list)):
        for each in _inside(value):
            _check_texts(each)


def _inside(holding: Any) -> Iterable[Any]:
    return holding.values() if type(holding) is dict else holding


def _too_deep(limits: JsonLimits) -> ValueError:
    return ValueError(f"lists and objects are more than {limits.depth} inside each other")


def typed(kind: type[Kind]) -> TypeAdapter[Kind]:
    """Return what reads and writes records of `kind`.

    It is made when the first is: few processes meet all kinds, and every command would wait for it.
    """
    return _adapter_of(kind)


_adapter_of: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
