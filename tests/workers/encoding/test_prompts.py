"""Names and prompts as the encoder's tokenizer reads them."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract.class_names import comparable_name
from workers.encoding.encoder import tokenizer_of
from workers.encoding.encoder_settings import EncoderSettings
from workers.encoding.prompts import PromptReader

TOKENIZER = tokenizer_of(EncoderSettings())
LONG = "a scratch on the left side of the housing " * 9

PAIRS: list[tuple[str, str, bool]] = [
    # two names, and whether a prompt makes the same tokens of both
    ("caf\u00e9", "cafe\u0301", True),
    ("\u1112\u1161\u11ab", "\ud55c", True),
    ("\u212b", "\u00c5", True),
    ("AT&T", "AT&amp;T", True),
    ("AT&T", "AT&amp;amp;T", True),
    ("1 &lt; 2", "1 < 2", True),
    ("men's shoe", "men\u2019s shoe", True),
    ("\u201cold\u201d", '"old"', True),
    ("\ufb01sh", "fish", True),
    ("\uff21", "a", True),
    ("caf\u00c3\u00a9", "caf\u00e9", True),
    ("T-Shirt", "t - shirt", True),
    ("boeing 737", "Boeing7 3 7", True),
    ("hot  dog", "hot\u00a0dog", True),
    ("hot\u3000dog", " hot\tdog\n", True),
    ("stra\u00dfe", "strasse", False),
    ("\u00e9", "e", False),
    ("t-shirt", "t shirt", False),
    ("shirts", "shirt", False),
    ("\u00b2", "2", False),
    ("\u03c3", "\u03c2", False),
    ("zoe\u0308", "zoe", False),
]


def tokens_are_equal(one: str, other: str) -> bool:
    return torch.equal(*TOKENIZER([f"a photo of a {one}.", f"a photo of a {other}."]))


@pytest.mark.parametrize(("one", "other", "same"), PAIRS)
def test_names_are_the_same_if_the_tokenizer_says_so(one: str, other: str, same: bool) -> None:
    assert tokens_are_equal(one, other) is same
    assert (comparable_name(one) == comparable_name(other)) is same


SPELLINGS = (
    *(("a", "A", "\uff21"), ("\u00e9", "e\u0301", "e"), ("\ufb01", "fi"), ("'", "\u2019", "`")),
    *(
        ("-", " - "),
        ("1", " 1 ", "\u00b9"),
        ("&", "&amp;", "&amp"),
        (" ", "\t", "\u3000", "  ", ""),
    ),
    *(("x", "y"), ("'s", "' s"), ("\u00bd", "1/2"), ("_x", "x"), ("\u200d", "")),
)
"""Parts of names that some tokenizer or other may take for the same."""


@st.composite
def two_spellings(draw: st.DrawFn) -> tuple[str, str]:
    parts = draw(st.lists(st.sampled_from(SPELLINGS), max_size=5))
    one, other = ("".join(draw(st.sampled_from(part)) for part in parts) for _ in range(2))
    return one, other


@settings(max_examples=400, deadline=None)
@given(two_spellings())
def test_any_two_names_are_the_same_exactly_if_their_tokens_are(names: tuple[str, str]) -> None:
    one, other = names
    if "_" not in one + other:  # beyond what the tokenizer does, an underscore is a space
        same = comparable_name(one) == comparable_name(other)
        assert tokens_are_equal(f" {one} ", f" {other} ") is same


def test_prompts_that_are_too_long_are_found_with_what_is_read_of_them() -> None:
    prompts = [f"a photo of a {LONG}{end}." for end in ("deep", "shallow")]
    read = PromptReader(EncoderSettings()).cut([*prompts, "a photo of a dent."])
    assert list(read) == prompts
    assert read[prompts[0]] == read[prompts[1]] == tuple(TOKENIZER(prompts)[0].tolist())


@pytest.mark.parametrize(("words", "is_cut"), [(74, False), (75, False), (76, True), (77, True)])
def test_a_prompt_that_just_fits_is_not_cut(words: int, is_cut: bool) -> None:
    prompt = "a " * words
    assert (prompt in PromptReader(EncoderSettings()).cut([prompt])) is is_cut


def test_of_an_encoder_that_is_not_here_nothing_is_said(tmp_path: Path) -> None:
    elsewhere = EncoderSettings(model=str(tmp_path))
    assert PromptReader(elsewhere).cut(["a " * 100]) == {}
