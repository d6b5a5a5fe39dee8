"""The page of JSON outputs, made from their schemas: `make docs`.

python -m docs.json_page          writes docs/json.md
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cluster.wire.outputs.schemas import LINES, SCHEMAS, schema_of
from cluster.wire.problems import Problem

PAGE = Path(__file__).with_name("json.md")
Schema = Mapping[str, Any]

HEAD = """<!-- Made by `make docs` from the schemas in cluster/wire: change those. -->

# What commands print for machines

Every verb has `--output json`. Then stdout has one JSON document and nothing else: on one line in a
pipe, indented on a terminal. `nacre watch` prints a document per line, as things happen. Times are
seconds since 1970, sizes are bytes, accuracies and probabilities go from 0 to 1 unless a key says
percent.

Where the HTTP API has the same, it has the same keys: `GET /v1/tasks` is `nacre status` without
`service` and `troubles`, `GET /v1/tasks/NAME` an entry of its `submissions`, `GET
/v1/tasks/NAME/events` is `nacre logs`, `GET /v1/adapters/NAME/versions` is `nacre versions`,
`/history`, `/diff` and `/versions/3` beside it are `history`, `diff` and `show`, `GET /v1/tokens`
and `/v1/audit` are `nacre token list` and `nacre audit`, and promote, rollback, alias, drop, pause,
resume, cancel and retry answer alike, and so do verify, settle, purge, gc, import and evaluate
([lasting verbs](serving.md#lasting-verbs)). `POST /v1/tasks` has the state of a submission
under `submission`, and what else `nacre submit` prints beside it.

**Errors.** A command that fails ends with [its exit code](../README.md), and with `--output json`
the last line of stderr is a JSON object with the keys of [problem documents](serving.md) over HTTP:
`type`, `title` (the name of the error), `status` (of HTTP; 400 for a mistyped command, 499 for an
interrupt, 500 where HTTP has none), `detail`, the sentence, and `help`, the section of
[operations.md](operations.md#failures) about it, or null. As with `kubectl`, `gh` and `aws`,
errors are never on stdout. A verb that has something to show beside its error prints both: `status`
with a trouble, `verify` with damage, `submit` whose second task is wrong or whose task is rejected,
`cancel` of what had ended.

**What may change.** Keys are added, and new values of `stage`, `action`, `cause`, `level` and
`title`: pass over what you do not know. A key that is here stays, with its type and its meaning,
until the next major version, and is never left out: what is not known is `null`. The text for
people may change at any time."""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for verb in SCHEMAS:
        parts += _section(f"## nacre {verb}", schema_of(verb), lines=verb in LINES)
    parts += _section("## Errors", TypeAdapter(Problem), lines=False)
    parts.append("# Documents in these documents")
    for name, schema in sorted(_inner().items()):
        parts += [f"### {name}", _told(schema), _table(schema)]
    return "\n\n".join(parts) + "\n"


def _section(heading: str, adapter: "TypeAdapter[Any]", *, lines: bool) -> Iterator[str]:
    yield heading
    schema = adapter.json_schema(mode="serialization")
    known = schema.get("$defs", {})
    is_list = schema.get("type") == "array"
    shown = known[_named(schema["items"])] if is_list else schema
    kind = "A list. Each: " if is_list else "A document per line: " if lines else ""
    yield kind + _told(shown)
    yield _table(shown)


def _inner() -> dict[str, Schema]:
    """Return the documents that others hold, by name."""
    found: dict[str, Schema] = {}
    for verb in SCHEMAS:
        schema = schema_of(verb).json_schema(mode="serialization")
        outer = _named(schema["items"]) if schema.get("type") == "array" else ""
        inner = schema.get("$defs", {}).items()
        found |= {name: one for name, one in inner if name != outer and "properties" in one}
    return found


def _told(schema: Schema) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _table(schema: Schema) -> str:
    rows = ["| key | type | |", "|---|---|---|"]
    for name, one in schema["properties"].items():
        told = " ".join(str(one.get("description", "")).split()).replace("|", "\\|")
        rows.append(f"| `{name}` | {_type(one)} | {told} |")
    return "\n".join(rows)


def _type(schema: Schema) -> str:
    """Return the type of a key, in words."""
    match schema:
        case {"$ref": _}:
            name = _named(schema)
            told = "any" if name == "JsonValue" else f"[{name}](#{name.lower()})"
        case {"anyOf": several}:
            told = " or ".join(map(_type, several))
        case {"const": value}:
            told = f"`{json.dumps(value)}`"
        case {"enum": values}:
            told = " or ".join(f"`{value}`" for value in values)
        case {"type": "array", "prefixItems": several}:
            told = f"list of {', '.join(map(_type, several))}"
        case {"type": "array", "items": item}:
            told = f"list of {_type(item)}"
        case {"type": "object", "additionalProperties": dict() as value}:
            told = f"{_type(value)} by name"
        case _:
            told = str(schema.get("type", "any"))
    return told


def _named(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
