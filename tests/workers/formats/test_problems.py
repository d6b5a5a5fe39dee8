"""Problems: grouped by cause, counted, and shown with examples of each."""

import pytest

from adapters.errors import ClassNameError, InputError, SettingsError
from workers.formats.problems import EXAMPLES, KEPT, Problems, cause_of, raise_all


def problems_of(*sentences: str) -> Problems:
    problems = Problems()
    for sentence in sentences:
        problems.add(sentence)
    return problems


def test_a_cause_of_many_problems_hides_no_other() -> None:
    empty = [f"row {number}: {number}.jpg is empty" for number in range(5000)]
    problems = problems_of(*empty, "row 1: its label has control characters")
    assert (problems.count, len(problems.kept)) == (5001, KEPT)
    assert str(problems).splitlines() == [
        "",
        *(f"  {sentence}" for sentence in empty[:EXAMPLES]),
        "  and 4997 more like these",
        "  row 1: its label has control characters",
    ]
    assert problems.telling[:2] == (empty[0], "row 1: its label has control characters")


ONE_CAUSE = [
    # sentences that say the same of two things, and what they are about
    ("row 3: expected a path, found 'a'", "row 17: expected a path, found 'b'", "", ""),
    ("/a/1.jpg cannot be read", "/b/other.png cannot be read", "/a/1.jpg", "/b/other.png"),
]


@pytest.mark.parametrize(("first", "second", "one", "other"), ONE_CAUSE)
def test_numbers_quotations_and_names_make_no_other_cause(
    first: str, second: str, one: str, other: str
) -> None:
    assert cause_of(first, about=one) == cause_of(second, about=other)


def test_of_very_many_causes_some_are_shown_and_all_are_counted() -> None:
    problems = problems_of(*(f"{'a' * (number + 1)} is wrong" for number in range(2 * KEPT)))
    lines = str(problems).splitlines()
    assert len(lines) == 22
    assert lines[-1] == f"  and {2 * KEPT - 20} more"


def test_several_findings_are_one_error_of_their_kind() -> None:
    with pytest.raises(SettingsError, match=r"(?s)first.*second"):
        raise_all([SettingsError("first", key="a"), SettingsError("second", key="b")])
    with pytest.raises(InputError) as caught:
        raise_all([SettingsError("first"), ClassNameError("second", problems=("x", "y"))])
    assert type(caught.value) is InputError
    assert caught.value.fields["problems"] == ("first", "x", "y")
    raise_all([])
