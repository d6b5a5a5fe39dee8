"""Mistakes of a version on test images: figures per class, confusions, wrong images, comparisons.

Classes that count as one are one class here (`ClassEntry.counts_as`), named by its id.

Shapes: N test images of a set
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import eq

from adapters.errors import InputError
from adapters.uncertainty import CONFIDENCE, Interval, mcnemar_p, wilson_interval


@dataclass(frozen=True, kw_only=True)
class SetAnswers:
    """What a version answers about the test images of one set, image by image.

    Attributes:
        truth: N ids, the class of each image.
        answers: N ids, the class that each is taken for.
        confidences: N probabilities of these answers, from 0 to 1.

    Raises:
        InputError: not as many of one as of the others.
    """

    truth: tuple[str, ...]
    answers: tuple[str, ...]
    confidences: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = len(self.truth), len(self.answers), len(self.confidences)
        if len(set(counts)) > 1:
            raise InputError(
                f"answers: expected a class, an answer and a confidence per image, found {counts}"
            )

    @property
    def images(self) -> int:
        """N."""
        return len(self.truth)

    @cached_property
    def is_right(self) -> tuple[bool, ...]:
        """Whether each image is taken for its class."""
        return tuple(map(eq, self.truth, self.answers))

    @property
    def right(self) -> int:
        """How many are."""
        return sum(self.is_right)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFigures:
    """How one class is recognised.

    Attributes:
        class_id: The class.
        images: Its test images.
        right: Those that are taken for it.
        answered: Images of any class that are taken for it.
    """

    class_id: str
    images: int
    right: int
    answered: int

    @property
    def recall(self) -> float | None:
        """Which part of its images is taken for it; None where it has none."""
        return self.right / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """Which part of what is taken for it is of it; None where nothing is."""
        return self.right / self.answered if self.answered else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """Images of one class that are taken for another, by their count."""

    truth: str
    answer: str
    images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WrongImage:
    """An image that is taken for another class than its own.

    Attributes:
        place: Which of the set's test images.
        truth: Its class.
        answer: What it is taken for.
        confidence: The probability of that, from 0 to 1.
    """

    place: int
    truth: str
    answer: str
    confidence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistakes:
    """What a version gets wrong about one set; bounded, and the rest is counted.

    Attributes:
        images: Test images of the set.
        right: Right answers.
        classes: Figures of the set's classes, least recall first.
        confusions: Pairs of classes, the most images first.
        shown: Wrong images, the most confident first.
        more_classes: Classes that are not in `classes`.
        more_confused: Images of confusions that are not in `confusions`.
        more_wrong: Wrong images that are asked for and not in `shown`.
    """

    images: int
    right: int
    classes: tuple[ClassFigures, ...]
    confusions: tuple[Confusion, ...]
    shown: tuple[WrongImage, ...]
    more_classes: int = 0
    more_confused: int = 0
    more_wrong: int = 0

    @property
    def wrong(self) -> int:
        """Wrong answers."""
        return self.images - self.right

    @property
    def interval(self) -> Interval:
        """The 95 % confidence interval of the accuracy."""
        return wilson_interval(self.right, self.images)


@dataclass(frozen=True, kw_only=True, slots=True)
class Most:
    """How much is listed of what a version gets wrong about one set."""

    classes: int = 100
    confusions: int = 20
    images: int = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedImage:
    """An image that one of two versions has right, and the other wrong.

    Attributes:
        place: Which of the set's test images.
        truth: Its class.
        before: What the first version takes it for.
        after: What the second takes it for.
        confidence: The probability of that, from 0 to 1.
    """

    place: int
    truth: str
    before: str
    after: str
    confidence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two versions on the same test images of one set; the most confident answers come first.

    Attributes:
        images: How many.
        won: Those that only the second has right.
        lost: Those that only the first has right.
    """

    images: int
    won: tuple[ChangedImage, ...]
    lost: tuple[ChangedImage, ...]

    @property
    def p(self) -> float:
        """How likely chance alone makes as large a difference, by McNemar's test."""
        return mcnemar_p(len(self.won), len(self.lost))

    @property
    def is_significant(self) -> bool:
        """Whether chance alone makes as large a difference in less than 5 of 100 cases."""
        return self.p < 1 - CONFIDENCE

    @property
    def said(self) -> str:
        """The same in words."""
        if not self.is_significant:
            return "within chance"
        return "better" if len(self.won) > len(self.lost) else "worse"


