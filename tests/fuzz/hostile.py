"""Values that programs trip over, and documents in which one value is another."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from hypothesis import strategies as st

DEEP = 20_000
Example = TypeVar("Example")


class Written:
    """JSON that no Python value stands for: it goes into a document as it is written."""

    def __init__(self, text: str) -> None:
        self.text = text


NUMBERS = [0, -1, 1, 2**31, 2**53 + 1, 2**63, 10**18, 10**30, 1.5, -0.0, 1e308]
TEXTS = [
    "",
    " ",
    "\0",
    "a\nb",
    "..",
    "../x",
    "/etc/passwd",
    "é",
    "e\u0301",
    "\U0001f600",
    "x" * 300,
]
WRITTEN = {
    "no number": "NaN",
    "less than anything": "-Infinity",
    "a large exponent": "1e999",
    "digits": "9" * 5000,
    "of base 16": "0x10",
    "zeros first": "007",
    "half a character": '"\\ud800"',
    "open lists": "[" * DEEP,
    "deep lists": "[" * 500 + "]" * 500,
    "open objects": '{"a": ' * DEEP,
    "a key twice": '{"a": 1, "a": 2}',
    "other quotes": "'x'",
    "nothing": "",
}


def one_of(values: Mapping[str, Example]) -> st.SearchStrategy[Example]:
    """Return a strategy of `values`, which shows their names where the values are long."""
    return st.sampled_from(sorted(values)).map(lambda name: values[name])


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False, [], {}, [[]], *NUMBERS, *TEXTS]),
    one_of(WRITTEN).map(Written),
    st.text(max_size=20),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers() | st.text(max_size=3), max_size=4),
)


def json_of(value: Any) -> bytes:
    """Return the JSON of a value, in which `Written` stands as it is written."""
    marks: list[str] = []

    def marked(found: Any) -> str:
        assert isinstance(found, Written), found
        marks.append(found.text)
        return f"@@{len(marks) - 1}@@"

    text = json.dumps(value, default=marked)
    for number, written in enumerate(marks):
        text = text.replace(f'"@@{number}@@"', written)
    return text.encode("utf-8", "surrogatepass")


def places_of(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside of a document, and to itself."""
    yield here
    for key, inner in _items(value):
        yield from places_of(inner, (*here, key))


def replaced(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """Return a document in which another value stands at one place."""
    if not place:
        return other
    first, *rest = place
    changed = {
        key: replaced(inner, tuple(rest), other) if key == first else inner
        for key, inner in _items(value)
    }
    return changed if isinstance(value, dict) else list(changed.values())


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, (list, tuple)):
        return iter(enumerate(value))
    return iter(value.items()) if isinstance(value, dict) else iter(())


def tampered(documents: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Return a strategy of `documents` in which a value is another, or a key is missing."""
    places = [sorted(places_of(document), key=str) for document in documents]
    return _tampered(tuple(zip(documents, places, strict=True)))


@st.composite
def _tampered(draw: st.DrawFn, ways: tuple[tuple[Any, list[tuple[Any, ...]]], ...]) -> Any:
    document, places = draw(st.sampled_from(ways))
    return replaced(document, draw(st.sampled_from(places)), draw(VALUES))


@st.composite
def damaged(draw: st.DrawFn, contents: tuple[bytes, ...]) -> bytes:
    """Return one of `contents`, cut off, with bytes changed, put in, or put twice."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        match draw(st.sampled_from(["change", "cut", "insert", "repeat", "number"])):
            case "change" if content:
                content[at] = draw(st.integers(0, 255))
            case "cut":
                del content[at : at + draw(st.integers(1, 2**10))]
            case "insert":
                content[at:at] = draw(st.binary(max_size=32))
            case "repeat":
                content[at:at] = content[at : at + draw(st.integers(1, 512))]
            case "number":
                content[at : at + 4] = draw(st.integers(0, 2**32 - 1)).to_bytes(4, "big")
    return bytes(content)
