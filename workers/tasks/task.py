"""Task: one YAML file that a person writes beside its images; docs/tasks.md has every key.

name: fashion                       # letters, digits, dot, dash and underscore
prompt: "a photo of a {}."          # {} becomes the class's readable name
images: train                       # a folder per class, a list, tar shards, or an s3:// address
held_out: test                      # the same; measured on, never learnt from
classes: {ankle_boot: ankle boot}   # key: readable name; left out, every key is a class
adapter: main
augmentation: crop-mirror           # `crop` for digits, letters and signs
settings: {steps: 100}
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from adapters.contract.class_names import comparable_name
from adapters.errors import ClassNameError, NotFoundError, SettingsError
from workers.formats.problems import SHOWN
from workers.formats.yaml_settings import read_settings
from workers.images.decode import EXTENSIONS
from workers.images.views import Augmentation
from workers.sources import ImageRef, Opener, Source, Survey, job_hint, read_source
from workers.sources.keys import what_is_wrong_with
from workers.sources.survey import unwatched
from workers.store.local import open_local_store
from workers.tasks.submission import Split

# YAML reads a class called 0 as a number.
PlainText = Annotated[str, Field(coerce_numbers_to_str=True)]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Images = Mapping[str, tuple[ImageRef, ...]]
SharedNames = Literal[
    "keep",  # both classes keep the name
    "merge",  # the new class counts as the one that has the name
    "qualify",  # the new class gets the task's domain word beside its name
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One new domain to learn.

        >>> from dataclasses import replace
        >>> task = replace(nacre.load_task("task.yaml"), adapter="drafts", priority=1)
        >>> nacre.Client().submit(task).submission.adapter
        'drafts'

    Attributes:
        name: What the task is called, unique in its adapter.
        images: Training images of each class, by the class's key.
        held_out: Test images of each class; empty where the task has none.
        classes: Readable names by key, in the order of the class indices.
        prompt: The template of the text side, with one `{}`.
        adapter: The adapter that grows.
        settings: Settings of the method that differ from its defaults.
        augmentation: How views after the first are drawn.
        seed: Of everything random in this task.
        shared_names: What becomes of names that other tasks' classes have; None refuses them.
        qualifier: The domain word of `qualify`; the task's name where None.
        skip_unreadable: Fraction of the images that may be left out because they cannot be read.
        priority: Higher goes first.
        replaces: The task of the adapter that this one takes the place of.
        surveys: What the sources held besides, of training and of test images.
    """

    name: str
    images: Images
    classes: Mapping[str, str]
    held_out: Images = field(default_factory=dict)
    prompt: str = "a photo of a {}."
    adapter: str = "main"
    augmentation: Augmentation = "crop-mirror"
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    shared_names: SharedNames | None = None
    qualifier: str | None = None
    skip_unreadable: float = 0.0
    priority: int = 0
    replaces: str | None = None
    surveys: Mapping[Split, Survey] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        """The word that tells this task's classes from others of the same name."""
        return self.qualifier or re.sub(r"[-_]+", " ", self.name).strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFile:
    """The keys of a task file; see the head of this module."""

    name: str
    images: str
    held_out: str | None = None
    classes: dict[PlainText, PlainText] = field(default_factory=dict)
    prompt: str = "a photo of a {}."
    adapter: str | None = None
    augmentation: Augmentation = "crop-mirror"
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    shared_names: SharedNames | None = None
    qualifier: str | None = None
    skip_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.0
    priority: int = 0
    replaces: str | None = None


