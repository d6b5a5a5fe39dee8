"""The routes of the HTTP API as they are promised: docs/openapi.json, and what would break it.

    python -m docs.promised_routes    writes docs/openapi.json anew, unless a promise would break

A client that was written for the promise must go on working: routes and keys of answers stay, and
nothing more is asked of a request. What is added is a promise once it is in the file.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("openapi.json")
Document = Mapping[str, Any]
VERBS = frozenset({"get", "post", "put", "patch", "delete"})
SHOWN = "application/json"
ERROR = "application/problem+json"
PROBLEM = "#/components/schemas/Problem"
DEEPEST = 12
"""Schemas inside each other; deeper ones are not compared."""


def breaking(promised: Document, found: Document) -> list[str]:
    """Return what a client of `promised` would miss in `found`, a sentence each."""
    return list(_breaking(promised, found))


def _breaking(promised: Document, found: Document) -> Iterator[str]:
    for path, item in promised["paths"].items():
        for verb in VERBS & item.keys():
            name = f"{verb.upper()} {path}"
            now = found["paths"].get(path, {}).get(verb)
            if now is None:
                yield f"{name} is gone"
                continue
            yield from _of_parameters(name, item[verb], now)
            before, after = _body(item[verb]), _body(now)
            if before is not None and after is not None:
                yield from _narrower(
                    f"{name}: the body", _Schemas(promised, before), _Schemas(found, after)
                )
            for code, answer in _answers(item[verb]).items():
                there = _answers(now).get(code)
                if there is None:
                    yield f"{name} does not answer {code} any more"
                else:
                    yield from _less(
                        f"{name}: the answer", _Schemas(promised, answer), _Schemas(found, there)
                    )


class _Schemas:
    """A schema in a document, with what it refers to."""

    def __init__(self, document: Document, schema: Document, depth: int = 0) -> None:
        self._document, self.depth = document, depth
        several = [self._named(each) for each in schema.get("anyOf", [schema])]
        there = [each for each in several if each.get("type") != "null"]
        self.types = frozenset(str(each["type"]) for each in several if "type" in each)
        self._schema: Document = there[0] if len(there) == 1 else {}

    def inner(self, schema: Document) -> "_Schemas":
        """Return a schema that this one holds."""
        return _Schemas(self._document, schema, self.depth + 1)

    @property
    def keys(self) -> dict[str, Document]:
        """The schemas of what it holds, by key; that of a list's items and of any key are `[]`."""
        listed = self._schema.get("items", self._schema.get("additionalProperties"))
        others = {"[]": listed} if isinstance(listed, dict) else {}
        return {**self._schema.get("properties", {}), **others}

    @property
    def required(self) -> frozenset[str]:
        """The keys that must be there."""
        return frozenset(self._schema.get("required", ()))

    def _named(self, schema: Document) -> Document:
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema


def _less(where: str, before: _Schemas, after: _Schemas) -> Iterator[str]:
    """Yield what is missing of an answer, or is of another kind."""
    if before.depth > DEEPEST:
        return
    if not after.types <= before.types:
        yield f"{where} may be {_or(after.types)}, and was {_or(before.types)}"
    for key, schema in before.keys.items():
        if key not in after.keys:
            yield f"{where} has no {key!r} any more"
        else:
            yield from _less(f"{where}.{key}", before.inner(schema), after.inner(after.keys[key]))


def _narrower(where: str, before: _Schemas, after: _Schemas) -> Iterator[str]:
    """Yield what a request may not have any more, or must have now."""
    if before.depth > DEEPEST:
        return
    if not before.types <= after.types:
        yield f"{where} must be {_or(after.types)}, and might be {_or(before.types)}"
    for key in sorted(after.required - before.required):
        yield f"{where} needs {key!r} now"
    for key, schema in before.keys.items():
        if key not in after.keys:
            yield f"{where} may not have {key!r} any more"
        else:
            yield from _narrower(
                f"{where}.{key}", before.inner(schema), after.inner(after.keys[key])
            )


def _of_parameters(name: str, before: Document, after: Document) -> Iterator[str]:
    known, now = _parameters(before), _parameters(after)
    for key in sorted(known.keys() - now.keys()):
        yield f"{name} does not take {key!r} any more"
    for key, parameter in now.items():
        if parameter.get("required") and not known.get(key, {}).get("required"):
            yield f"{name} needs {key!r} now"


def _parameters(operation: Document) -> dict[str, Document]:
    return {each["name"]: each for each in operation.get("parameters", ())}


def _body(operation: Document) -> Document | None:
    found: Document | None = (
        operation.get("requestBody", {}).get("content", {}).get(SHOWN, {}).get("schema")
    )
    return found


def _answers(operation: Document) -> dict[str, Document]:
    """Return the schemas of the answers that are no errors."""
    return {
        code: answer.get("content", {}).get(SHOWN, {}).get("schema", {})
        for code, answer in operation["responses"].items()
        if code < "400"
    }


def _or(types: frozenset[str]) -> str:
    return " or ".join(sorted(types)) or "anything"


def main() -> None:
    """Write the promise anew; exit with 1 where one would break."""
    from docs.reference import openapi

    found = openapi()
    if PAGE.is_file() and (broken := breaking(json.loads(PAGE.read_text()), found)):
        sys.exit("what was promised would break: " + "; ".join(broken))
    PAGE.write_text(json.dumps(with_shared_errors(found), indent=1, sort_keys=True) + "\n")


def with_shared_errors(document: Document) -> Document:
    """Return a document in which errors that are alike are written once, by their status."""
    shared: dict[str, Document] = {}
    schemas: dict[str, Document] = {}
    paths = {
        path: {verb: _sharing(operation, shared, schemas) for verb, operation in item.items()}
        for path, item in document["paths"].items()
    }
    components = document.get("components", {})
    known = {**components.get("schemas", {}), **schemas}
    return {
        **document,
        "paths": paths,
        "components": {**components, "schemas": known, "responses": shared},
    }


def _sharing(
    operation: Document, shared: dict[str, Document], schemas: dict[str, Document]
) -> Document:
    """Return an operation whose errors are named; they are noted in `shared` and `schemas`."""
    answers = dict(operation["responses"])
    for code, answer in operation["responses"].items():
        if code >= "400" and ERROR in answer.get("content", {}):
            schemas["Problem"] = answer["content"][ERROR]["schema"]
            alike = {**answer, "content": {ERROR: {"schema": {"$ref": PROBLEM}}}}
            if shared.setdefault(code, alike) == alike:
                answers[code] = {"$ref": f"#/components/responses/{code}"}
    return {**operation, "responses": answers}


if __name__ == "__main__":
    main()
