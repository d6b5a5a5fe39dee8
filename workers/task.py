"""A task as a person writes it: one YAML file beside folders of images.

name: fashion                       # letters, digits, dot, dash and underscore
prompt: "a photo of a {}."          # {} becomes the class's readable name
images: train                       # a folder with one folder per class, or a CSV of path,label
held_out: test                      # the same shape; measured on, never learnt from
classes: {ankle_boot: ankle boot}   # folder: readable name; left out, every folder is a class
adapter: main
augmentation: crop-mirror           # `crop` for digits, letters and signs
settings: {steps: 100}
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml

from adapters.errors import ClassNameError, NotFoundError, SettingsError
from adapters.settings import LadaSettings
from workers.images import EXTENSIONS
from workers.views import Augmentation

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One new domain to learn.

    Attributes:
        name: What the task is called, unique in its adapter.
        images: Training images of each class, by the class's key, sorted.
        held_out: Held-out images of each class; empty where the task has none.
        classes: Readable names by key, in the order of the class indices.
        prompt: The template of the text side, with one `{}`.
        adapter: The adapter that grows.
        settings: Settings of the method that differ from its defaults.
        augmentation: How views after the first are drawn.
        seed: Of everything random in this task.
    """

    name: str
    images: Mapping[str, tuple[Path, ...]]
    classes: Mapping[str, str]
    held_out: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    prompt: str = "a photo of a {}."
    adapter: str = "main"
    augmentation: Augmentation = "crop-mirror"
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFile:
    """The keys of a task file; see the head of this module."""

    name: str
    images: str
    held_out: str | None = None
    classes: Mapping[str, str] | None = None
    prompt: str = "a photo of a {}."
    adapter: str = "main"
    augmentation: Augmentation = "crop-mirror"
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


def load_task(path: Path) -> Task:
    """Return the task that the file at `path` describes.

    Raises:
        NotFoundError: the file, or a folder that it names, does not exist.
        SettingsError: a key is unknown, missing or of the wrong type.
        ClassNameError: no class, or a class without images.
    """
    file = _parse(path)
    images = _images_by_class(path.parent / file.images, path, "images")
    classes = {str(key): name for key, name in (file.classes or {}).items()} or {
        key: key.replace("_", " ") for key in images
    }
    held_out = (
        _images_by_class(path.parent / file.held_out, path, "held_out") if file.held_out else {}
    )
    _check_classes(path, classes, images, held_out)
    return Task(
        name=file.name,
        images={key: images[key] for key in classes},
        held_out={key: held_out.get(key, ()) for key in classes} if held_out else {},
        classes=classes,
        prompt=file.prompt,
        adapter=file.adapter,
        augmentation=file.augmentation,
        settings=file.settings,
        seed=file.seed,
    )


def _parse(path: Path) -> TaskFile:
    if not path.is_file():
        raise NotFoundError(f"expected a task file at {path}, found none", path=str(path))
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}", path=str(path)) from error
    if not isinstance(content, dict):
        raise SettingsError(
            f"expected keys and values in {path}, found {type(content).__name__}", path=str(path)
        )
    _check_keys(path, content)
    file = TaskFile(**content)
    _check_values(path, file)
    return file


def _check_keys(path: Path, content: dict[str, Any]) -> None:
    known = [entry.name for entry in fields(TaskFile)]
    for key in content:
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
            raise SettingsError(
                f"unknown key {key!r} in {path}; did you mean {near!r}? "
                f"Known keys: {', '.join(known)}",
                key=str(key),
                nearest=near,
                path=str(path),
            )
    for key in ("name", "images"):
        if key not in content:
            raise SettingsError(f"expected the key {key!r} in {path}, found none", key=key)


def _check_values(path: Path, file: TaskFile) -> None:
    for label, value in (("name", file.name), ("adapter", file.adapter)):
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise SettingsError(
                f"expected {label} in {path} to be 1 to 64 letters, digits, dots, dashes or "
                f"underscores, found {value!r}",
                key=label,
            )
    if not isinstance(file.prompt, str) or file.prompt.count("{}") != 1:
        raise SettingsError(
            f"expected exactly one {{}} in the prompt of {path}, found {file.prompt!r}",
            key="prompt",
        )
    if file.augmentation not in get_args(Augmentation):
        raise SettingsError(
            f"expected augmentation in {path} to be one of {', '.join(get_args(Augmentation))}, "
            f"found {file.augmentation!r}",
            key="augmentation",
        )
    if file.classes is not None and not isinstance(file.classes, dict):
        raise SettingsError(
            f"expected `classes` in {path} to map folders to readable names, found "
            f"{type(file.classes).__name__}",
            key="classes",
        )
    LadaSettings.from_mapping(file.settings)


def _check_classes(
    path: Path,
    classes: Mapping[str, str],
    images: Mapping[str, tuple[Path, ...]],
    held_out: Mapping[str, tuple[Path, ...]],
) -> None:
    if not classes:
        raise ClassNameError(
            f"expected at least one folder of images for {path}, found none", path=str(path)
        )
    for key in classes:
        if not images.get(key):
            raise ClassNameError(
                f"class {key!r} of {path} has no images: expected image files "
                f"({', '.join(sorted(EXTENSIONS))}), found none; add images or remove the class",
                class_key=key,
            )
    for key in held_out:
        if key not in classes:
            raise ClassNameError(
                f"held-out class {key!r} of {path} is not among the classes that are learnt "
                f"({', '.join(classes)}); remove it or add training images",
                class_key=key,
            )


def _images_by_class(source: Path, task_file: Path, key: str) -> dict[str, tuple[Path, ...]]:
    if source.is_dir():
        return {
            folder.name: tuple(
                sorted(file for file in folder.iterdir() if file.suffix.lower() in EXTENSIONS)
            )
            for folder in sorted(source.iterdir())
            if folder.is_dir()
        }
    if source.is_file():
        return _listed_images(source)
    raise NotFoundError(
        f"expected a folder of classes or a CSV list at {source} ({key!r} in {task_file}), found "
        "nothing; paths are relative to the task file",
        path=str(source),
    )


def _listed_images(source: Path) -> dict[str, tuple[Path, ...]]:
    with source.open(newline="") as file:
        reader = csv.DictReader(file)
        if not {"path", "label"} <= set(reader.fieldnames or ()):
            raise SettingsError(
                f"expected the columns path and label in {source}, found {reader.fieldnames}",
                path=str(source),
            )
        listed: dict[str, list[Path]] = {}
        for row in reader:
            listed.setdefault(row["label"], []).append(source.parent / row["path"])
    return {label: tuple(sorted(paths)) for label, paths in sorted(listed.items())}
