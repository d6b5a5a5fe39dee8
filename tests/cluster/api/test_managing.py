"""Looking at versions, moving aliases, and replicas that follow or refuse."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from cluster.client.client import Client
from cluster.config import Config
from cluster.stores.open import open_store
from cluster.wire.health import Ready
from cluster.wire.versions import AccuracyMatrix, Aliases, DroppedTask, PublishedVersion
from tests.cluster.api.conftest import Scene
from tests.support.drivers.api_server import ApiServer
from workers.registry import Action, Registry
from workers.store import FileStore

pytestmark = pytest.mark.slow

WAIT_S = 180.0


@pytest.fixture
def config(scene: Scene, tmp_path: Path) -> Config:
    """Return where a copy of the store is that may be changed."""
    shutil.copytree(scene.config.store.removeprefix("file://"), tmp_path / "store")
    return replace(scene.config, store=f"file://{tmp_path}/store")


@pytest.fixture
def changing(config: Config) -> Iterator[httpx.Client]:
    """Return a client of an API over the copy."""
    with ApiServer(config) as running, running.client() as client:
        yield client


def answering(client: httpx.Client) -> str | None:
    return Ready.model_validate(client.get("/v1/status").json()).adapters["main"].version


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that a replica finds out by looking."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_versions_are_listed_newest_first(api: httpx.Client) -> None:
    found = [
        PublishedVersion.model_validate(v) for v in api.get("/v1/adapters/main/versions").json()
    ]
    assert [version.label for version in found] == ["main@2", "main@1"]
    assert [version.aliases for version in found] == [["head", "production"], []]
    assert [task.task for task in found[0].tasks] == ["fashion", "digits"]
    assert found[0].parent == 1


def test_the_accuracy_matrix_has_a_row_per_version(api: httpx.Client) -> None:
    found = AccuracyMatrix.model_validate(api.get("/v1/adapters/main/accuracy").json())
    assert found.tasks == ["fashion", "digits"]
    assert found.versions == [1, 2]
    assert found.accuracy[0][1] is None
    assert all(value is not None for value in found.accuracy[1])


def test_the_accuracy_matrix_comes_in_pages(api: httpx.Client) -> None:
    path = "/v1/adapters/main/accuracy"
    newest = AccuracyMatrix.model_validate(api.get(f"{path}?limit=1").json())
    assert newest.versions == [2]
    older = AccuracyMatrix.model_validate(api.get(f"{path}?limit=1&before=2").json())
    assert (older.versions, older.tasks) == ([1], ["fashion"])
    assert api.get(f"{path}?limit=0").status_code == 422


@pytest.mark.parametrize("what", ["versions", "aliases", "accuracy"])
def test_an_adapter_that_does_not_exist_is_named(api: httpx.Client, what: str) -> None:
    response = api.get(f"/v1/adapters/nobody/{what}")
    assert response.status_code == 404
    assert "nobody" in response.json()["detail"]


def test_a_promotion_is_served_when_it_returns(changing: httpx.Client, scene: Scene) -> None:
    for version in (1, 2, 1):
        response = changing.post("/v1/adapters/main/promote", json={"version": version})
        assert Aliases.model_validate(response.json()).aliases == {"head": 2, "production": version}
        answer = changing.post("/v1/predict", files={"images": ("bag", scene.bag)}).json()
        assert answer["version"] == f"main@{version}"


def test_another_alias_moves_nothing_that_is_served(changing: httpx.Client) -> None:
    asked = {"version": 1, "alias": "canary", "why": "to compare"}
    response = changing.post("/v1/adapters/main/promote", json=asked)
    assert response.json()["aliases"] == {"canary": 1, "head": 2, "production": 2}
    assert answering(changing) == "main@2"


def test_a_rollback_moves_head_too_unless_it_is_told_not_to(
    changing: httpx.Client, config: Config
) -> None:
    alone = {"version": 1, "serving_only": True}
    moved = changing.post("/v1/adapters/main/rollback", json=alone).json()["aliases"]
    assert moved == {"head": 2, "production": 1}
    moved = changing.post("/v1/adapters/main/rollback", json={"version": 1, "why": "x"}).json()
    assert moved["aliases"] == {"head": 1, "production": 1}
    assert answering(changing) == "main@1"
    latest = next(iter(Registry(open_store(config.store)).adapter("main").history()))
    assert (latest.action, latest.author.why) == (Action.ROLLBACK, "x")


def test_a_task_is_dropped_over_http_as_in_a_shell(changing: httpx.Client, config: Config) -> None:
    asked = {"task": "digits", "promote": True, "relearn": True, "why": "no longer sold"}
    dropped = DroppedTask.model_validate(changing.post("/v1/adapters/main/drop", json=asked).json())
    assert (dropped.version, dropped.moved, dropped.relearnt) == (3, ["head", "production"], [])
    assert answering(changing) == "main@3"
    latest = next(iter(Registry(open_store(config.store)).adapter("main").history()))
    assert (latest.action, latest.author.who, latest.author.why) == (
        *(Action.DROP, "http"),
        "no longer sold",
    )
    assert changing.post("/v1/adapters/main/drop", json=asked).status_code == 404
    assert changing.post("/v1/adapters/main/drop", json={"tasks": []}).status_code == 422


@pytest.mark.parametrize("verb", ["promote", "rollback"])
def test_what_does_not_exist_is_not_moved_to(changing: httpx.Client, verb: str) -> None:
    response = changing.post(f"/v1/adapters/main/{verb}", json={"version": 7})
    assert response.status_code == 404
    assert "no version 7" in response.json()["detail"]
    assert answering(changing) == "main@2"


def test_a_move_from_elsewhere_is_found_by_looking(changing: httpx.Client, config: Config) -> None:
    Client(config).rollback(1)  # nobody answers at the configured endpoint
    until(lambda: answering(changing) == "main@1")


def damage(config: Config, version: int) -> tuple[Path, bytes]:
    """Damage the record that `version` brought, and return its file and what it held."""
    handle = Registry(open_store(config.store)).adapter("main")
    record = handle.manifest(version).tasks[-1].record
    folder = Path(config.store.removeprefix("file://"))
    (path,) = [path for path in folder.rglob(f"*{record.sha256}*") if path.is_file()]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return path, content


def test_a_broken_version_is_refused_and_everybody_can_see_it(config: Config, scene: Scene) -> None:
    Client(config).rollback(1, serving_only=True)
    damage(config, 2)
    with ApiServer(config) as running, running.client() as client:
        assert answering(client) == "main@1"
        before = client.post("/v1/predict", files={"images": ("bag", scene.bag)}).json()
        assert client.post("/v1/adapters/main/promote", json={"version": 2}).status_code == 200
        state = Ready.model_validate(client.get("/v1/status").json()).adapters["main"]
        assert (state.version, state.refused) == ("main@1", "main@2")
        assert state.reason is not None
        assert client.post("/v1/predict", files={"images": ("bag", scene.bag)}).json() == before
        refusals = Client(config).refusals
        until(lambda: [entry.detail["version"] for entry in refusals()] == ["2"])
        (entry,) = refusals()
        assert entry.author.who.startswith("replica on ")
        # Over HTTP no place of the service is named; the history is for those who run it.
        assert entry.author.why.replace(config.store, "the store") == state.reason
        # What answers, answers on; what is behind says so.
        until(lambda: client.get("/v1/status").json()["adapters"]["main"]["stale"])
        assert client.get("/v1/health/ready").status_code == 200
        assert client.post("/v1/adapters/main/promote", json={"version": 1}).status_code == 200
        assert refusals() == []


def test_a_refusal_is_noted_once_by_however_many(config: Config) -> None:
    Client(config).rollback(1, serving_only=True)
    damage(config, 2)
    store = FileStore(Path(config.store.removeprefix("file://")))
    handle = Registry(store).adapter("main")
    with ApiServer(config) as one, ApiServer(config) as other:
        Client(config).rollback(2)
        for running in (one, other):
            running.follow("main")
            until(lambda: any(e.action is Action.REFUSE for e in handle.history()))
        actions = [entry.action for entry in handle.history()]
    assert actions.count(Action.REFUSE) == 1
