"""Task file: the keys that a person writes, and what is wrong with their values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from adapters.contract.nearest import did_you_mean
from adapters.errors import ClassNameError, InputError, NotFoundError, SettingsError
from workers.formats.yaml_settings import Partly, content_of, partly
from workers.images.views import Augmentation
from workers.sources import job_hint
from workers.sources.columns import Columns
from workers.sources.places.keys import what_is_wrong_with
from workers.tasks.task_name import NAME

# YAML reads a class called 0 as a number.
PlainText = Annotated[str, Field(coerce_numbers_to_str=True)]
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")

SharedNames = Literal[
    "keep",  # both classes keep the name
    "merge",  # the new class counts as the one that has the name
    "qualify",  # the new class gets the task's domain word beside its name
]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFile:
    """The keys of a task file; see the head of `workers.tasks.task`."""

    name: str
    images: str
    held_out: str | None = None
    columns: Columns = field(default_factory=Columns)
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


def read_task_file(path: Path, content: bytes | None = None) -> Partly:
    """Return what a task file says, and everything that is wrong with its keys.

    Args:
        path: The file.
        content: What it says, where it has not been written.

    Raises:
        NotFoundError: there is none.
        SettingsError: it is no YAML.
    """
    try:
        content = content_of(path) if content is None else content
    except NotFoundError as error:
        raise NotFoundError(
            f"expected a task file at {path}, found {_instead(path)}{job_hint()}", path=str(path)
        ) from error
    return partly(TaskFile, content, str(path))


def _instead(path: Path) -> str:
    """Return what is found where a task file should be, and what may be meant."""
    if path.is_dir():
        return (
            f"a folder; a task file is a YAML file beside it, with a `name:` and `images: "
            f"{path.name}`."
        )
    beside = path.parent.glob("*.y*ml") if path.parent.is_dir() else ()
    return f"none{did_you_mean(path.name, (each.name for each in beside)) or '.'}"


def _nearest_name(value: str) -> str:
    """Return the end of a sentence with the name that `value` is nearest to, if there is one."""
    found = _NO_NAME.sub("-", value).strip("-._")
    return f"; {found!r} can be one" if NAME.fullmatch(found) else ""


def wrong_values(path: Path, file: TaskFile) -> Iterator[InputError]:
    """Yield what is wrong with the values of a task file beside their types."""
    for label, value in (
        ("name", file.name),
        ("adapter", file.adapter),
        ("replaces", file.replaces),
    ):
        if value is not None and not NAME.fullmatch(value):
            yield SettingsError(
                f"expected {label} in {path} to be 1 to 64 letters, digits, dots, dashes or "
                f"underscores, found {value!r}{_nearest_name(value)}",
                key=label,
            )
    if file.prompt.count("{}") != 1 or set(file.prompt.replace("{}", "")) & set("{}"):
        yield SettingsError(
            f"expected exactly one {{}} and no other braces in the prompt of {path}, found "
            f"{file.prompt!r}",
            key="prompt",
        )
    if file.qualifier is not None and (
        file.shared_names != "qualify" or not file.qualifier.strip()
    ):
        yield SettingsError(
            f"expected a word and `shared_names: qualify` beside the key 'qualifier' of {path}, "
            f"found {file.qualifier!r} and {file.shared_names!r}",
            key="qualifier",
        )
    for key, name in file.classes.items():
        if not name.strip():
            yield ClassNameError(
                f"expected a readable name for class {key!r} of {path}, found an empty one",
                class_key=key,
            )
            continue
        for written in (key, " ".join(name.split())):
            wrong = what_is_wrong_with(written)
            if wrong:
                yield ClassNameError(
                    f"{written[:60]!r} of `classes` in {path} cannot name a class: it {wrong}",
                    class_key=key[:60],
                )