def load_task(
    path: Path,
    *,
    opener: Opener = open_local_store,
    adapter: str = "main",
    method_of: Callable[[str], str] = lambda _adapter: "lada",
    within: Path | None = None,
    on_seen: Callable[[], None] = unwatched,
) -> Task:
    """Return the task that the file at `path` describes; its images are named, not read.

    Args:
        path: The task file.
        opener: Returns the object store at an address, for images that lie in one.
        adapter: The adapter that grows where the file names none.
        method_of: Says by which method the tasks of an adapter, given by its name, are learnt.
        within: No file of this machine outside of this folder is read; None for no such limit.
        on_seen: Called again and again while sources are looked through; raises what should stop
            that.

    Raises:
        NotFoundError: the file, or a source of images that it names, does not exist.
        SettingsError: a key is unknown, missing or wrong, or a source cannot be used.
        ClassNameError: no class, or a class without images.
        UnavailableError: an object store cannot be reached.
    """
    # Methods need torch, which takes a second to load: not where a task's shape is all that counts.
    from adapters.methods import method_named

    try:
        file = read_settings(TaskFile, path)
    except NotFoundError as error:
        raise NotFoundError(
            f"expected a task file at {path}, found none.{job_hint()}", path=str(path)
        ) from error
    _check_values(path, file)
    grown = file.adapter or adapter
    method_named(method_of(grown)).check_settings(file.settings)

    def found(source: str, key: str) -> Source:
        return read_source(
            source,
            folder=path.parent,
            opener=opener,
            named=f"{key!r} in {path}, relative to the task file",
            within=within,
            on_seen=on_seen,
        )

    learnt = found(file.images, "images")
    measured = None if file.held_out is None else found(file.held_out, "held_out")
    classes = file.classes or {key: key.replace("_", " ") for key in learnt.images}
    images = _spelt_as(classes, learnt.images)
    held_out = None if measured is None else _spelt_as(classes, measured.images)
    left = [(key, len(refs)) for key, refs in images.items() if key not in classes]
    surveys: dict[Split, Survey] = {"train": learnt.survey.without(left)}
    if measured is not None:
        surveys["held_out"] = measured.survey
    _check_classes(path, classes, images, held_out, surveys)
    return Task(
        name=file.name,
        images={key: images[key] for key in classes},
        held_out={key: held_out.get(key, ()) for key in classes} if held_out else {},
        classes=classes,
        prompt=file.prompt,
        adapter=grown,
        augmentation=file.augmentation,
        settings=file.settings,
        seed=file.seed,
        shared_names=file.shared_names,
        qualifier=file.qualifier,
        skip_unreadable=file.skip_unreadable,
        priority=file.priority,
        replaces=file.replaces,
        surveys=surveys,
    )


def _spelt_as(classes: Mapping[str, str], images: Images) -> Images:
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


def _check_values(path: Path, file: TaskFile) -> None:
    for label, value in (
        ("name", file.name),
        ("adapter", file.adapter),
        ("replaces", file.replaces),
    ):
        if value is not None and not NAME.fullmatch(value):
            raise SettingsError(
                f"expected {label} in {path} to be 1 to 64 letters, digits, dots, dashes or "
                f"underscores, found {value!r}",
                key=label,
            )
    if file.prompt.count("{}") != 1 or set(file.prompt.replace("{}", "")) & set("{}"):
        raise SettingsError(
            f"expected exactly one {{}} and no other braces in the prompt of {path}, found "
            f"{file.prompt!r}",
            key="prompt",
        )
    if file.qualifier is not None and (
        file.shared_names != "qualify" or not file.qualifier.strip()
    ):
        raise SettingsError(
            f"expected a word and `shared_names: qualify` beside the key 'qualifier' of {path}, "
            f"found {file.qualifier!r} and {file.shared_names!r}",
            key="qualifier",
        )
    for key, name in file.classes.items():
        if not name.strip():
            raise ClassNameError(
                f"expected a readable name for class {key!r} of {path}, found an empty one",
                class_key=key,
            )
        for written in (key, " ".join(name.split())):
            wrong = what_is_wrong_with(written)
            if wrong:
                raise ClassNameError(
                    f"{written[:60]!r} of `classes` in {path} can be no class's: it {wrong}",
                    class_key=key[:60],
                )


def _check_classes(
    path: Path,
    classes: Mapping[str, str],
    images: Images,
    held_out: Images | None,
    surveys: Mapping[Split, Survey],
) -> None:
    seen, measured = (_told(surveys.get(split)) for split in ("train", "held_out"))
    if not classes:
        raise ClassNameError(
            f"expected at least one class with images for {path}, found none.{seen}{job_hint()}",
            path=str(path),
        )
    empty = tuple(key for key in classes if not images.get(key))
    if empty:
        raise ClassNameError(
            f"classes of {path} without images: {_quoted(empty)}; expected image files "
            f"({', '.join(sorted(EXTENSIONS))}); add images or remove the class.{seen}"
            f"{job_hint()}",
            class_keys=empty,
        )
    if held_out is not None and not any(held_out.values()):
        raise ClassNameError(
            f"expected test images (`held_out`) for {path}, found none; add some, or leave the "
            f"key out: a tenth of the training images becomes the test split then.{measured}"
            f"{job_hint()}",
            path=str(path),
        )
    unknown = tuple(key for key in held_out or () if key not in classes)
    if unknown:
        raise ClassNameError(
            f"classes of the test images (`held_out`) of {path} that are not among those that are "
            f"learnt: {_quoted(unknown)}; expected some of {_quoted(tuple(classes))}; remove them "
            f"or add training images.{measured}",
            class_keys=unknown,
        )


def _told(survey: Survey | None) -> str:
    """Return what a survey says, for the end of a message."""
    said = str(survey or "")
    return f" Of the source: {said}." if said else ""


def _quoted(keys: tuple[str, ...]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(map(repr, keys[:SHOWN])) + more
