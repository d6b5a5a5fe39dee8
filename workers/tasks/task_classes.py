"""Classes of a task: those that its file names, in the images that its sources hold."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from adapters.contract.class_names import comparable_name
from adapters.errors import ClassNameError
from workers.formats.problems import SHOWN
from workers.images.decode import EXTENSIONS
from workers.sources import ImageRef, Survey, job_hint
from workers.sources.places.survey import What
from workers.tasks.submission import Split

Images = Mapping[str, tuple[ImageRef, ...]]


def spelt_as(classes: Mapping[str, str], images: Images) -> Images:
    """Return `images` under the keys of `classes`, where those are spelt otherwise.

    Systems write `café` in one character or in two, and keep apart or not what differs in case.
    """
    others: defaultdict[str, list[str]] = defaultdict(list)
    for key in images:
        if key not in classes:
            others[comparable_name(key)].append(key)
    spelt = {}
    for key in classes:
        alike = others.get(comparable_name(key), [])
        if key not in images and len(alike) == 1:
            spelt[alike[0]] = key
    return {spelt.get(key, key): refs for key, refs in images.items()}


def wrong_classes(
    path: Path,
    classes: Mapping[str, str],
    images: Images,
    held_out: Images | None,
    surveys: Mapping[Split, Survey],
) -> Iterator[ClassNameError]:
    """Yield what is wrong with the classes that a task learns and is measured on."""
    seen, measured = (_told(surveys.get(split)) for split in ("train", "held_out"))
    if not classes:
        yield ClassNameError(
            f"expected at least one class with images for {path}, found none; in a folder, each "
            f"class is a folder with its images directly in it.{seen}{job_hint()}",
            path=str(path),
        )
    empty = tuple(key for key in classes if not images.get(key))
    if empty:
        yield ClassNameError(
            f"classes of {path} without images: {_quoted(empty)}; expected image files "
            f"({', '.join(sorted(EXTENSIONS))}); add images or remove the class."
            f"{_deeper(surveys.get('train'))}{seen}{job_hint()}",
            class_keys=empty,
        )
    if held_out is not None and not any(held_out.values()):
        yield ClassNameError(
            f"expected test images (`held_out`) for {path}, found none; add some, or leave the "
            f"key out: a tenth of the training images becomes the test split then.{measured}"
            f"{job_hint()}",
            path=str(path),
        )
    unknown = tuple(key for key in held_out or () if key not in classes)
    if unknown:
        yield ClassNameError(
            f"classes of the test images (`held_out`) of {path} that are not among those that are "
            f"learnt: {_quoted(unknown)}; expected some of {_quoted(tuple(classes))}; remove them "
            f"or add training images.{measured}",
            class_keys=unknown,
        )


def _deeper(survey: Survey | None) -> str:
    """Return what to do where pictures lie one folder deeper than those of classes; or nothing."""
    for each in survey.passed_over if survey else ():
        if each.what is What.DEEPER and each.are_pictures:
            return (
                " Images lie directly in the folder of their class: where the folders of classes "
                "are inside these ones, name one of these as `images`."
            )
    return ""


def _told(survey: Survey | None) -> str:
    """Return what a survey says, for the end of a message."""
    said = str(survey or "")
    return f" Of the source: {said}." if said else ""


def _quoted(keys: tuple[str, ...]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(map(repr, keys[:SHOWN])) + more
