"""Counts of a source once its images have been read: nothing that it holds is in none of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.intake.reading import Sample
from workers.sources import Survey
from workers.tasks.submission import Split
from workers.tasks.task import Images, Task

SPLITS: Mapping[Split, str] = {"train": "training images", "held_out": "test images"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceCount:
    """What became of everything in one source of a task.

    Attributes:
        survey: What was seen and passed over before an image was read.
        used: Images that are learnt from or measured on.
        refused: Images that cannot be read, which the task allows to leave out.
        copies: Further copies of an image in its class.
    """

    survey: Survey
    used: int
    refused: int
    copies: int

    def to_json(self) -> dict[str, Any]:
        """Return the counts; `seen` is the sum of the others."""
        passed = [
            {
                "reason": each.reason,
                "pictures": each.are_pictures,
                "count": each.count,
                "kinds": dict(each.kinds),
                "examples": list(each.examples),
            }
            for each in self.survey.passed_over
        ]
        return {
            "things": self.survey.things,
            "seen": self.survey.seen,
            "used": self.used,
            "refused": self.refused,
            "copies": self.copies,
            "passed_over": passed,
        }


def counts_of(
    task: Task, distinct: Sequence[Sample], unreadable: Mapping[Split, int]
) -> dict[Split, SourceCount]:
    """Return the counts of each source of `task`.

    Args:
        task: Says what its sources held.
        distinct: The images that can be used, each content once.
        unreadable: How many of each source cannot.
    """
    used = Counter(each.split for each in distinct)
    sources: tuple[tuple[Split, Images], ...] = (
        ("train", task.images),
        ("held_out", task.held_out),
    )
    counts = {}
    for split, images in sources:
        listed = sum(map(len, images.values()))
        if not listed:
            continue
        survey = task.surveys.get(split)
        if survey is None or survey.used != listed:  # of a task that was put together in Python
            survey = Survey(seen=listed, used=listed)
        counts[split] = SourceCount(
            survey=survey,
            used=used[split],
            refused=unreadable.get(split, 0),
            copies=listed - used[split] - unreadable.get(split, 0),
        )
    return counts
