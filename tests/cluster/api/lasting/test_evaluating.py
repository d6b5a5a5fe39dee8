"""Evaluation over HTTP: what the client measures of the same store, in a process of its own."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from adapters.errors import UnavailableError
from cluster.api.access.requesters import Access
from cluster.api.lasting.answers import Watch
from cluster.api.lasting.evaluation_process import EvaluationOrder, measured_apart
from cluster.api.middleware import Doors
from cluster.client.client import Client
from cluster.client.remote_client import RemoteClient
from cluster.config import Config
from cluster.evaluation.documents import measured_document
from cluster.wire.lasting import LINES
from tests.cluster.api.conftest import Scene
from tests.support.drivers.served import served
from tests.support.fakes.tokens import HeldTokens, held
from tests.support.scenes.routes import routes_of
from workers.access.roles import AccessRole

pytestmark = pytest.mark.slow

EVALUATE = "/v1/adapters/main/evaluate"


@pytest.fixture(scope="module")
def client(scene: Scene) -> Client:
    return Client(scene.config)


@pytest.fixture(scope="module")
def routes(client: Client) -> TestClient:
    return routes_of(client)


def test_versions_are_measured_and_the_report_is_written_as_in_a_shell(
    client: Client, routes: TestClient, tmp_path: Path
) -> None:
    steps: list[tuple[str, int, int]] = []
    folder = tmp_path / "report"
    with served(routes.app) as url, RemoteClient(Config(), url=url) as remote:
        found = remote.evaluate(
            versions="1..2", report=folder, on_step=lambda *step: steps.append(step)
        )
    assert steps[-1] == ("measuring versions", 3, 3)
    page = folder / "report.html"
    expected = measured_document(
        [client.evaluate(adapter="main", versions="1..2")], reports=[str(page)]
    )
    assert found == expected
    assert {each.name for each in folder.iterdir()} == {
        "report.html",
        "matrix.png",
        "accuracies.csv",
    }
    assert "main@2" in page.read_text()


def test_an_error_of_the_process_is_the_error_of_the_request(routes: TestClient) -> None:
    response = routes.post(EVALUATE, json={"versions": "9"})
    assert response.status_code == 404
    assert "no version '9'" in response.json()["detail"]


@pytest.mark.parametrize(
    ("wish", "status", "said"),
    [
        ({"sets": {"birds": "/etc"}}, 422, "expected an address s3://"),
        ({"sets": {"birds": "https://example.com/a.tar"}}, 422, "expected an address s3://"),
        ({"tasks": ["nobody"]}, 404, "nobody"),
        ({"report": True}, 422, f"Accept: {LINES}"),
        ({"threads": 64}, 422, "unknown key 'threads'"),
    ],
)
def test_what_cannot_be_measured_is_told_before_anything_is_begun(
    routes: TestClient, wish: dict[str, object], status: int, said: str
) -> None:
    response = routes.post(EVALUATE, json=wish)
    assert response.status_code == status, response.text
    assert said in response.json()["detail"]


def test_test_images_of_another_adapter_are_measured_on_by_its_operators_alone(
    scene: Scene, tmp_path: Path
) -> None:
    shutil.copytree(scene.config.store.removeprefix("file://"), tmp_path / "store")
    client = Client(replace(scene.config, store=f"file://{tmp_path}/store"))
    known = HeldTokens(own=held("own", {"main": AccessRole.OPERATOR, "other": AccessRole.VIEWER}))
    routes = routes_of(client, doors=Doors(access=Access(change_token="x"), known=known))
    (other,) = [task.submission for task in client.show(1, adapter="other").manifest.tasks]
    headers = {"Authorization": "Bearer nacre_own"}
    response = routes.post(EVALUATE, json={"tasks": [other]}, headers=headers)
    assert response.status_code == 403
    assert "`evaluate` needs operator of 'other'" in response.json()["detail"]
    # The store is a copy of one that other tests have asked, too.
    (call,) = [entry for entry in client.audit() if entry.adapter == "other"]
    assert (call.verb, call.outcome.value) == ("evaluate", "denied")


def test_the_process_is_ended_where_nobody_waits_for_it(client: Client) -> None:
    order = EvaluationOrder.of(
        client.config, adapter="main", versions="", tasks=[], sets={}, report=False
    )
    watch = Watch()
    watch.leave()
    with pytest.raises(UnavailableError, match="whoever asked has left"):
        measured_apart(order, watch)
