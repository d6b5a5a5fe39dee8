"""Webhooks over HTTP: the same as on the command line, and a secret once."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cluster.client.client import Client
from cluster.config import Config, EventsConfig
from cluster.wire.webhooks import RegisteredWebhook, WebhookState
from tests.support.scenes.routes import routes_of

URL = "https://hooks.example.com/a-secret-path"
WANTED = {"name": "team-chat", "url": URL, "kinds": ["submission.failed"]}


@pytest.fixture
def api(tmp_path: Path) -> TestClient:
    events = EventsConfig(allow=("https://hooks.example.com/",))
    return routes_of(Client(Config(store=f"file://{tmp_path}/store", events=events)))


def test_a_webhook_is_registered_shown_rotated_and_removed(api: TestClient) -> None:
    answer = api.post("/v1/webhooks", json=WANTED)
    assert answer.status_code == 201
    added = RegisteredWebhook.model_validate(answer.json())
    assert (added.by, added.kinds) == ("http", ["submission.failed"])
    (listed,) = api.get("/v1/webhooks").json()
    assert WebhookState.model_validate(listed).url == "https://hooks.example.com/…"
    shown = api.get("/v1/webhooks/team-chat").text
    assert added.secret not in shown
    assert "a-secret-path" not in shown
    rotated = api.post("/v1/webhooks/team-chat/rotate", json={}).json()
    assert rotated["secret"] != added.secret
    assert rotated["secrets"] == 2
    assert api.post("/v1/webhooks/team-chat/resume").json()["state"] == "works"
    assert api.post("/v1/webhooks/team-chat/remove").status_code == 204
    assert api.get("/v1/webhooks").json() == []


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("", {**WANTED, "url": "http://169.254.169.254/"}, 422, "expected an address below one of"),
        ("", {**WANTED, "kinds": ["submission.fail"]}, 422, "did you mean 'submission.failed'"),
        ("", {**WANTED, "name": "a b"}, 422, "'a b' cannot name a webhook"),
        ("", {**WANTED, "key": 1}, 422, "unknown key 'key'"),
        ("", WANTED, 409, "there is a webhook 'team-chat'"),
        ("/team-chart/remove", None, 404, "did you mean 'team-chat'?"),
        ("/team-chat/rotate", {"overlap_hours": -1}, 422, "overlap_hours"),
        ("/team-chat/test", None, 503, "expected a system that runs and sends events, found none"),
    ],
)
def test_a_mistake_is_one_sentence(
    api: TestClient, path: str, body: object, status: int, said: str
) -> None:
    api.post("/v1/webhooks", json=WANTED)
    answer = api.post(f"/v1/webhooks{path}", json=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert "a-secret-path" not in answer.text
