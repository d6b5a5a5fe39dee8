"""Scalars of YAML, read as what is expected in their place.

text      as it was written: `007`, `no`, `1e-3`, `1_000`, 2001-99-99, `~`, `=` and `<<` too
number    decimal, or 0x1f, 0o17, 0b11, 1_000; never with a zero before it, which some read as
          octal and some do not
truth     true and false, and as YAML 1.1 has it yes and no, on and off
anything  where no kind is expected: what cannot be mistaken; what one reader takes for text and
          another for a number or a truth is refused
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from adapters.errors import SettingsError
from workers.formats.yaml_nodes import Entries, Items, Node, Scalar

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
# A digit at least: `0x_` is text.
_BASED = re.compile(r"[-+]?0(x_*[0-9a-fA-F][0-9a-fA-F_]*|o_*[0-7][0-7_]*|b_*[01][01_]*)")
_ZERO_FIRST = re.compile(r"[-+]?0[0-9_]+")
_FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBERS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PASSWORD = re.compile(r"(://[^/\s:@]{0,1000}):[^/\s@]{1,1000}@")
"""In an address; who reads an error need not be who wrote the file."""
MOST_DIGITS = 18
"""Most digits of a whole number: what fits into 64 bits, as tensors and other languages have it."""

_UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")
_SHOWN = 60

Kind = TypeVar("Kind")


class MisreadError(Exception):
    """A node is not what is expected; becomes a SettingsError where its place is known.

    Args:
        problem: The sentence without its place.
        node: Where it is.
    """

    def __init__(self, problem: str, node: Node) -> None:
        super().__init__(problem)
        self.line = node.line


def is_null(node: Node) -> bool:
    """Return whether `node` says that there is nothing."""
    return isinstance(node, Scalar) and node.is_plain and node.text in _NULLS


def text_of(node: Node) -> str:
    """Return the text of a scalar; MisreadError where it is none, or could not be written again."""
    if not isinstance(node, Scalar):
        raise MisreadError(f"expected text, found {shown(node)}", node)
    if node.is_plain and not node.text:
        raise MisreadError("expected text, found nothing; write '' if it is to be empty", node)
    if _UNREADABLE.search(node.text):
        raise MisreadError(f"expected text, found a NUL or half a character in {shown(node)}", node)
    return node.text


def number_of(node: Node) -> int | float | str:
    """Return a number; of a scalar in quotes its text, for whoever reads numbers in text."""
    if not isinstance(node, Scalar):
        raise MisreadError(f"expected a number, found {shown(node)}", node)
    if not node.is_plain:
        return text_of(node)
    number = _number(node)
    if number is None:
        raise MisreadError(f"expected a number, found {shown(node)}", node)
    return number


def truth_of(node: Node) -> bool | str:
    """Return a truth; of a scalar in quotes its text."""
    if not isinstance(node, Scalar):
        raise MisreadError(f"expected true or false, found {shown(node)}", node)
    if not node.is_plain:
        return text_of(node)
    if node.text.lower() not in _WORDS:
        raise MisreadError(f"expected true or false, found {shown(node)}", node)
    return _WORDS[node.text.lower()]


def anything_of(node: Node) -> Any:
    """Return what a node means where no kind is expected."""
    if isinstance(node, Items):
        return [anything_of(item) for item in node.items]
    if isinstance(node, Entries):
        return {text_of(key): anything_of(value) for key, value in node.entries.values()}
    if is_null(node):
        return None
    if not node.is_plain:
        return text_of(node)
    word = _WORDS.get(node.text.lower())
    if word is not None and node.text.lower() not in ("y", "n"):
        if node.text.lower() in ("true", "false"):
            return word
        raise MisreadError(
            f"{node.text} is text to some readers and {str(word).lower()} to others; quote it if "
            f"it is text, or write {str(word).lower()}",
            node,
        )
    number = _number(node)
    return text_of(node) if number is None else number


def _number(node: Scalar) -> int | float | None:
    """Return the number that a scalar without quotes is; None where it is none."""
    text, bare = node.text, node.text.replace("_", "")
    if _DECIMAL.fullmatch(text):
        if len(bare.lstrip("+-")) > MOST_DIGITS:
            raise MisreadError(f"expected at most {MOST_DIGITS} digits, found {len(bare)}", node)
        return int(bare)
    if _ZERO_FIRST.fullmatch(text):
        raise MisreadError(
            f"{cut(text)} is octal to some readers and decimal to others; quote it if it is text, "
            f"or write {cut(bare.lstrip('+-').lstrip('0') or '0')} if it is decimal",
            node,
        )
    if _BASED.fullmatch(text):
        if len(bare) > MOST_DIGITS:
            raise MisreadError(f"expected at most {MOST_DIGITS} digits, found {len(bare)}", node)
        return int(bare, 0)
    if _FRACTION.fullmatch(text):
        return float(text)
    if _NO_NUMBERS.fullmatch(text):
        return float(text.replace(".", "").lower())
    return None


def shown(node: Node) -> str:
    """Return a node as errors quote it, cut where it is long."""
    if isinstance(node, Entries):
        return "keys and values"
    if isinstance(node, Items):
        more = ", …" if len(node.items) > 3 else ""
        return f"[{', '.join(map(shown, node.items[:3]))}{more}]"
    if node.is_plain and (node.text in _NULLS or _FRACTION.fullmatch(node.text)):
        return cut(node.text) or "nothing"
    return repr(cut(node.text))


def read_at(reader: Callable[[Node], Kind], node: Node, place: str, where: str) -> Kind:
    """Return what `reader` makes of a node; SettingsError, with place and line, where it cannot."""
    try:
        return reader(node)
    except MisreadError as error:
        at = f"{where}, line {error.line}" if error.line else where
        raise SettingsError(f"{place} in {at}: {error}", key=place, line=error.line) from error


def cut(text: str) -> str:
    """Return a text as errors quote it: cut where it is long, addresses without passwords."""
    text = _PASSWORD.sub(r"\1:***@", text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
