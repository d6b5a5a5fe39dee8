"""The promise of the HTTP API: what is in docs/openapi.json stays, and what is there is in it."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from docs.promised_routes import PAGE, breaking, with_shared_errors
from docs.reference import openapi

Change = Callable[[dict[str, Any]], object]
PROMISED: dict[str, Any] = {
    "paths": {
        "/v1/birds": {
            "get": {
                "parameters": [{"name": "limit", "in": "query", "required": False}],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {"$ref": "#/components/schemas/Bird"},
                                }
                            }
                        }
                    },
                    "404": {},
                },
            },
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Bird"}}
                    }
                },
                "responses": {"200": {}},
            },
        }
    },
    "components": {
        "schemas": {
            "Bird": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "nest": {"anyOf": [{"$ref": "#/components/schemas/Nest"}, {"type": "null"}]},
                },
                "required": ["name"],
            },
            "Nest": {"type": "object", "properties": {"eggs": {"type": "integer"}}},
        }
    },
}


def get(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/v1/birds"]["get"]
    return found


def bird(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]["Bird"]
    return found


BREAKING: list[tuple[Change, str]] = [
    (lambda d: d["paths"].clear(), "GET /v1/birds is gone"),
    (lambda d: d["paths"]["/v1/birds"].pop("post"), "POST /v1/birds is gone"),
    (lambda d: get(d)["parameters"].clear(), "does not take 'limit' any more"),
    (lambda d: get(d)["parameters"][0].update(required=True), "needs 'limit' now"),
    (lambda d: get(d)["parameters"].append({"name": "of", "required": True}), "needs 'of' now"),
    (lambda d: get(d)["responses"].pop("200"), "does not answer 200 any more"),
    (lambda d: bird(d)["properties"].pop("nest"), "answer.[] has no 'nest' any more"),
    (lambda d: bird(d)["properties"]["name"].update(type="integer"), "may be integer"),
    (lambda d: bird(d)["required"].append("nest"), "the body needs 'nest' now"),
    (lambda d: bird(d)["properties"]["nest"]["anyOf"].pop(), "body.nest must be object"),
    (
        lambda d: d["components"]["schemas"]["Nest"]["properties"].clear(),
        "answer.[].nest has no 'eggs' any more",
    ),
]
KEEPING: list[Change] = [
    lambda d: d["paths"].update({"/v1/cats": {"get": {"responses": {}}}}),
    lambda d: get(d)["parameters"].append({"name": "of", "required": False}),
    lambda d: get(d)["responses"].pop("404"),
    lambda d: bird(d)["properties"].update(colour={"type": "string"}),
]


@pytest.mark.parametrize(("change", "why"), BREAKING)
def test_what_would_break_a_client_is_found(change: Change, why: str) -> None:
    found = copy.deepcopy(PROMISED)
    change(found)
    assert any(why in sentence for sentence in breaking(PROMISED, found))


@pytest.mark.parametrize("change", KEEPING)
def test_what_is_added_breaks_nothing(change: Change) -> None:
    found = copy.deepcopy(PROMISED)
    change(found)
    assert breaking(PROMISED, found) == []


def test_what_was_promised_is_kept_and_what_is_there_is_promised() -> None:
    promised, found = json.loads(PAGE.read_text()), openapi()
    assert breaking(promised, found) == []
    assert breaking(found, promised) == [], "run `make docs`: from then on it is a promise"


def test_the_page_names_the_errors_of_every_route_and_what_they_look_like() -> None:
    page, found = json.loads(PAGE.read_text()), with_shared_errors(openapi())
    for path, item in found["paths"].items():
        for verb, operation in item.items():
            assert page["paths"][path][verb]["responses"] == operation["responses"], (path, verb)
    assert page["components"]["responses"] == found["components"]["responses"]
    assert page["components"]["schemas"]["Problem"]["properties"].keys() == {
        *("type", "title", "status", "detail", "help")
    }
    assert "404" in page["paths"]["/v1/tasks/{name}"]["get"]["responses"]
