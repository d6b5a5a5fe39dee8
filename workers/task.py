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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from adapters.errors import ClassNameError, NotFoundError, SettingsError
from adapters.settings import LadaSettings
from workers.images import EXTENSIONS
from workers.settings_file import read_settings
from workers.views import Augmentation

# YAML reads a class called 0 as a number.
PlainText = Annotated[str, Field(coerce_numbers_to_str=True)]
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
    classes: dict[PlainText, PlainText] = field(default_factory=dict)
    prompt: str = "a photo of a {}."
    adapter: str = "main"
    augmentation: Augmentation = "crop-mirror"
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 0


def load_task(path: Path) -> Task:
    """Return the task that the file at `path` describes.

    Raises:
        NotFoundError: the file, or a folder that it names, does not exist.
        SettingsError: a key is unknown, missing or of the wrong type.
        ClassNameError: no class, or a class without images.
    """
    file = read_settings(TaskFile, path)
    _check_values(path, file)
    images = _images_by_class(path.parent / file.images, path, "images")
    classes = file.classes or {key: key.replace("_", " ") for key in images}
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


def _check_values(path: Path, file: TaskFile) -> None:
    for label, value in (("name", file.name), ("adapter", file.adapter)):
        if not NAME.fullmatch(value):
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
    for key, name in file.classes.items():
        if not name.strip():
            raise ClassNameError(
                f"expected a readable name for class {key!r} of {path}, found an empty one",
                class_key=key,
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
    listed: dict[str, list[Path]] = {}
    for number, row in enumerate(_rows(source), start=2):
        if not (row["path"] and row["label"]):
            raise SettingsError(
                f"expected a path and a label in row {number} of {source}, found "
                f"{row['path']!r} and {row['label']!r}",
                path=str(source),
                row=number,
            )
        listed.setdefault(row["label"], []).append(source.parent / row["path"])
    return {label: tuple(sorted(paths)) for label, paths in sorted(listed.items())}


def _rows(source: Path) -> list[dict[str, str]]:
    try:
        # Spreadsheets put a byte-order mark at the beginning.
        with source.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or (), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(
            f"expected {source} to be a CSV list in UTF-8: {error}", path=str(source)
        ) from error
    if not {"path", "label"} <= set(columns):
        raise SettingsError(
            f"expected the columns path and label in {source}, found {list(columns)}",
            path=str(source),
        )
    return rows
