"""Maintenance over HTTP: what the client says of the same store, by whom, and what is refused."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.client.client import Client
from cluster.config import Config
from cluster.wire.lasting import LINES, LastingLine
from cluster.wire.outputs.facts import checked_document, garbage_document, purged_document
from tests.support.fakes.tokens import HeldTokens, held
from tests.support.scenes.registry import learn
from tests.support.scenes.routes import routes_of
from workers.access.roles import AccessRole
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import MemoryStore

MAIN = "/v1/adapters/main"


def client_of(store: MemoryStore) -> Client:
    return Client(Config(), store=store, audience=Nobody())


def learnt(*tasks: str) -> MemoryStore:
    store = MemoryStore()
    learn(Registry(store).create("main"), *tasks)
    return store


def last_line(routes: TestClient, verb: str, path: str, **more: Any) -> LastingLine:
    response = routes.request(verb, path, headers={"Accept": LINES}, **more)
    assert response.status_code == 200, response.text
    return LastingLine.model_validate_json(response.text.splitlines()[-1])


def test_every_byte_is_checked_as_in_a_shell_and_damage_is_told() -> None:
    store = learnt("digits", "fashion")
    client = client_of(store)
    routes = routes_of(client)
    found = routes.get(f"{MAIN}/verify").json()
    assert found == checked_document(client.verify("main")).model_dump(mode="json")
    assert found["clean"]
    handle = Registry(store).adapter("main")
    (key,) = [
        listed.key
        for listed in store.list("")
        if handle.manifest(1).tasks[0].record.sha256 in listed.key
    ]
    store.put(key, b"damaged")
    line = last_line(routes, "GET", f"{MAIN}/verify")
    assert line.result == checked_document(client.verify("main")).model_dump(mode="json")
    assert [problem["key"] for problem in line.result["problems"]] == [key]


def test_a_task_is_purged_as_in_a_shell() -> None:
    store, twin = learnt("digits"), learnt("digits")
    routes = routes_of(client_of(store))
    for each in (store, twin):
        for alias in ("head", "production"):
            assert client_of(each).aliases("main")[alias] == 1
    refused = routes.post(f"{MAIN}/purge", json={"task": "digits"})
    assert refused.status_code == 422
    assert "still in head" in refused.json()["detail"]
    line = last_line(routes, "POST", f"{MAIN}/purge", json={"task": "digits"})
    assert line.error is not None
    assert line.error.detail == refused.json()["detail"]
    for each in (store, twin):
        client_of(each).drop("digits", adapter="main")
        client_of(each).remove_alias("production", adapter="main")
    asked = {"task": "digits", "why": "the licence has ended"}
    held_by = routes.get(f"{MAIN}/held/digits").json()
    assert held_by == {
        "adapter": "main",
        "task": "digits",
        "versions": [1],
        "submissions": ["digits-0123456789ab"],
    }
    line = last_line(routes, "POST", f"{MAIN}/purge", json=asked)
    expected = purged_document(client_of(twin).purge("digits", adapter="main"))
    assert line.result == expected.model_dump(mode="json")
    entry = next(client_of(store).history("main"))
    assert (entry.action.value, entry.author.who, entry.author.why) == (
        *("purge", "http"),
        "the licence has ended",
    )


def test_what_nothing_needs_is_found_and_removed_as_in_a_shell() -> None:
    store = learnt("digits")
    client = client_of(store)
    routes = routes_of(client)
    key = f"adapters/main/000000/records/{'ab' * 32}"
    store.put(key, b"left behind")
    asked: dict[str, Any] = {"grace_h": 0}
    found = routes.post(f"{MAIN}/gc", json=asked).json()
    expected = client.gc("main", grace_s=0.0)
    assert found == garbage_document(expected, deleted=False).model_dump(mode="json")
    line = last_line(routes, "POST", f"{MAIN}/gc", json={**asked, "delete": True})
    assert line.result["deleted"]
    assert [each["removed"] for each in line.result["found"].values()] == [True]
    assert client.gc("main", grace_s=0.0)[next(iter(expected))].keys == ()
    assert routes.post(f"{MAIN}/gc", json={"blobs": True}).json()["found"].keys() > expected.keys()


def test_nothing_that_was_lost_is_said_to_be_settled() -> None:
    routes = routes_of(client_of(learnt("digits")))
    assert routes.post(f"{MAIN}/settle", json={"why": "a new server"}).json() == []
    assert routes.post(f"{MAIN}/settle", json={"why": ""}).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("settle", {}),
        ("settle", {"why": "x", "force": True}),
        ("purge", {}),
        ("purge", {"task": "digits", "tasks": ["digits"]}),
        ("gc", {"grace_h": -1}),
        ("gc", {"grace_h": "NaN"}),
        ("gc", {"dry_run": True}),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused_in_one_sentence(
    path: str, body: dict[str, object]
) -> None:
    routes = routes_of(client_of(learnt("digits")))
    for accept in (LINES, "*/*"):
        response = routes.post(f"{MAIN}/{path}", json=body, headers={"Accept": accept})
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "verify", None),
        ("POST", "settle", {"why": "x"}),
        ("POST", "purge", {"task": "digits"}),
        ("POST", "gc", {}),
    ],
)
def test_an_adapter_that_does_not_exist_is_named(
    verb: str, path: str, body: dict[str, object] | None
) -> None:
    routes = routes_of(client_of(learnt("digits")))
    response = routes.request(verb, f"/v1/adapters/cats/{path}", json=body)
    assert response.status_code == 404
    assert "cats" in response.json()["detail"]


def test_blobs_of_the_whole_store_are_looked_for_by_an_admin_of_all_adapters() -> None:
    store = learnt("digits")
    known = HeldTokens(
        own=held("own", {"main": AccessRole.ADMIN}), all=held("all", {"*": AccessRole.ADMIN})
    )
    doors = Doors(access=Access(change_token="x"), known=known)
    routes = routes_of(client_of(store), doors=doors)

    def asked(token: str, **wish: bool) -> int:
        headers = {"Authorization": f"Bearer nacre_{token}"}
        return routes.post(f"{MAIN}/gc", json=wish, headers=headers).status_code

    assert asked("own", delete=True) == 200
    assert asked("own", blobs=True) == 403
    assert asked("own", blobs=True, delete=True) == 403
    assert asked("all", blobs=True, delete=True) == 200
    calls = [(call.verb, call.who, call.outcome.value) for call in client_of(store).audit()]
    assert calls == [
        ("gc", "token:all", "done"),
        ("gc", "token:own", "denied"),
        ("gc", "token:own", "denied"),
        ("gc", "token:own", "done"),
    ]


def test_what_is_looked_at_alone_is_in_no_audit_log() -> None:
    client = client_of(learnt("digits"))
    routes = routes_of(client)
    assert routes.get(f"{MAIN}/verify").status_code == 200
    assert routes.post(f"{MAIN}/gc", json={}).status_code == 200
    assert list(client.audit()) == []
