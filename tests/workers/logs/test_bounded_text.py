"""Bounded text: beginning and end stay, and no part of a secret where something was cut."""

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.logs.bounded_text import ENTRY_CHARACTERS, HEAD_BYTES, TAIL_BYTES, BoundedText
from workers.logs.masking import Masking


def as_it_is(text: str) -> str:
    return text


def test_what_is_short_is_kept_whole() -> None:
    text = BoundedText(as_it_is)
    for line in ("one\n", "two\n"):
        text.add(line)
    assert (text.kept().head, text.kept().tail, text.kept().left_out_bytes) == ("one\ntwo\n", "", 0)


def test_of_much_the_first_and_the_last_lines_stay_and_the_rest_is_counted() -> None:
    text, lines = BoundedText(as_it_is), [f"line {number:06d} ü\n" for number in range(100_000)]
    for line in lines:
        text.add(line)
    kept = text.kept()
    assert kept.head.startswith(lines[0])
    assert kept.tail.endswith(lines[-1])
    assert len(kept.head.encode()) <= HEAD_BYTES
    assert len(kept.tail.encode()) <= TAIL_BYTES
    whole = sum(len(line.encode()) for line in lines)
    assert len(kept.head.encode()) + len(kept.tail.encode()) + kept.left_out_bytes == whole


def test_of_a_long_entry_beginning_and_end_stay() -> None:
    text = BoundedText(as_it_is)
    text.add("begin " + "y " * 10_000_000 + "end\n")
    kept = text.kept()
    assert kept.head.startswith("begin y y")
    assert kept.head.endswith("y end\n")
    assert "characters left out" in kept.head
    assert len(kept.head) < ENTRY_CHARACTERS + 200


@pytest.mark.parametrize("place", range(ENTRY_CHARACTERS // 2 - 40, ENTRY_CHARACTERS // 2 + 4, 3))
def test_no_part_of_a_secret_stays_where_an_entry_is_cut(place: int) -> None:
    secret = "s3cr3t-" * 6
    filler = "z" * (place - 8) + " "
    text = BoundedText(Masking([secret]))
    text.add(filler + secret + "z" * 50_000 + secret + filler[::-1])
    assert "s3cr" not in text.kept().head


@given(st.lists(st.text(max_size=50), max_size=20))
def test_what_no_terminal_should_be_sent_is_escaped(entries: list[str]) -> None:
    text = BoundedText(as_it_is)
    for entry in entries:
        text.add(entry)
    kept = text.kept().head
    assert [letter for letter in kept if category(letter) == "Cc" and letter not in "\n\t"] == []
    kept.encode()


def test_it_is_masked_before_anybody_reads_it() -> None:
    text = BoundedText(Masking(["correct-horse"]))
    text.add("with correct-horse\n")
    assert text.kept().head == "with ***\n"
