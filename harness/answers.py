"""Confusion between tasks, and a few example predictions on test images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.contract.class_entry import ClassEntry
from workers.encoding.task_features import task_of

SHOWN_PER_SET = 4


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
    """

    set_name: str
    image: int
    expected: str
    predicted: str
    task: str
    right: bool


def taken_for(predicted: Sequence[ClassEntry], tasks: Sequence[str]) -> tuple[float, ...]:
    """Return the percentage of images that are taken for a class of each of `tasks`."""
    counts = Counter(task_of(entry) for entry in predicted)
    return tuple(100 * counts[task] / len(predicted) for task in tasks)


def some_answered(
    set_name: str, predicted: Sequence[ClassEntry], truth: Sequence[ClassEntry]
) -> list[Answered]:
    """Return a few answers, spread over the set."""
    count = len(predicted)
    places = [count * place // SHOWN_PER_SET for place in range(min(SHOWN_PER_SET, count))]
    return [
        Answered(
            set_name=set_name,
            image=place,
            expected=truth[place].name,
            predicted=predicted[place].name,
            task=task_of(predicted[place]),
            right=predicted[place].counts_as == truth[place].counts_as,
        )
        for place in places
    ]
