"""Confusion between tasks, and what is shown of a version's mistakes on one set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.contract.class_entry import ClassEntry
from adapters.mistakes import Comparison, Mistakes, Most, SetAnswers, mistakes
from workers.encoding.task_features import task_of
from workers.learning.evaluation import Predicted

SHOWN = Most(classes=100, confusions=10, images=12)
"""Of each set, in reports and outputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What was answered about one test image.

    Attributes:
        set_name: Its set.
        image: Its place among the set's test images.
        expected: The name of its class.
        predicted: The name of the class that was predicted.
        task: The task of that class.
        right: Whether it is the class, or one that counts as it.
        confidence: The probability of the answer; None in runs of early releases.
    """

    set_name: str
    image: int
    expected: str
    predicted: str
    task: str
    right: bool
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SetMistakes:
    """What a version gets wrong about one set.

    Attributes:
        set_name: The set.
        found: What it gets wrong.
        names: What people read of the classes in it, by their ids.
    """

    set_name: str
    found: Mistakes
    names: Mapping[str, str]

    @property
    def answered(self) -> list[Answered]:
        """The wrong images, the most confident first."""
        return [
            Answered(
                set_name=self.set_name,
                image=each.place,
                expected=self.names[each.truth],
                predicted=self.names[each.answer],
                task=each.answer.partition("/")[0],
                right=False,
                confidence=each.confidence,
            )
            for each in self.found.shown
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class SetComparison:
    """Two versions on one set.

    Attributes:
        set_name: The set.
        found: What the second has won and lost.
        names: What people read of the classes in it, by their ids.
    """

    set_name: str
    found: Comparison
    names: Mapping[str, str]


def taken_for(predicted: Sequence[ClassEntry], tasks: Sequence[str]) -> tuple[float, ...]:
    """Return the percentage of images that are taken for a class of each of `tasks`."""
    counts = Counter(task_of(entry) for entry in predicted)
    return tuple(100 * counts[task] / len(predicted) for task in tasks)


def answers_by_set(
    names: Sequence[str],
    predicted: Sequence[Predicted],
    truths: Sequence[Sequence[ClassEntry]],
) -> dict[str, SetAnswers]:
    """Return the answers about sets of these names, beside the classes of their images."""
    return {
        name: found.about(truth)
        for name, found, truth in zip(names, predicted, truths, strict=True)
    }


def names_of(
    predicted: Sequence[Predicted], truths: Sequence[Sequence[ClassEntry]]
) -> dict[str, str]:
    """Return what people read of the classes of images and answers, by what they count as."""
    entries = [
        *(entry for found in predicted for entry in found.classes),
        *(entry for truth in truths for entry in truth),
    ]
    named = {entry.counts_as: entry.name for entry in entries}
    return named | {entry.class_id: entry.name for entry in entries if not entry.merged_into}


def set_mistakes(
    sets: Mapping[str, SetAnswers], names: Mapping[str, str]
) -> tuple[SetMistakes, ...]:
    """Return what a version gets wrong about sets that were measured together, as it is shown."""
    return tuple(
        SetMistakes(set_name=name, found=found, names=_used(found, names))
        for name, found in mistakes(sets, most=SHOWN).items()
    )


def _used(found: Mistakes, names: Mapping[str, str]) -> dict[str, str]:
    ids = {each.class_id for each in found.classes}
    ids |= {name for pair in found.confusions for name in (pair.truth, pair.answer)}
    ids |= {name for image in found.shown for name in (image.truth, image.answer)}
    return {name: names[name] for name in sorted(ids)}
