"""JSON schema of the configuration, made from its dataclasses and what is said of their keys."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from adapters.contract.json_reading import typed
from cluster.client.methods import attributes
from cluster.config import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """Return the schema of nacre.yaml; a key that it does not know is wrong."""
    found = typed(Config).json_schema()
    parts = {kind.__name__: kind for kind in _kinds(Config)}
    for name, schema in (("Config", found), *found["$defs"].items()):
        _describe(schema, parts[name])
    found["properties"]["store"].pop("default", None)  # it is of whoever's home folder
    return {"$schema": DIALECT, **found, "title": "nacre.yaml"}


def _describe(schema: dict[str, Any], kind: type[Any]) -> None:
    schema["additionalProperties"] = False
    schema["description"] = (kind.__doc__ or "").partition("\n")[0]
    said = attributes(kind)
    for name, key in schema["properties"].items():
        key["description"] = said[name]
        key.pop("title", None)


def _kinds(kind: Any) -> Iterator[type[Any]]:
    """Yield a dataclass and those inside it."""
    if is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for hint in get_type_hints(kind, include_extras=True).values():
            yield from _kinds(hint)
    for part in get_args(kind):
        yield from _kinds(part)