def class_figures(sets: Iterable[SetAnswers]) -> dict[str, ClassFigures]:
    """Return the figures of every class that an image has or is taken for.

    Precision looks at all images, so that all sets that were measured together belong here.
    """
    images, right, answered = Counter[str](), Counter[str](), Counter[str]()
    for each in sets:
        images.update(each.truth)
        answered.update(each.answers)
        right.update(
            name for name, is_right in zip(each.truth, each.is_right, strict=True) if is_right
        )
    return {
        name: ClassFigures(
            class_id=name, images=images[name], right=right[name], answered=answered[name]
        )
        for name in dict.fromkeys((*images, *answered))
    }


def confusions(answers: SetAnswers) -> list[Confusion]:
    """Return all pairs of a class and another that images of it are taken for, the most first."""
    pairs = Counter(
        pair
        for pair, is_right in zip(
            zip(answers.truth, answers.answers, strict=True), answers.is_right, strict=True
        )
        if not is_right
    )
    found = sorted(pairs.items(), key=lambda each: (-each[1], each[0]))
    return [Confusion(truth=truth, answer=answer, images=n) for (truth, answer), n in found]


def wrong_images(
    answers: SetAnswers, *, truth: Collection[str] = (), answer: Collection[str] = ()
) -> list[WrongImage]:
    """Return the wrong images, the most confident first.

    Args:
        answers: Of a set.
        truth: Only images of these classes; all where there are none.
        answer: Only what is taken for these; anything where there are none.
    """
    found = [
        WrongImage(
            place=place,
            truth=answers.truth[place],
            answer=answers.answers[place],
            confidence=answers.confidences[place],
        )
        for place, is_right in enumerate(answers.is_right)
        if not is_right
        and (not truth or answers.truth[place] in truth)
        and (not answer or answers.answers[place] in answer)
    ]
    return sorted(found, key=lambda image: (-image.confidence, image.place))


def mistakes(
    sets: Mapping[str, SetAnswers],
    of: Sequence[str] | None = None,
    *,
    most: Most | None = None,
    truth: Collection[str] = (),
    answer: Collection[str] = (),
) -> dict[str, Mistakes]:
    """Return what a version gets wrong about sets, by their names.

    Args:
        sets: Everything that was measured together.
        of: The sets that are asked for; None for all.
        most: How much of it is listed.
        truth: Of wrong images, list only those of these classes; all where there are none.
        answer: The same of what they are taken for.
    """
    figures = class_figures(sets.values())
    return {
        name: _mistakes(
            sets[name],
            figures,
            wrong_images(sets[name], truth=truth, answer=answer),
            most or Most(),
        )
        for name in (sets if of is None else of)
    }


def _mistakes(
    answers: SetAnswers,
    figures: Mapping[str, ClassFigures],
    wrong: Sequence[WrongImage],
    most: Most,
) -> Mistakes:
    classes = sorted(
        (figures[name] for name in dict.fromkeys(answers.truth)),
        key=lambda each: (each.recall or 0.0, each.class_id),
    )
    confused = confusions(answers)
    return Mistakes(
        images=answers.images,
        right=answers.right,
        classes=tuple(classes[: most.classes]),
        confusions=tuple(confused[: most.confusions]),
        shown=tuple(wrong[: most.images]),
        more_wrong=max(0, len(wrong) - most.images),
        more_classes=max(0, len(classes) - most.classes),
        more_confused=sum(each.images for each in confused[most.confusions :]),
    )


def compared(before: SetAnswers, after: SetAnswers) -> Comparison:
    """Return where two versions differ on the same images.

    Raises:
        InputError: they are not about the same images.
    """
    if before.truth != after.truth:
        raise InputError(
            f"expected answers about the same {before.images} images, in one order, found "
            f"{after.images}, or others"
        )
    pairs = zip(before.is_right, after.is_right, strict=True)
    found = [
        ChangedImage(
            place=place,
            truth=after.truth[place],
            before=before.answers[place],
            after=after.answers[place],
            confidence=after.confidences[place],
        )
        for place, (was, now) in enumerate(pairs)
        if was != now
    ]
    found.sort(key=lambda image: (-image.confidence, image.place))
    return Comparison(
        images=after.images,
        won=tuple(image for image in found if image.after == image.truth),
        lost=tuple(image for image in found if image.before == image.truth),
    )
