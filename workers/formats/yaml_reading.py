"""Reading of YAML and JSON into nodes, bounded in size, number and depth.

Nodes are made from the parser's events without recursion, so that depth and number are bounded
before anything is built. Aliases, which make megabytes of 390 bytes, are refused.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from adapters.errors import SettingsError
from workers.formats.yaml_nodes import DEFAULT_LIMITS, Entries, Items, Node, Scalar, YamlLimits

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")


def nodes_of(content: bytes, where: str, *, limits: YamlLimits = DEFAULT_LIMITS) -> Node | None:
    """Return the one document in `content`, YAML or JSON; None where there is none.

    Args:
        content: Text in UTF-8, with or without a byte-order mark.
        where: Names it in errors.
        limits: What is too large.

    Raises:
        SettingsError: it is no such text, has a key twice, an alias or a tag, or is over a limit.
    """
    if len(content) > limits.size_bytes:
        raise SettingsError(
            f"expected at most {limits.size_bytes} bytes of YAML in {where}, found {len(content)}",
            path=where,
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{where} is not valid YAML: byte {error.start} is no UTF-8; save the file as UTF-8",
            path=where,
        ) from error
    building = _Building(where, limits)
    if text.lstrip().startswith("{"):
        value = _json(text, building)
        if value is not _NO_JSON:
            return building.of_json(value)
    return building.of_yaml(text)


_NO_JSON = object()


@dataclass(frozen=True, slots=True)
class _Pairs:
    """An object of JSON, its pairs as they are written."""

    pairs: list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class _Constant:
    """A number, or `NaN`, `Infinity` or `-Infinity`, as JSON writes it."""

    text: str


def _json(text: str, building: "_Building") -> Any:
    """Return what JSON says, numbers unread; `_NO_JSON` where `text` is none.

    YAML is nearly a superset of it: emoji in JSON are two halves (`\\ud83d\\ude00`), which YAML's
    parsers refuse or keep as halves.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=_Constant,
            parse_float=_Constant,
            parse_constant=_Constant,
        )
    except RecursionError as error:
        raise building.too_deep(0) from error
    except ValueError:
        return _NO_JSON


class _Building:
    """Makes the nodes of one document, and counts them.

    Args:
        where: Names the document in errors.
        limits: What is too large.
    """

    # Owns: the count of nodes so far.

    def __init__(self, where: str, limits: YamlLimits) -> None:
        self._where = where
        self._limits = limits
        self._nodes = 0

    def of_yaml(self, text: str) -> Node | None:
        """Return the document of YAML in `text`."""
        root: Node | None = None
        # What is open, and the key that waits for its value where that is a mapping.
        opened: list[tuple[Items | Entries, Scalar | None]] = []
        for event in self._events(text):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.CollectionEndEvent):
                opened.pop()
                continue
            node = self._node(event, line)
            if node is None:
                continue
            if opened:
                holder, key = opened[-1]
                opened[-1] = (holder, self._put(holder, key, node))
            elif root is not None:
                raise self._wrong(line, "a second document begins; expected one")
            else:
                root = node
            if not isinstance(node, Scalar):
                opened.append((node, None))
                if len(opened) > self._limits.depth:
                    raise self.too_deep(line)
        return root

    def of_json(self, value: Any, depth: int = 0) -> Node:
        """Return the nodes of what `json` has read."""
        if depth > self._limits.depth:
            raise self.too_deep(0)
        self._count(0)
        if isinstance(value, list):
            return Items(items=[self.of_json(item, depth + 1) for item in value])
        if isinstance(value, _Pairs):
            entries = Entries()
            for name, inner in value.pairs:
                key = self._put(entries, None, Scalar(text=name, is_plain=False))
                self._put(entries, key, self.of_json(inner, depth + 1))
            return entries
        if isinstance(value, str):
            return Scalar(text=value, is_plain=False)
        text = value.text if isinstance(value, _Constant) else json.dumps(value)
        return Scalar(text=text, is_plain=True)

    def too_deep(self, line: int) -> SettingsError:
        """Return the error for lists and mappings inside each other beyond the limit."""
        return self._wrong(
            line, f"lists and mappings are more than {self._limits.depth} inside each other"
        )

    def _events(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=_Loader)
        except yaml.YAMLError as error:
            raise self._unparsed(error, text) from error

    def _unparsed(self, error: yaml.YAMLError, text: str) -> SettingsError:
        # What the parser was at is told by its line alone: the file may be none of the asker's.
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "damaged"
        mark, start = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
        if mark is None:
            return self._wrong(0, problem)
        since = ""
        if start is not None and start.line != mark.line:
            since = f" ({error.context} of line {start.line + 1})"  # type: ignore[attr-defined]
        return self._wrong(mark.line + 1, f"{problem}{since}{_hint(problem, text, mark.line)}")

    def _node(self, event: Any, line: int) -> Node | None:
        if isinstance(event, yaml.AliasEvent):
            raise self._wrong(
                line,
                f"*{event.anchor} is an alias, and none are followed here; write out what it "
                "stands for, or quote it if the star is meant",
            )
        if not isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
            return None
        if event.tag not in _TEXT_TAGS:
            raise self._wrong(line, f"tags such as {event.tag!r} are not read; leave it out")
        self._count(line)
        if isinstance(event, yaml.ScalarEvent):
            is_plain = event.tag is None and not event.style
            return Scalar(text=event.value, is_plain=is_plain, line=line)
        if isinstance(event, yaml.MappingStartEvent):
            return Entries(line=line)
        return Items(line=line)

    def _put(self, holder: Items | Entries, key: Scalar | None, node: Node) -> Scalar | None:
        """Add a node to the list or mapping that is open; return the key that waits for a value."""
        if isinstance(holder, Items):
            holder.items.append(node)
            return None
        if key is not None:
            holder.entries[key.text] = (key, node)
            return None
        if not isinstance(node, Scalar):
            raise self._wrong(node.line, "a key is a list or a mapping; expected text")
        before = holder.entries.get(node.text)
        if before is not None:
            lines = _lines(before[0].line, node.line)
            raise SettingsError(
                f"the key {node.text!r} is there twice in {self._where}{lines}; leave one out",
                key=node.text,
            )
        return node

    def _count(self, line: int) -> None:
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise self._wrong(line, f"it has more than {self._limits.nodes} values")

    def _wrong(self, line: int, problem: str) -> SettingsError:
        at = f" in line {line}" if line else ""
        return SettingsError(
            f"{self._where} is not valid YAML{at}: {problem}", path=self._where, line=line
        )


def _lines(first: int, second: int) -> str:
    """Return the lines of two keys, for the end of a message."""
    if not second:
        return ""
    return f" (line {second})" if first == second else f" (lines {first} and {second})"


def _hint(problem: str, text: str, line: int) -> str:
    """Return what to do about the mistakes of people that the parser says in terms of its own."""
    lines = text.splitlines()
    found = lines[line] if line < len(lines) else ""
    if "\t" in found and ("tab" in problem or "cannot start any token" in problem):
        return "; indent with spaces, not with tabs"
    if "cannot start any token" in problem:
        return "; quote values that begin with @ ` or %"
    if "alias" in problem or "alphabetic or numeric" in problem:
        return "; quote values that begin with * or &"
    if "mapping values are not allowed" in problem:
        return "; quote values that hold a colon and a space"
    return ""
