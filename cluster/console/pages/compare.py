"""Compare: what two versions do not have alike, and the images that either has won or lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.mistakes import ChangedImage, Comparison
from cluster.console.known.pictures import PictureRef
from cluster.console.known.snapshot import KnownAdapter
from cluster.console.pages.errors import called
from cluster.console.pages.versions import loss
from cluster.console.shown.look import Look, Page
from workers.registry import Difference
from workers.registry.diff import AccuracyChange

IMAGES, MOST_IMAGES = 12, 500
"""Shown of each side of a task at first, and where that task alone is asked for."""
MOST_TASKS = 10
"""Whose images are shown at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedRow:
    """One task that was measured in either version.

    Attributes:
        accuracy: In both.
        comparison: On the same images; None where the answers of both were not kept.
    """

    accuracy: AccuracyChange
    comparison: Comparison | None

    @property
    def points(self) -> float | None:
        """How much better the later one is; None where it cannot be said."""
        before, after = self.accuracy.before, self.accuracy.after
        return None if before is None or after is None else after - before


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedImages:
    """The images of one task that only one of two versions has right.

    Attributes:
        task: The task.
        comparison: All of them.
        won: Some that only the later one has right, each with its picture if there is one.
        lost: The same of those that only the earlier one has right.
    """

    task: str
    comparison: Comparison
    won: Sequence[tuple[ChangedImage, PictureRef | None]]
    lost: Sequence[tuple[ChangedImage, PictureRef | None]]


def compare(look: Look) -> Page:
    """Show what two versions do not have alike."""
    adapter = look.adapter()
    before = look.version(adapter, look.asked("before") or _earlier(look, adapter))
    newest = adapter.production or adapter.versions[0].number
    after = look.version(adapter, look.asked("after") or newest)
    found = look.sources.client.diff(before.number, after.number, adapter=adapter.name)
    task = look.asked("task")
    changed = [
        name
        for name, each in found.comparisons.items()
        if (each.won or each.lost) and task in ("", name)
    ]
    return Page(
        template="compare.html.j2",
        title=f"{before.label} and {after.label}",
        content={
            "adapter": adapter,
            "before": before,
            "after": after,
            "choices": adapter.with_others(before, after),
            "task": task,
            "loss": loss(before, after),
            "found": found,
            "rows": [
                ComparedRow(accuracy=each, comparison=found.comparisons.get(each.task))
                for each in found.accuracies
            ],
            "images": [_images(look, found, name) for name in changed[:MOST_TASKS]],
            "more_tasks": changed[MOST_TASKS:],
            "called": lambda class_id, of: called(class_id, found.names, of),
            "may_ask": look.may("predict", adapter.name),
        },
    )


def _images(look: Look, found: Difference, task: str) -> ComparedImages:
    most = MOST_IMAGES if look.asked("task") else IMAGES
    submission = next(each.submission for each in found.after.tasks if each.task == task)
    pictures = look.sources.pictures.of_tests(submission)

    def shown(images: Sequence[ChangedImage]) -> list[tuple[ChangedImage, PictureRef | None]]:
        return [
            (image, pictures[image.place] if image.place < len(pictures) else None)
            for image in images[:most]
        ]

    comparison = found.comparisons[task]
    return ComparedImages(
        task=task, comparison=comparison, won=shown(comparison.won), lost=shown(comparison.lost)
    )


def _earlier(look: Look, adapter: KnownAdapter) -> int:
    """Return the version that what is served was made of, or else the one before the newest."""
    served = adapter.production
    if served is not None and (parent := look.version(adapter, served).parent):
        return parent
    return adapter.versions[min(1, len(adapter.versions) - 1)].number if adapter.versions else 0
