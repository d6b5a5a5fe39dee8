"""Validation of YAML files that people write: every wrong key, value or type is a sentence."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from adapters.contract.nearest import ALIKE
from adapters.errors import NotFoundError, SettingsError
from workers.formats.problems import raise_all
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Partly:
    """A file as far as it is right.

    Attributes:
        values: Of the keys that are right.
        findings: What is wrong with the others.
    """

    values: Mapping[str, Any]
    findings: tuple[SettingsError, ...]


def read_settings(kind: type[Kind], path: Path | None, *, above: Entries | None = None) -> Kind:
    """Return the dataclass `kind` as the YAML file at `path` fills it in.

    Args:
        kind: See `settings_of`.
        path: The file; nothing but `above` where None.
        above: What variables of the environment say, which takes the place of what the file says.

    Raises:
        NotFoundError: there is no such file.
        SettingsError: it cannot be read, is not YAML, or has keys that are unknown, missing, there
            twice or of the wrong type; all of these are reported.
    """
    content = b"" if path is None else content_of(path)
    named = [str(path)] * (path is not None) + ["the environment"] * bool(above and above.entries)
    return settings_of(kind, content, " and ".join(named), above=above)


def content_of(path: Path) -> bytes:
    """Return the content of a YAML file, or enough of it to see that it is too large.

    Raises:
        NotFoundError: there is no such file.
        SettingsError: it cannot be read.
    """
    try:
        if not path.is_file():
            raise NotFoundError(f"expected a file at {path}, found none", path=str(path))
        with path.open("rb") as file:
            return file.read(DEFAULT_LIMITS.size_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"{path} cannot be read: {reason}", path=str(path)) from error


def settings_of(
    kind: type[Kind], content: bytes, where: str, *, above: Entries | None = None
) -> Kind:
    """Return the dataclass `kind` as YAML or JSON fills it in.

    Args:
        kind: Its fields are text, numbers, truths, literals, anything, tuples and mappings of
            these, further dataclasses, and each of these or None.
        content: The YAML or JSON.
        where: Names it in errors.
        above: Keys that take the place of those in `content`.

    Raises:
        SettingsError: as in `read_settings`.
    """
    found = partly(kind, content, where, above=above)
    raise_all(found.findings)
    return kind(**found.values)


def partly(kind: type[Any], content: bytes, where: str, *, above: Entries | None = None) -> Partly:
    """Return what YAML or JSON says of the dataclass `kind`, and everything that is wrong with it.

    The arguments are those of `settings_of`.

    Raises:
        SettingsError: it is no YAML, has a key twice, or is no keys and values.
    """
    root = nodes_of(content, where)
    # An empty file says nothing, so that everything is as it is by default.
    found = Entries() if root is None or is_null(root) else root
    if above is not None and isinstance(found, Entries):
        found = _laid_over(found, above)
    findings: list[SettingsError] = []
    written = _Reading(where, findings).section(kind, found, "")
    kinds = get_type_hints(kind, include_extras=True)
    wrong = {str(finding.fields.get("key", "")).partition(".")[0] for finding in findings}
    values = {}
    for name, value in written.items():
        if name in wrong:
            continue
        try:
            values[name] = TypeAdapter(kinds[name]).validate_python(value)
        except ValidationError as error:
            findings += _invalid(error, name, where)
    return Partly(values=values, findings=tuple(findings))


def _laid_over(below: Node, above: Node) -> Node:
    """Return keys and values with those of `above` in the place of theirs."""
    if not (isinstance(below, Entries) and isinstance(above, Entries)):
        return above
    merged = dict(below.entries)
    for name, (key, value) in above.entries.items():
        merged[name] = (key, _laid_over(merged[name][1], value) if name in merged else value)
    return Entries(entries=merged, line=below.line)


def _invalid(error: ValidationError, name: str, where: str) -> Iterator[SettingsError]:
    for each in error.errors():
        place = ".".join(map(str, (name, *each["loc"])))
        yield SettingsError(
            f"{place} in {where}: {each['msg']}, found {cut(repr(each['input']))}", key=place
        )


class _Reading:
    """Nodes as values of the kinds that are expected in their places.

    Args:
        where: Names the file in errors.
        findings: Where errors of keys go; what stands there is left out.
    """

    # Owns: the findings, until everything is read.

    def __init__(self, where: str, findings: list[SettingsError]) -> None:
        self._where = where
        self._findings = findings

    def section(self, kind: type[Any], node: Node, place: str) -> dict[str, Any]:
        """Return the fields of the dataclass `kind` that a node gives, by name."""
        where = f"{place} of {self._where}" if place else self._where
        if not isinstance(node, Entries):
            raise SettingsError(f"expected keys and values in {where}, found {shown(node)}")
        kinds = get_type_hints(kind, include_extras=True)
        for name, (key, _) in node.entries.items():
            if name not in kinds:
                self._findings.append(_unknown(name, list(kinds), _with_line(where, key)))
        for entry in fields(kind):
            optional = entry.default is not MISSING or entry.default_factory is not MISSING
            if entry.name not in node.entries and not optional:
                self._findings.append(_missing(entry.name, where, place))
        return self._read(
            (kinds[name], value, name, f"{place}.{name}" if place else name)
            for name, (_, value) in node.entries.items()
            if name in kinds
        )

    def _read(self, entries: Iterable[tuple[Any, Node, str, str]]) -> dict[str, Any]:
        """Return the values of entries - kind, node, name and place - that can be read, by name."""
        values = {}
        for kind, node, name, place in entries:
            try:
                values[name] = self._value(kind, node, place)
            except SettingsError as error:
                self._findings.append(error)
        return values

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
        return self._read(
            (kind, value, read_at(text_of, key, place, self._where), f"{place}.{name}")
            for name, (key, value) in node.entries.items()
        )

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


def _missing(name: str, where: str, place: str) -> SettingsError:
    key = f"{place}.{name}" if place else name
    return SettingsError(f"expected the key {name!r} in {where}, found none", key=key)


def _unknown(name: str, known: list[str], where: str) -> SettingsError:
    near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
    is_alike = get_close_matches(name, [near], cutoff=ALIKE)
    others = "" if is_alike else f"; the known keys are {', '.join(known)}"
    return SettingsError(
        f"unknown key {name!r} in {where}{others}; did you mean {near!r}?", key=name, nearest=near
    )
