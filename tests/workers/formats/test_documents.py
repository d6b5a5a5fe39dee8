"""Stored documents that somebody else has written, or that are damaged: a sentence, or a record."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import FiniteFloat

from adapters.contract.canonical import canonical_json
from adapters.errors import CorruptionError
from tests.workers.test_format_page import AGAIN, examples
from workers.formats.documents import seal, validated


@dataclass(frozen=True, kw_only=True, slots=True)
class Bird:
    name: str
    eggs: int = 0
    weight: FiniteFloat = 1.0
    calls: tuple[str, ...] = ()


WRONG = [
    # what is found, and what is said of it
    (b"", "expected a JSON object"),
    (b"\xff", "expected a JSON object"),
    (b"null", "expected a JSON object"),
    (b"[]", "expected a JSON object"),
    (b"{}", "expected a JSON object with a schema"),
    (b"[" * 100_000, "more than 32 inside each other"),
    (b'{"schema":1,"name":' + b"[" * 99 + b"]" * 99 + b"}", "more than 32 inside each other"),
    (b'{"schema":true,"name":"owl"}', "has schema True"),
    (b'{"schema":0,"name":"owl"}', "has schema 0"),
    (b'{"schema":1,"name":"owl","name":"owl"}', "the key 'name' is there twice"),
    (b'{"schema":1,"name":"\\ud800"}', "half a character"),
    (b'{"schema":1,"name":"owl","eggs":' + b"9" * 5000 + b"}", "64 bits, found 5000 digits"),
    (b'{"schema":2,"name":"owl"}', "has schema 2, and this program reads up to 1"),
    (b'{"schema":1}', r"name: Field required, found \{'schema': 1\}"),
    (b'{"schema":1,"name":5}', "name: Input should be a valid string, found 5"),
    (b'{"schema":1,"name":null}', "name: Input should be a valid string, found None"),
    (b'{"schema":1,"name":["owl"]}', r"name: Input should be a valid string, found \['owl'\]"),
    (b'{"schema":1,"name":"owl","eggs":"5"}', "eggs: Input should be a valid integer, found '5'"),
    (b'{"schema":1,"name":"owl","eggs":true}', "eggs: Input should be a valid integer"),
    (b'{"schema":1,"name":"owl","eggs":1e999}', "a number, found one that is too large"),
    (b'{"schema":1,"name":"owl","weight":1e999}', "a number, found one that is too large"),
    (b'{"schema":1,"name":"owl","weight":NaN}', "expected a number, found NaN"),
    (b'{"schema":1,"name":"owl","calls":"hoo"}', "calls: Input should be a valid array"),
    (b'{"schema":1,"name":"owl","calls":["hoo",5]}', r"calls\.1: Input should be a valid string"),
]


@pytest.mark.parametrize(("content", "said"), WRONG)
def test_what_is_wrong_is_said_with_its_place(content: bytes, said: str) -> None:
    with pytest.raises(CorruptionError, match=f"^the bird .*{said}"):
        validated(Bird, content, "the bird")


def test_keys_that_are_not_known_are_passed_over() -> None:
    content = b'{"schema":1,"name":"owl","weight":2,"sings":false}'
    assert validated(Bird, content, "the bird") == Bird(name="owl", weight=2.0)


def test_a_long_text_is_shown_in_part() -> None:
    with pytest.raises(CorruptionError) as caught:
        validated(Bird, canonical_json({"schema": 1, "name": ["x" * 10_000]}), "the bird")
    assert len(caught.value.message) < 300


QUEUE = [
    "A submission",
    "Who leads",
    "A page of tickets",
    "How a submission has ended",
    "How far it is",
    "A request",
    "An event",
]
INSTEAD: list[Any] = [None, True, "5", "", -1, 10**400, 1.5, 1e30, [], [[]], {}, {"": None}]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every list and object in `value`, with each of its places."""
    if isinstance(value, (dict, list)):
        for place in value.keys() if isinstance(value, dict) else range(len(value)):
            yield value, place
            yield from places(value[place])


def read_and_written(heading: str, document: dict[str, Any]) -> None:
    sealed = document.pop("sha256", None) is not None
    content = seal(document) if sealed else canonical_json(document)
    try:
        AGAIN[heading](content)
    except CorruptionError as error:
        assert len(error.message) > 20


@pytest.mark.parametrize("heading", QUEUE)
@given(data=st.data())
def test_a_document_of_the_queue_with_anything_in_it_is_read_or_refused(
    heading: str, data: st.DataObject
) -> None:
    """Nothing else may be raised, and what was read can be written again."""
    document = examples()[heading]
    for _ in range(data.draw(st.integers(1, 2))):
        owner, place = data.draw(st.sampled_from(list(places(document))))
        if data.draw(st.booleans()):
            del owner[place]
        else:
            owner[place] = deepcopy(data.draw(st.sampled_from(INSTEAD)))
        if not list(places(document)):
            return
    read_and_written(heading, document)
