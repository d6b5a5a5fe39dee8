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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.errors import InputError, SettingsError, UnavailableError
from workers.formats.problems import raise_all
from workers.images.views import Augmentation
from workers.sources import Opener, Source, Survey, read_source
from workers.sources.places.survey import unwatched
from workers.store.local import open_local_store
from workers.tasks.submission import Split
from workers.tasks.task_classes import Images, spelt_as, wrong_classes
from workers.tasks.task_file import SharedNames, TaskFile, read_task_file, wrong_values
from workers.tasks.task_name import NAME

__all__ = ["NAME", "Images", "SharedNames", "Task", "TaskFile", "load_task"]


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


def load_task(
    path: Path,
    *,
    content: bytes | None = None,
    opener: Opener = open_local_store,
    adapter: str = "main",
    method_of: Callable[[str], str] = lambda _adapter: "lada",
    within: Path | None = None,
    on_seen: Callable[[], None] = unwatched,
) -> Task:
    """Return the task that the file at `path` describes; its images are named, not read.

    Args:
        path: The task file.
        content: What it says, where it has not been written; its sources are relative to where
            it would lie.
        opener: Returns the object store at an address, for images that lie in one.
        adapter: The adapter that grows where the file names none.
        method_of: Says by which method the tasks of an adapter, given by its name, are learnt.
        within: No file of this machine outside of this folder is read; None for no such limit.
        on_seen: Called again and again while sources are looked through; raises what should stop
            that.

    Raises:
        InputError: keys are unknown, missing or wrong, sources cannot be used, or classes are
            without images; all of this is reported at once. Where only one thing is wrong, it is
            the error of that thing: NotFoundError of a file or source that does not exist,
            SettingsError of a key or list, ClassNameError of classes.
        UnavailableError: an object store cannot be reached.
    """
    reading = read_task_file(path, content)
    file = TaskFile(**{"name": "task", "images": "", **reading.values})
    findings: list[InputError] = [*reading.findings, *wrong_values(path, file)]
    adapter = file.adapter or adapter
    findings += _wrong_settings(method_of(adapter), file.settings)
    sources: dict[Split, Source] = {}
    for split, key in _KEYS.items():
        source = getattr(file, key)
        if source is None or key not in reading.values:
            continue
        try:
            sources[split] = read_source(
                source,
                folder=path.parent,
                opener=opener,
                named=f"{key!r} in {path}, relative to the task file",
                within=within,
                # Where classes are named, nobody needs the names of those that are left alone.
                any_key=split == "train" and bool(file.classes),
                columns=file.columns,
                on_seen=on_seen,
            )
        except InputError as error:
            findings.append(error)
        except UnavailableError:
            raise_all(findings)  # waiting would not mend these
            raise
    task, wrong = _put_together(path, file, sources, adapter=adapter)
    # Where keys are wrong or sources are not read, nobody knows which classes are meant.
    is_told = not reading.findings or "classes" in reading.values
    is_read = len(sources) == 1 + (file.held_out is not None)
    raise_all([*findings, *(wrong if is_told and is_read else ())])
    return task


_KEYS: Mapping[Split, str] = {"train": "images", "held_out": "held_out"}


def _wrong_settings(method: str, settings: Mapping[str, Any]) -> list[InputError]:
    """Return what is wrong with the settings of a task: with each by itself, or with all.

    None are wrong where none are given; what a method needs is checked when it is submitted.
    """
    if not settings:
        return []
    # Methods need torch, which takes seconds to load: not where a task's shape is all that counts.
    from adapters.methods import method_named

    parts = [{name: value} for name, value in settings.items()]
    found: list[InputError] = []
    for each in (*parts, settings):
        if each is settings and found:
            break
        try:
            method_named(method).check_settings(each)
        except SettingsError as error:
            found.append(error)
    return found


def _put_together(
    path: Path, file: TaskFile, sources: Mapping[Split, Source], *, adapter: str
) -> tuple[Task, list[InputError]]:
    """Return a task of what its file and its sources say, and what is wrong with its classes."""
    nothing = Source(images={}, survey=Survey())
    learnt, measured = sources.get("train", nothing), sources.get("held_out")
    classes = file.classes or {
        key: learnt.names.get(key, key.replace("_", " ")) for key in learnt.images
    }
    images = spelt_as(classes, learnt.images)
    held_out = None if measured is None else spelt_as(classes, measured.images)
    left = [(key, len(refs)) for key, refs in images.items() if key not in classes]
    surveys: dict[Split, Survey] = {"train": learnt.survey.without(left)}
    if measured is not None:
        surveys["held_out"] = measured.survey
    wrong: list[InputError] = [*wrong_classes(path, classes, images, held_out, surveys)]
    task = Task(
        name=file.name,
        images={key: images.get(key, ()) for key in classes},
        held_out={key: held_out.get(key, ()) for key in classes} if held_out else {},
        classes=classes,
        prompt=file.prompt,
        adapter=adapter,
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
    return task, wrong
