"""Answer sheet: what a version answers about each test image, one object beside its manifest.

Written when the version is published, so that wrong images, confusions, and images won and lost
between two versions can be looked at without an encoder, features or records. A gzip of a sealed
document: per image the place of its class in a list of classes, that of the answer where it is
another, and the answer's probability in thousandths. Two to four bytes an image. Classes that count
as one are one there.
"""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from adapters.errors import CorruptionError
from adapters.mistakes import SetAnswers
from workers.formats.documents import Count, seal, unsealed

MOST_BYTES = 16 * 2**20
"""Of a sheet before compression, some million images; a larger one is neither kept nor read."""
THOUSANDTHS = 1000
_CONFIDENCES = tuple(count / THOUSANDTHS for count in range(THOUSANDTHS + 1))
RIGHT = -1
"""Stands for the image's own class among the answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweredTask:
    """The answers about the test images of one task.

    Attributes:
        task: Its name.
        submission: Whose test images, in the order in which its shards have them.
        answers: Image by image; confidences in steps of a thousandth.
    """

    task: str
    submission: str
    answers: SetAnswers


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerSheet:
    """The answers of one version.

    Attributes:
        candidates: Among how many classes each was chosen.
        names: What people read of the classes in it, by their ids.
        tasks: The tasks that have test images here.
    """

    candidates: int
    names: Mapping[str, str]
    tasks: tuple[AnsweredTask, ...]

    @property
    def sets(self) -> dict[str, SetAnswers]:
        """The answers by the names of the tasks."""
        return {each.task: each.answers for each in self.tasks}

    def find(self, task: str) -> AnsweredTask | None:
        """Return the answers about the test images of a task; None where there are none."""
        return next((each for each in self.tasks if each.task == task), None)


def sheet_to_bytes(sheet: AnswerSheet) -> bytes | None:
    """Return the bytes of a sheet; None where it is larger than any that is read."""
    used = dict.fromkeys(
        name
        for each in sheet.tasks
        for names in (each.answers.truth, each.answers.answers)
        for name in names
    )
    places = {name: place for place, name in enumerate(used)}
    sealed = seal(
        {
            "candidates": sheet.candidates,
            "classes": [[name, sheet.names[name]] for name in used],
            "tasks": [
                {
                    "task": each.task,
                    "submission": each.submission,
                    "truth": [places[name] for name in each.answers.truth],
                    "answers": [
                        RIGHT if name == truth else places[name]
                        for name, truth in zip(
                            each.answers.answers, each.answers.truth, strict=True
                        )
                    ],
                    "thousandths": [
                        round(THOUSANDTHS * confidence) for confidence in each.answers.confidences
                    ],
                }
                for each in sheet.tasks
            ],
        }
    )
    return gzip.compress(sealed, mtime=0) if len(sealed) <= MOST_BYTES else None


def sheet_from_bytes(data: bytes, what: str) -> AnswerSheet:
    """Return the sheet in `data`; CorruptionError naming `what` when it is damaged."""
    stored = unsealed(_StoredSheet, _unpacked(data, what), what)
    ids = [name for name, _ in stored.classes]
    tasks = tuple(_task(each, ids, what) for each in stored.tasks)
    if len({each.task for each in tasks}) < len(tasks):
        raise CorruptionError(f"{what} is damaged: it has a task twice; restore it from a copy")
    return AnswerSheet(candidates=stored.candidates, names=dict(stored.classes), tasks=tasks)


def _unpacked(data: bytes, what: str) -> bytes:
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unpacking.decompress(data, MOST_BYTES + 1)
    except zlib.error as error:
        raise CorruptionError(f"{what} is damaged: {error}; restore it from a copy") from error
    if not unpacking.eof or unpacking.unused_data or len(content) > MOST_BYTES:
        raise CorruptionError(
            f"{what} is damaged: expected one gzip of at most {MOST_BYTES} bytes; restore it from "
            "a copy"
        )
    return content


def _task(stored: "_StoredTask", ids: list[str], what: str) -> AnsweredTask:
    counts = {len(stored.truth), len(stored.answers), len(stored.thousandths)}
    highest = max((*stored.truth, *stored.answers), default=-1)
    if len(counts) > 1 or highest >= len(ids):
        raise CorruptionError(
            f"{what} is damaged: expected a class, an answer and a confidence per image of "
            f"{stored.task!r}, all of them among {len(ids)} classes; restore it from a copy"
        )
    return AnsweredTask(
        task=stored.task,
        submission=stored.submission,
        answers=SetAnswers(
            truth=tuple(map(ids.__getitem__, stored.truth)),
            answers=tuple(
                ids[truth if place == RIGHT else place]
                for place, truth in zip(stored.answers, stored.truth, strict=True)
            ),
            confidences=tuple(map(_CONFIDENCES.__getitem__, stored.thousandths)),
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredTask:
    task: str
    submission: str
    truth: tuple[Count, ...]
    answers: tuple[Annotated[int, Field(ge=RIGHT)], ...]
    thousandths: tuple[Annotated[int, Field(ge=0, le=THOUSANDTHS)], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredSheet:
    candidates: Count
    classes: tuple[tuple[str, str], ...]
    tasks: tuple[_StoredTask, ...]
