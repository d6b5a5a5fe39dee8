"""Errors: messages that every terminal and every encoding can take."""

import os
import pickle

import pytest

from adapters.errors import InputError

NAMES: list[tuple[str, str]] = [
    # a name as it is found, and as it is told
    (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
    (repr(os.fsdecode(b"caf\xe9")), r"'caf\xe9'"),
    ("\ud800 half of an emoji", r"\ud800 half of an emoji"),
    ("a\0b", r"a\x00b"),
    ("red\x1b[31m", r"red\x1b[31m"),
    ("back\rover", r"back\x0dover"),
    ("next\x85line", r"next\x85line"),
    # what people write stays
    ("café, 咖啡, 🦉\n\tok", "café, 咖啡, 🦉\n\tok"),
]


@pytest.mark.parametrize(("found", "told"), NAMES)
def test_what_cannot_be_printed_is_told_escaped(found: str, told: str) -> None:
    error = InputError(f"no {found}", name=found, names=(found, "b"), count=1)
    assert error.message == str(error) == f"no {told}"
    assert error.fields == {"name": told, "names": (told, "b"), "count": 1}
    assert error.message.encode()
    assert pickle.loads(pickle.dumps(error)) == error
