"""Validation of YAML files that people write: every wrong key, value or type is a sentence."""

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from adapters.errors import NotFoundError, SettingsError
from workers.formats.yaml_nodes import DEFAULT_LIMITS, Entries, Items, Node
from workers.formats.yaml_reading import nodes_of
from workers.formats.yaml_scalars import (
    anything_of,
    cut,
    is_null,
    number_of,
    read_at,
    shown,
    text_of,
    truth_of,
)

Kind = TypeVar("Kind")

_SCALARS: dict[Any, Callable[[Node], Any]] = {
    str: text_of,
    int: number_of,
    float: number_of,
    bool: truth_of,
    Any: anything_of,
}


def read_settings(kind: type[Kind], path: Path) -> Kind:
    """Return the dataclass `kind` as the YAML file at `path` fills it in.

    Raises:
        NotFoundError: there is no such file.
        SettingsError: it cannot be read, is not YAML, or has a key that is unknown, missing, there
            twice or of the wrong type.
    """
    try:
        if not path.is_file():
            raise NotFoundError(f"expected a file at {path}, found none", path=str(path))
        with path.open("rb") as file:
            content = file.read(DEFAULT_LIMITS.size_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"{path} cannot be read: {reason}", path=str(path)) from error
    return settings_of(kind, content, str(path))


def settings_of(kind: type[Kind], content: bytes, where: str) -> Kind:
    """Return the dataclass `kind` as YAML or JSON fills it in.

    Args:
        kind: Its fields are text, numbers, truths, literals, anything, tuples and mappings of
            these, further dataclasses, and each of these or None.
        content: The YAML or JSON.
        where: Names it in errors.

    Raises:
        SettingsError: as in `read_settings`.
    """
    root = nodes_of(content, where)
    # An empty file says nothing, so that everything is as it is by default.
    found = Entries() if root is None or is_null(root) else root
    values = _Reading(where).section(kind, found, "")
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsError(
            f"{place} in {where}: {first['msg']}, found {cut(repr(first['input']))}", key=place
        ) from error


class _Reading:
    """Nodes as values of the kinds that are expected in their places.

    Args:
        where: Names the file in errors.
    """

    # Owns: nothing that changes.

    def __init__(self, where: str) -> None:
        self._where = where

    def section(self, kind: type[Any], node: Node, place: str) -> dict[str, Any]:
        """Return the fields of the dataclass `kind` that a node gives, by name."""
        where = f"{place} of {self._where}" if place else self._where
        if not isinstance(node, Entries):
            raise SettingsError(f"expected keys and values in {where}, found {shown(node)}")
        kinds = get_type_hints(kind, include_extras=True)
        for name, (key, _) in node.entries.items():
            if name not in kinds:
                raise _unknown(name, list(kinds), _with_line(where, key))
        for entry in fields(kind):
            optional = entry.default is not MISSING or entry.default_factory is not MISSING
            if entry.name not in node.entries and not optional:
                raise SettingsError(
                    f"expected the key {entry.name!r} in {where}, found none", key=entry.name
                )
        return {
            name: self._value(kinds[name], value, f"{place}.{name}" if place else name)
            for name, (_, value) in node.entries.items()
        }

    def _value(self, kind: Any, node: Node, place: str) -> Any:
        """Return what a node says where `kind` is expected."""
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self._value(inner[0], node, place)
        if origin in (Union, UnionType):
            (only,) = (each for each in inner if each is not NoneType)
            return None if is_null(node) else self._value(only, node, place)
        if origin is dict:
            return self._mapping(inner[1], node, place)
        if origin is tuple:
            return self._list(inner[0], node, place)
        if is_dataclass(kind):
            assert isinstance(kind, type)
            return self.section(kind, node, place)
        reader = text_of if origin is Literal else _SCALARS[kind]
        return read_at(reader, node, place, self._where)

    def _mapping(self, kind: Any, node: Node, place: str) -> dict[str, Any]:
        if not isinstance(node, Entries):
            raise self._other("keys and values", node, place)
        return {
            read_at(text_of, key, place, self._where): self._value(kind, value, f"{place}.{name}")
            for name, (key, value) in node.entries.items()
        }

    def _list(self, kind: Any, node: Node, place: str) -> list[Any]:
        if not isinstance(node, Items):
            raise self._other("a list", node, place)
        return [
            self._value(kind, item, f"{place}.{number}") for number, item in enumerate(node.items)
        ]

    def _other(self, expected: str, node: Node, place: str) -> SettingsError:
        where = _with_line(self._where, node)
        return SettingsError(
            f"{place} in {where}: expected {expected}, found {shown(node)}", key=place
        )


def _with_line(where: str, node: Node) -> str:
    return f"{where}, line {node.line}" if node.line else where


def _unknown(name: str, known: list[str], where: str) -> SettingsError:
    near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return SettingsError(
        f"unknown key {name!r} in {where}; did you mean {near!r}? Known keys: {', '.join(known)}",
        key=name,
        nearest=near,
    )
