"""The drawn test split: a tenth of each class, and hardly another one when the task changes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.canonical import digest_of
from workers.intake.reading import Sample
from workers.intake.test_split import with_test_split
from workers.sources import ImageRef
from workers.sources.places.local import LocalPlace

PLACE = LocalPlace(Path("nowhere"))


def samples(count: int, *, label: int = 0, first: int = 0) -> list[Sample]:
    return [
        Sample(
            ref=ImageRef(place=PLACE, name=str(number)),
            split="train",
            label=label,
            digest=digest_of(str(number).encode()),
            size=1,
        )
        for number in range(first, first + count)
    ]


def held_out(given: list[Sample], *, seed: int = 0) -> set[str]:
    divided = with_test_split(given, seed=seed)
    assert sorted(each.digest for each in divided) == sorted(each.digest for each in given)
    return {each.digest for each in divided if each.split == "held_out"}


SIZES = [
    # images of a class, in the test split: too few to spare one, then at least one
    (0, 0),
    (4, 0),
    (5, 1),
    (14, 1),
    (26, 3),
    (1_000, 100),
]


@pytest.mark.parametrize(("images", "drawn"), SIZES)
def test_a_tenth_is_drawn_and_small_classes_spare_none(images: int, drawn: int) -> None:
    assert len(held_out(samples(images))) == drawn


def test_the_seed_decides_which() -> None:
    given = samples(200)
    assert held_out(given, seed=1) == held_out(given[::-1], seed=1)
    assert held_out(given, seed=1) != held_out(given, seed=2)


def test_a_class_that_is_added_does_not_move_what_is_drawn_of_another() -> None:
    few, other = samples(40), samples(40, label=1, first=1_000)
    assert held_out(few) | held_out(other) == held_out([*other, *few])


@given(count=st.integers(5, 60), added=st.integers(100, 200))
def test_one_image_more_moves_at_most_one_other(count: int, added: int) -> None:
    few = samples(count)
    (new,) = samples(1, first=added)
    before, after = held_out(few), held_out([*few, new])
    assert len((before ^ after) - {new.digest}) <= 1


@given(st.integers(0, 39))
def test_a_corrected_label_moves_at_most_one_image_of_each_class(wrong: int) -> None:
    one, other = samples(40), samples(40, label=1, first=1_000)
    (corrected,) = samples(1, label=1, first=wrong)
    kept = [each for each in one if each.digest != corrected.digest]
    before, after = held_out([*one, *other]), held_out([*kept, corrected, *other])
    assert len((before ^ after) - {corrected.digest}) <= 2
