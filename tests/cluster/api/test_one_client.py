"""One client for all routes of a replica: one open store, and the configured adapter."""

import base64
import tarfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from adapters.errors import InputError
from cluster.client.client import Client
from cluster.config import Config
from cluster.stores.open import open_store
from cluster.wire.predictions import PredictAnswer
from tests.cluster.api.conftest import Scene
from tests.support.drivers.api_server import ApiServer
from tests.support.scenes.registry import learn
from tests.support.scenes.routes import routes_of
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import MemoryStore


@pytest.fixture
def routes() -> TestClient:
    """Return the routes over a store that cannot be opened a second time."""
    store = MemoryStore()
    learn(Registry(store).create("main"), "digits", "fashion")
    config = Config(store="ftp://gone")
    with pytest.raises(InputError):
        open_store(config.store)
    client = Client(config, store=store, audience=Nobody())
    return routes_of(client)


@pytest.mark.parametrize("what", ["versions", "aliases", "accuracy"])
def test_looking_opens_no_store(routes: TestClient, what: str) -> None:
    response = routes.get(f"/v1/adapters/main/{what}")
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("verb", ["promote", "rollback"])
def test_moving_an_alias_opens_no_store(routes: TestClient, verb: str) -> None:
    response = routes.post(f"/v1/adapters/main/{verb}", json={"version": 1})
    assert response.status_code == 200, response.text
    assert response.json()["aliases"]["production"] == 1


def test_the_queue_opens_no_store(routes: TestClient, write_task: Callable[..., Path]) -> None:
    task, buffer = write_task(), BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(task.parent / "images", arcname="images")
    files = {"archive": ("task.tar", buffer.getvalue())}
    response = routes.post("/v1/tasks", data={"task": task.read_text()}, files=files)
    assert response.status_code == 202, response.text
    for path in ("", "/colors", "/colors/events"):
        assert routes.get(f"/v1/tasks{path}").status_code == 200
    for verb in ("cancel", "retry"):
        assert routes.post(f"/v1/tasks/colors/{verb}").status_code == 200


@pytest.mark.parametrize("adapter", ["main", "other"])
def test_who_names_no_adapter_is_answered_by_the_configured_one(scene: Scene, adapter: str) -> None:
    serve = replace(scene.config.serve, adapters=("main", "other"))
    config = replace(scene.config, adapter=adapter, serve=serve)
    with ApiServer(config) as running, running.client() as api:
        answer = asked(api, "/v1/predict", scene.zero)
        assert answer.version.split("@")[0] == adapter
        assert answer == asked(api, f"/v1/adapters/{adapter}/predict", scene.zero)
        port = httpx.URL(running.url).port
        assert port is not None
        with Client(replace(config, serve=replace(serve, port=port))) as client:
            assert client.predict([scene.zero]) == answer
            assert client.answering() == answer.version


def asked(api: httpx.Client, path: str, image: bytes) -> PredictAnswer:
    encoded = {"images": [{"data": base64.b64encode(image).decode()}]}
    response = api.post(path, json=encoded)
    assert response.status_code == 200, response.text
    return PredictAnswer.model_validate_json(response.content)
