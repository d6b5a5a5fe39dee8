"""Archives over HTTP: the file that a shell would write, whole or not at all, and back again."""

import base64
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.client.client import Client
from cluster.client.moved import moved_document
from cluster.config import Config
from cluster.wire.lasting import LINES, LastingLine
from tests.support.fakes.tokens import HeldTokens, held
from tests.support.scenes.registry import learn
from tests.support.scenes.routes import routes_of
from workers.access.roles import AccessRole
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import MemoryStore

EXPORT = "/v1/adapters/main/versions/{}/export"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which temporary files of this process lie."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def client() -> Client:
    store = MemoryStore()
    learn(Registry(store).create("main"), "digits", "fashion")
    return Client(Config(), store=store, audience=Nobody())


@pytest.fixture
def routes(client: Client, scratch: Path) -> TestClient:
    del scratch
    return routes_of(client)


def sent(routes: TestClient, adapter: str, content: bytes, **more: Any) -> Any:
    files = {"archive": ("main.tar", content)}
    return routes.post(f"/v1/adapters/{adapter}/import", files=files, **more)


def test_the_file_is_the_one_that_a_shell_writes(
    client: Client, routes: TestClient, scratch: Path, tmp_path: Path
) -> None:
    client.export("production", tmp_path / "own.tar", adapter="main")
    expected = (tmp_path / "own.tar").read_bytes()
    response = routes.get(EXPORT.format("production"))
    assert response.content == expected
    assert response.headers["content-type"] == "application/x-tar"
    assert int(response.headers["content-length"]) == len(expected)
    digest = base64.b64encode(hashlib.sha256(expected).digest()).decode()
    assert response.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert response.headers["content-disposition"] == 'attachment; filename="main-2.tar"'
    assert list(scratch.iterdir()) == []


def test_an_error_comes_instead_of_a_file(routes: TestClient, scratch: Path) -> None:
    response = routes.get(EXPORT.format("7"))
    assert response.status_code == 404
    assert "no version 7" in response.json()["detail"]
    assert list(scratch.iterdir()) == []


def test_a_record_that_is_damaged_is_no_file_either(client: Client, routes: TestClient) -> None:
    handle = Registry(client.store).adapter("main")
    record = handle.manifest(2).tasks[0].record.sha256
    (key,) = [listed.key for listed in client.store.list("") if record in listed.key]
    client.store.put(key, b"damaged")
    response = routes.get(EXPORT.format("2"))
    assert response.status_code == 500
    assert response.json()["title"] == "CorruptionError"


@pytest.mark.parametrize("accept", [LINES, "*/*"])
def test_a_file_is_published_and_found_again(
    client: Client, routes: TestClient, scratch: Path, accept: str
) -> None:
    content = routes.get(EXPORT.format("2")).content
    fields = {"alias": ["head", "canary"], "why": "carried over"}
    headers = {"Accept": accept}
    response = sent(routes, "copy", content, data=fields, headers=headers)
    assert response.status_code == 200, response.text
    last = response.text.splitlines()[-1]
    found = LastingLine.model_validate_json(last).result if accept == LINES else response.json()
    expected = moved_document(client, "copy", 1, "head", "canary").model_dump(mode="json")
    assert found == {**expected, "is_new": True, "file": "main.tar"}
    entry = next(client.history("copy"))
    assert (entry.action.value, entry.author.who, entry.author.why) == (
        *("import", "http"),
        "carried over",
    )
    again = sent(routes, "copy", content, data={"alias": ["canary"]}).json()
    assert (again["is_new"], again["moved"], again["version"]) == (False, ["canary"], 1)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("accept", [LINES, "*/*"])
def test_a_file_that_is_none_leaves_nothing_behind(
    client: Client, routes: TestClient, scratch: Path, accept: str
) -> None:
    content = routes.get(EXPORT.format("2")).content
    for broken in (
        b"",
        b"no tar",
        content[: len(content) // 2],
        content.replace(b"digits", b"dogits"),
    ):
        response = sent(routes, "copy", broken, headers={"Accept": accept})
        if accept == LINES:
            error = LastingLine.model_validate_json(response.text.splitlines()[-1]).error
            assert error is not None
            status, detail = error.status, error.detail
        else:
            status, detail = response.status_code, response.json()["detail"]
        assert status == 422, detail
        assert "main.tar" in detail
        assert str(scratch) not in detail
        assert "copy" not in client.adapters()
    for entry in client.audit(adapter="copy"):
        assert "main.tar" in entry.reason
        assert str(scratch) not in entry.reason
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"files": {"file": ("main.tar", b"x")}}, "expected the form's file `archive`"),
        ({"data": {"archive": "main.tar"}}, "multipart form"),
        ({"json": {"file": "/etc/passwd"}}, "multipart form"),
        (
            {"files": {"archive": ("a", b"x")}, "data": {"aliases": "canary"}},
            "did you mean 'alias'",
        ),
        ({"files": {"archive": ("a", b"x")}, "data": {"purged": "perhaps"}}, "purged"),
    ],
)
def test_a_form_that_cannot_be_meant_is_refused(
    routes: TestClient, scratch: Path, parts: dict[str, Any], said: str
) -> None:
    response = routes.post("/v1/adapters/copy/import", **parts)
    assert response.status_code == 422, response.text
    assert said in response.json()["detail"]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "a\nb.tar", "x" * 300, ""])
def test_a_name_leads_nowhere(routes: TestClient, scratch: Path, name: str) -> None:
    content = routes.get(EXPORT.format("2")).content
    response = routes.post("/v1/adapters/copy/import", files={"archive": (name or "a", content)})
    assert response.status_code == 200, response.text
    assert "/" not in response.json()["file"]
    assert list(scratch.iterdir()) == []


def test_what_was_purged_is_brought_back_by_an_admin_alone(client: Client, scratch: Path) -> None:
    del scratch
    roles = {name: held(name, {"*": AccessRole(name)}) for name in ("operator", "admin")}
    doors = Doors(access=Access(change_token="x"), known=HeldTokens(**roles))
    routes = routes_of(client, doors=doors)
    tokens = {name: {"Authorization": f"Bearer nacre_{name}"} for name in roles}
    content = routes.get(EXPORT.format("2"), headers=tokens["operator"]).content
    back = {"alias": ["canary"], "purged": "true"}
    refused = sent(routes, "main", content, data=back, headers=tokens["operator"])
    assert refused.status_code == 403
    assert "`purge` needs admin of 'main'" in refused.json()["detail"]
    assert sent(routes, "main", content, data=back, headers=tokens["admin"]).status_code == 200
    calls = [(call.verb, call.who, call.outcome.value) for call in client.audit()]
    assert calls == [("import", "token:admin", "done"), ("import", "token:operator", "denied")]
