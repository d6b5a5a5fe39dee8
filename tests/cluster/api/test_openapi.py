"""The OpenAPI document: valid, complete, and kept by every answer whatever is sent."""

import copy
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import one_of
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.cluster.api.conftest import Scene
from tests.support.drivers.api_server import ApiServer

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
VERBS = ("get", "post", "put", "delete")
EXAMPLES = 25
TIMEOUT_S = 60
"""Of one answer, on a machine that does much else."""


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (verb, path, operation)
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if verb in VERBS
    ]


@pytest.fixture
def document(api: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json()
    return found


def test_the_routes_are_those_that_the_documentation_names(document: dict[str, Any]) -> None:
    named = {
        "/v1/predict",
        "/v1/adapters/{adapter}/predict",
        "/v1/embed",
        "/v1/adapters/{adapter}/versions",
        "/v1/adapters/{adapter}/aliases",
        "/v1/adapters/{adapter}/accuracy",
        "/v1/adapters/{adapter}/promote",
        "/v1/adapters/{adapter}/rollback",
        "/v1/adapters/{adapter}/relearn",
        "/v1/adapters/{adapter}/drop",
        "/v1/adapters",
        "/v1/adapters/{adapter}/history",
        "/v1/adapters/{adapter}/diff",
        "/v1/adapters/{adapter}/versions/{version}/mistakes",
        "/v1/tokens",
        "/v1/audit",
        "/v1/webhooks",
        "/v1/methods",
        "/v1/encoders",
        "/v1/refusals",
        "/v1/behind",
        "/v1/adapters/{adapter}/held/{task}",
        "/v1/adapters/{adapter}/verify",
        "/v1/adapters/{adapter}/settle",
        "/v1/adapters/{adapter}/purge",
        "/v1/adapters/{adapter}/gc",
        "/v1/adapters/{adapter}/evaluate",
        "/v1/adapters/{adapter}/import",
        "/v1/adapters/{adapter}/versions/{version}/export",
        "/v1/tasks/{name}/watch",
        "/v1/tasks",
        "/v1/tasks/{name}",
        "/v1/tasks/{name}/cancel",
        "/v1/health/live",
        "/v1/health/ready",
        "/v1/metrics",
    }
    assert named <= set(document["paths"])


def test_every_route_says_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    for verb, path, operation in operations(document):
        assert operation.get("description"), (verb, path)
        if path == "/v1/health/live":
            continue
        errors = [code for code in operation["responses"] if code >= "400"]
        assert errors, (verb, path)
        for code in errors:
            assert set(operation["responses"][code]["content"]) == {"application/problem+json"}


def test_every_body_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    for verb, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        body = content.get("application/json")
        if body is None:
            continue
        schema = copy.deepcopy(body["schema"])
        if "$ref" in schema:
            schema = copy.deepcopy(document["components"]["schemas"][schema["$ref"].split("/")[-1]])
        examples = schema.get("examples")
        assert examples, (verb, path)
        schema["components"] = document["components"]
        for example in examples:
            jsonschema_rs.validator_for(schema).validate(example)


@pytest.fixture(scope="module")
def another_server(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Return an API whose store may be changed."""
    folder = tmp_path_factory.mktemp("another")
    shutil.copytree(scene.config.store.removeprefix("file://"), folder / "store")
    with ApiServer(replace(scene.config, store=f"file://{folder}/store")) as running:
        yield running


GROUPS = (
    *("predict", "archives", "methods", "versions", "maintenance"),
    *("tasks", "access", "webhooks", "health"),
)
"""In this order what only looks finds what it looks for. An evaluation starts a process, for which
nobody waits here; `lasting/test_evaluating.py` does."""


@pytest.mark.parametrize("group", GROUPS)
def test_whatever_is_sent_the_answer_is_one_of_the_document(
    another_server: ApiServer, group: str
) -> None:
    schema = schemathesis.openapi.from_url(f"{another_server.url}/openapi.json")
    codes: Counter[int] = Counter()
    for result in schema.include(tag=group).get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=one_of(*operation.get_strategies_from_examples(), operation.as_strategy()))
        def check(case: Any) -> None:
            answer = case.call_and_validate(checks=CHECKS, timeout=TIMEOUT_S)
            codes[answer.status_code] += 1

        check()
    assert codes.total() >= EXAMPLES or group == "health"
    assert codes[200] > 0


def test_the_examples_of_the_document_are_answered(
    another_server: ApiServer, document: dict[str, Any]
) -> None:
    with another_server.client() as client:
        for path in ("/v1/predict", "/v1/embed"):
            body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
            for example in body["schema"]["examples"]:
                assert client.post(path, json=example).status_code == 200
