"""What a version gets wrong: figures per class, confusions, wrong images, won and lost."""

import pytest

from adapters.errors import InputError
from adapters.mistakes import (
    ChangedImage,
    ClassFigures,
    Confusion,
    Most,
    SetAnswers,
    class_figures,
    compared,
    confusions,
    mistakes,
    wrong_images,
)


def answers(truth: str, found: str, *confidences: float) -> SetAnswers:
    return SetAnswers(
        truth=tuple(truth),
        answers=tuple(found),
        confidences=confidences or (0.5,) * len(truth),
    )


BIRDS = answers("aaabbc", "aabbca", 0.9, 0.8, 0.7, 0.6, 0.95, 0.2)
BOATS = answers("xx", "xa")


def test_precision_looks_at_the_images_of_all_sets() -> None:
    figures = class_figures([BIRDS, BOATS])
    assert figures["a"] == ClassFigures(class_id="a", images=3, right=2, answered=4)
    assert (figures["a"].recall, figures["a"].precision) == (2 / 3, 2 / 4)
    assert (figures["c"].recall, figures["c"].precision) == (0.0, 0.0)


def test_what_has_no_images_or_no_answers_has_no_figure() -> None:
    figures = class_figures([answers("a", "b")])
    assert (figures["a"].recall, figures["a"].precision) == (0.0, None)
    assert (figures["b"].recall, figures["b"].precision) == (None, 0.0)


def test_confusions_are_pairs_with_the_most_images_first() -> None:
    assert confusions(answers("aabbb", "bbcca")) == [
        Confusion(truth="a", answer="b", images=2),
        Confusion(truth="b", answer="c", images=2),
        Confusion(truth="b", answer="a", images=1),
    ]


def test_wrong_images_come_by_their_confidence() -> None:
    assert [image.place for image in wrong_images(BIRDS)] == [4, 2, 5]
    assert [image.place for image in wrong_images(BIRDS, truth=["a"])] == [2]
    assert [image.place for image in wrong_images(BIRDS, answer=["a"])] == [5]


def test_what_is_listed_is_bounded_and_the_rest_is_counted() -> None:
    found = mistakes({"birds": BIRDS, "boats": BOATS}, most=Most(classes=1, confusions=1, images=1))
    birds = found["birds"]
    assert (birds.images, birds.right, birds.wrong) == (6, 3, 3)
    assert [one.class_id for one in birds.classes] == ["c"]
    assert len(birds.confusions) == len(birds.shown) == 1
    assert (birds.more_classes, birds.more_confused, birds.more_wrong) == (2, 2, 2)


def test_of_ten_thousand_classes_a_bounded_part_is_listed() -> None:
    names = tuple(map(str, range(10_000)))
    many = SetAnswers(truth=names, answers=names[1:] + names[:1], confidences=(0.5,) * 10_000)
    (found,) = mistakes({"all": many}).values()
    assert (len(found.classes), found.more_classes) == (100, 9_900)
    assert len(found.confusions) + found.more_confused == 10_000
    assert len(found.shown) + found.more_wrong == 10_000


def test_one_set_may_be_asked_for_while_all_count() -> None:
    assert list(mistakes({"birds": BIRDS, "boats": BOATS}, ["boats"])) == ["boats"]


def test_won_and_lost_are_images_that_one_of_two_versions_has_right() -> None:
    found = compared(answers("aabb", "abbb"), answers("aabb", "aaba", 0.5, 0.6, 0.7, 0.8))
    assert found.images == 4
    assert found.won == (ChangedImage(place=1, truth="a", before="b", after="a", confidence=0.6),)
    assert [image.place for image in found.lost] == [3]
    assert (found.p, found.is_significant, found.said) == (1.0, False, "within chance")


def test_a_difference_beyond_chance_is_said() -> None:
    found = compared(answers("a" * 9, "b" * 9), answers("a" * 9, "a" * 9))
    assert (found.said, compared(answers("a" * 9, "a" * 9), answers("a" * 9, "b" * 9)).said) == (
        "better",
        "worse",
    )


def test_other_images_are_not_compared() -> None:
    with pytest.raises(InputError, match="the same 2 images"):
        compared(answers("ab", "ab"), answers("ba", "ba"))


def test_every_image_has_a_class_an_answer_and_a_confidence() -> None:
    with pytest.raises(InputError, match="an answer and a confidence per image"):
        SetAnswers(truth=("a",), answers=("a", "b"), confidences=(0.5,))
