"""Mistakes as documents, the same over HTTP, in a shell and in a report's figures."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from adapters.mistakes import ChangedImage, Comparison, Mistakes
from cluster.wire.mistakes import (
    ChangedAnswer,
    ComparedSet,
    ConfusedPair,
    MistakenSet,
    RecognisedClass,
    VersionMistakes,
    WrongAnswer,
)
from workers.learning import version_mistakes

MOST_CHANGED = 20
"""Images that are listed of those a version has won of a set, or lost."""


def mistaken_document(name: str, found: Mistakes, *, submission: str | None) -> MistakenSet:
    """Return what a version gets wrong about the set `name`."""
    low, high = found.interval
    return MistakenSet(
        set=name,
        submission=submission,
        images=found.images,
        right=found.right,
        low=low,
        high=high,
        classes=[
            RecognisedClass(**asdict(each), recall=each.recall, precision=each.precision)
            for each in found.classes
        ],
        more_classes=found.more_classes,
        confusions=[ConfusedPair(**asdict(each)) for each in found.confusions],
        more_confused=found.more_confused,
        wrong=[WrongAnswer(**asdict(each)) for each in found.shown],
        more_wrong=found.more_wrong,
    )


def mistakes_document(found: version_mistakes.VersionMistakes) -> VersionMistakes:
    """Return what a version gets wrong about the test images of its tasks."""
    sets = [
        mistaken_document(task, each, submission=found.submissions[task])
        for task, each in found.tasks.items()
    ]
    return VersionMistakes(
        adapter=found.manifest.adapter,
        version=found.manifest.number,
        candidates=found.candidates,
        names=names_in(sets, (), found.names),
        sets=sets,
    )


def compared_document(name: str, found: Comparison) -> ComparedSet:
    """Return where two versions differ on the set `name`."""
    return ComparedSet(
        set=name,
        images=found.images,
        won=len(found.won),
        lost=len(found.lost),
        p=found.p,
        images_won=_changed(found.won),
        images_lost=_changed(found.lost),
    )


def _changed(images: tuple[ChangedImage, ...]) -> list[ChangedAnswer]:
    return [ChangedAnswer(**asdict(each)) for each in images[:MOST_CHANGED]]


def names_in(
    sets: Iterable[MistakenSet], compared: Iterable[ComparedSet], names: Mapping[str, str]
) -> dict[str, str]:
    """Return those of `names` that the documents use."""
    used = set[str]()
    for each in sets:
        used |= {one.class_id for one in each.classes}
        used |= {name for pair in each.confusions for name in (pair.truth, pair.answer)}
        used |= {name for image in each.wrong for name in (image.truth, image.answer)}
    for both in compared:
        for image in (*both.images_won, *both.images_lost):
            used |= {image.truth, image.before, image.after}
    return {name: names[name] for name in sorted(used)}
