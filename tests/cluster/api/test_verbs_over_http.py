"""Verbs over HTTP that only look, and what submitting says: as the client says it of one store."""

import tarfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import jsonschema_rs
import pytest
from fastapi.testclient import TestClient

from adapters.methods import METHODS
from cluster.api.access.routes import NEEDS
from cluster.cli.main import cli
from cluster.client.client import Client
from cluster.config import Config, ServeConfig
from cluster.wire.facts import entry_document, version_document
from cluster.wire.methods import DescribedMethod
from docs.roads import ELSEWHERE
from tests.support.scenes.registry import ANNA, learn
from tests.support.scenes.routes import routes_of
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import MemoryStore


@pytest.fixture
def client() -> Client:
    store = MemoryStore()
    registry = Registry(store)
    learn(registry.create("main"), "digits", "fashion")
    learn(registry.create("birds"), "digits")
    config = Config(serve=ServeConfig(adapters=("birds",)))
    return Client(config, store=store, audience=Nobody())


@pytest.fixture
def routes(client: Client) -> TestClient:
    return routes_of(client)


def test_every_verb_has_a_route_or_says_where_it_is() -> None:
    over_http = {need.verb for need in NEEDS.values()}
    verbs = set(cli.list_commands(click.Context(cli)))
    assert verbs - over_http == ELSEWHERE.keys()


def test_every_method_says_the_schema_of_its_settings(client: Client, routes: TestClient) -> None:
    found = [DescribedMethod.model_validate(each) for each in routes.get("/v1/methods").json()]
    assert found == client.methods()
    assert [method.name for method in found] == sorted(METHODS)
    for method in found:
        defaults = dict(METHODS[method.name].check_settings({}))
        known: Any = method.settings["properties"]
        assert defaults.keys() <= known.keys()
        for name, value in defaults.items():
            assert known[name]["default"] == value
            assert known[name]["description"], (method.name, name)
        schema = jsonschema_rs.validator_for(method.settings)
        assert schema.is_valid(defaults)
        assert not schema.is_valid({"no_such_setting": 1})
        assert set(method.shared) <= known.keys()


def test_the_encoder_in_use_and_those_that_ship_are_told(client: Client) -> None:
    found = routes_of(client).get("/v1/encoders").json()
    assert [(each["model"], each["ships"]) for each in found] == [
        ("tiny", True),
        ("tiny-vit", True),
    ]
    assert [each["fingerprint"] for each in found] == ["f" * 32, None]
    encoder = replace(client.config.encoder, model="/srv/secret/our-model")
    other = Client(replace(client.config, encoder=encoder), store=client.store, audience=Nobody())
    (own, *_) = routes_of(other).get("/v1/encoders").json()
    assert (own["model"], own["ships"]) == ("our-model", False)


def test_a_long_history_is_read_page_by_page(client: Client, routes: TestClient) -> None:
    expected = [entry_document(entry).model_dump(mode="json") for entry in client.history("main")]
    pages: list[Any] = []
    while not pages or pages[-1]["index"] > 0:
        before = f"&before={pages[-1]['index']}" if pages else ""
        page = routes.get(f"/v1/adapters/main/history?limit=2{before}").json()
        assert 0 < len(page) <= 2
        pages += page
    assert pages == expected


def test_many_versions_are_read_page_by_page(client: Client, routes: TestClient) -> None:
    expected = [version_document(each).model_dump(mode="json") for each in client.versions("main")]
    assert len(expected) == 2
    path = "/v1/adapters/main/versions"
    newest = routes.get(f"{path}?limit=1").json()
    assert newest == expected[:1]
    assert routes.get(f"{path}?limit=1&before={newest[0]['number']}").json() == expected[1:]
    assert routes.get(f"{path}?limit=0").status_code == 422


def test_refusals_of_replicas_are_told(client: Client, routes: TestClient) -> None:
    assert routes.get("/v1/refusals").json() == []
    handle = Registry(client.store).adapter("main")
    handle.note_refusal(handle.refs().version("head"), by=ANNA)
    expected = [entry_document(entry).model_dump(mode="json") for entry in client.refusals()]
    assert len(expected) == 1
    assert routes.get("/v1/refusals").json() == expected


def test_what_is_behind_and_what_was_taken_away_is_told(client: Client, routes: TestClient) -> None:
    assert routes.get("/v1/behind").json() == []
    client.rollback(1, adapter="main", serving_only=True)
    client.remove_alias("production", adapter="birds", why="withdrawn")
    birds, main = routes.get("/v1/behind").json()
    assert (main["adapter"], main["production"], main["newest"]) == ("main", 1, 2)
    assert main["removed"] is None
    assert (birds["adapter"], birds["production"], birds["newest"]) == ("birds", None, 1)
    assert birds["removed"]["why"] == "withdrawn"


def test_where_a_task_is_held_is_told(client: Client, routes: TestClient) -> None:
    found = routes.get("/v1/adapters/main/held/digits").json()
    expected = client.held("digits", adapter="main")
    assert (found["versions"], found["submissions"]) == (
        list(expected.versions),
        list(expected.submissions),
    )
    response = routes.get("/v1/adapters/main/held/digit")
    assert response.status_code == 404
    assert "did you mean 'digits'" in response.json()["detail"]


def test_a_task_is_submitted_to_another_adapter_and_all_is_said_that_a_shell_prints(
    client: Client, routes: TestClient, write_task: Callable[..., Path]
) -> None:
    task, buffer = write_task(), BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(task.parent / "images", arcname="images")

    def sent(adapter: str) -> Any:
        files = {"archive": ("task.tar", buffer.getvalue())}
        data = {"task": task.read_text()}
        return routes.post(f"/v1/tasks?adapter={adapter}", data=data, files=files)

    found = sent("cats").json()
    assert found["submission"]["adapter"] == "cats"
    twin = Client(client.config, store=MemoryStore(), audience=Nobody())
    intake = twin.submit(task, adapter="cats")
    assert found["classes"] == len(intake.submission.classes)
    assert found["images_by_split"] == dict(intake.images)
    assert found["warnings"] == list(intake.warnings)
    assert found["notes"] == list(intake.notes())
    refused = sent("..%2Fmain")
    assert refused.status_code == 422
    assert "cannot name an adapter" in refused.json()["detail"]


def test_events_that_are_known_are_left_out(
    client: Client, routes: TestClient, write_task: Callable[..., Path]
) -> None:
    name = client.submit(write_task()).submission.submission_id
    found = routes.get(f"/v1/tasks/{name}/events").json()
    assert found == routes.get(f"/v1/tasks/{name}/events?after=0").json()
    latest = max((event["at"] for event in found), default=1.0)
    assert routes.get(f"/v1/tasks/{name}/events?after={latest}").json() == []
    assert routes.get(f"/v1/tasks/{name}/events?after=nan").status_code == 422
