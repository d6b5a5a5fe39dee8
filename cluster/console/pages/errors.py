"""Errors: what a version gets wrong about its test images, the most confident answers first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adapters.errors import NotFoundError
from cluster.console.known.pictures import PictureRef
from cluster.console.known.snapshot import KnownAdapter
from cluster.console.shown.look import Look, Page
from cluster.wire.mistaken import mistakes_document
from cluster.wire.mistakes import ConfusedPair, MistakenSet, RecognisedClass, VersionMistakes

IMAGES, MOST_IMAGES = 60, 1000
"""Shown at first, and at most."""
PAIRS, CLASSES = 20, 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownImage:
    """One wrong image.

    Attributes:
        set: The task whose test image it is.
        place: Which of the task's test images.
        picture: Of it; None where its images are not kept.
        truth: Its class.
        answer: What it is taken for.
        confidence: The probability of that, from 0 to 1.
    """

    set: str
    place: int
    picture: PictureRef | None
    truth: str
    answer: str
    confidence: float


def errors(look: Look) -> Page:
    """Show what a version gets wrong, filtered as the address says."""
    adapter = look.adapter()
    version = look.version(adapter, look.asked("version") or shown_first(adapter))
    task, truth, answer = (look.asked(name) for name in ("task", "truth", "answer"))
    images = look.number("images", IMAGES, most=MOST_IMAGES) or IMAGES
    found, missing = None, ""
    try:
        mistakes = look.sources.client.mistakes(
            version.number,
            adapter=adapter.name,
            task=task or None,
            truth=truth or None,
            answer=answer or None,
            limit=max(images, CLASSES),
        )
        found = mistakes_document(mistakes)
    except NotFoundError as error:  # of answers that were not kept, or of a filter
        missing = error.message
    return Page(
        template="errors.html.j2",
        title=f"Errors of {version.label}",
        content={
            "adapter": adapter,
            "version": version,
            "choices": adapter.with_others(version),
            "task": task,
            "truth": truth,
            "answer": answer,
            "missing": missing,
            "found": found,
            **(_shown(look, found, images) if found else {}),
        },
    )


def shown_first(adapter: KnownAdapter) -> int:
    """Return the version that is shown where none is named: what is served, or the newest."""
    return adapter.production or (adapter.versions[0].number if adapter.versions else 0)


def called(class_id: str, names: Mapping[str, str], task: str) -> str:
    """Return what people read of a class, with its task where that is another."""
    own = class_id.partition("/")[0]
    name = names.get(class_id, class_id)
    return name if own == task else f"{name} ({own})"


def _shown(look: Look, found: VersionMistakes, images: int) -> dict[str, object]:
    wrong = sorted(_wrong(look, found), key=lambda each: (-each.confidence, each.set, each.place))
    pairs = _sorted_pairs(found.sets)
    classes = _sorted_classes(found.sets)
    return {
        "wrong": wrong[:images],
        "more_wrong": len(wrong) - len(wrong[:images]) + sum(s.more_wrong for s in found.sets),
        "more_images": min(MOST_IMAGES, 2 * images) if images < MOST_IMAGES else 0,
        "pairs": pairs[:PAIRS],
        "more_pairs": len(pairs) > PAIRS,
        "classes": classes[:CLASSES],
        "more_classes": max(0, len(classes) - CLASSES) + sum(s.more_classes for s in found.sets),
        "known_classes": sorted(found.names.items()),
        "called": lambda class_id, task="": called(class_id, found.names, task),
    }


def _wrong(look: Look, found: VersionMistakes) -> Iterator[ShownImage]:
    for each in found.sets:
        pictures = look.sources.pictures.of_tests(each.submission or "") if each.wrong else []
        for image in each.wrong:
            yield ShownImage(
                set=each.set,
                place=image.place,
                picture=pictures[image.place] if image.place < len(pictures) else None,
                truth=image.truth,
                answer=image.answer,
                confidence=image.confidence,
            )


def _sorted_pairs(sets: Sequence[MistakenSet]) -> list[tuple[str, ConfusedPair]]:
    found = [(each.set, pair) for each in sets for pair in each.confusions]
    return sorted(found, key=lambda one: (-one[1].images, one[1].truth, one[1].answer))


def _sorted_classes(sets: Sequence[MistakenSet]) -> list[tuple[str, RecognisedClass]]:
    found = [(each.set, one) for each in sets for one in each.classes]
    return sorted(found, key=lambda one: (one[1].recall or 0.0, one[1].class_id))
