"""JSON schemas of documents as OpenAPI has them where it cannot refer to others."""

from typing import Any

from pydantic import BaseModel


def inlined_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a document, with the documents in it written out."""
    schema = model.model_json_schema()
    found: dict[str, Any] = inlined(schema, schema.pop("$defs", {}))
    return found


def inlined(value: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema with what it refers to written out."""
    if isinstance(value, dict):
        if "$ref" in value:
            return inlined(definitions[value["$ref"].rsplit("/", 1)[1]], definitions)
        return {key: inlined(entry, definitions) for key, entry in value.items()}
    if isinstance(value, list):
        return [inlined(entry, definitions) for entry in value]
    return value
