"""Validation of YAML files that people write: every wrong key, value or type is a sentence."""

from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import TypeAdapter, ValidationError

from adapters.errors import NotFoundError, SettingsError

Kind = TypeVar("Kind")


def read_settings(kind: type[Kind], path: Path) -> Kind:
    """Return the dataclass `kind` as the YAML file at `path` fills it in.

    Raises:
        NotFoundError: there is no such file.
        SettingsError: not YAML, or a key that is unknown, missing or of the wrong type.
    """
    if not path.is_file():
        raise NotFoundError(f"expected a file at {path}, found none", path=str(path))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}", path=str(path)) from error
    return _filled(kind, {} if content is None else content, str(path))


def _filled(kind: type[Kind], content: Any, where: str) -> Kind:
    _check_keys(kind, content, where)
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsError(
            f"{place} in {where}: {first['msg']}, found {first['input']!r}",
            key=place,
        ) from error


def _check_keys(kind: type[Any], content: Any, where: str) -> None:
    if not isinstance(content, dict):
        raise SettingsError(f"expected keys and values in {where}, found {content!r}")
    known = {entry.name: entry for entry in fields(kind)}
    for key, value in content.items():
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
            raise SettingsError(
                f"unknown key {key!r} in {where}; did you mean {near!r}? "
                f"Known keys: {', '.join(known)}",
                key=str(key),
                nearest=near,
            )
        _check_sections(known[key].type, value, f"{key} of {where}")
    for name, entry in known.items():
        if name not in content and entry.default is MISSING and entry.default_factory is MISSING:
            raise SettingsError(f"expected the key {name!r} in {where}, found none", key=name)


def _check_sections(kind: Any, content: Any, where: str) -> None:
    """Check what is itself keys and values: a section, or sections by name."""
    if isinstance(kind, type) and is_dataclass(kind):
        _check_keys(kind, content, where)
    elif get_origin(kind) is dict and isinstance(content, dict):
        for name, value in content.items():
            _check_sections(get_args(kind)[1], value, f"{name} of {where}")
