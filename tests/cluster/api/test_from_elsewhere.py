"""The command line and Python on a running service, of which they know the address alone."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cluster.cli.main import cli
from cluster.client.async_client import AsyncClient
from cluster.client.remote_client import RemoteClient
from cluster.config import Config
from cluster.wire.outputs.schemas import schema_of
from tests.cluster.api.conftest import Scene
from tests.support.drivers.api_server import ApiServer


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let commands find no configuration and no store that answers."""
    monkeypatch.setenv("NACRE_STORE", "s3://nobody-may-read-this?endpoint=http://127.0.0.1:1")
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))
    for name in ("NACRE_CONFIG", "NACRE_TOKEN", "NACRE_PREDICT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run(server: ApiServer, *words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["--url", server.url, *map(str, words)])


def test_the_status_says_what_answers_there(server: ApiServer) -> None:
    told = run(server, "status")
    assert told.exit_code == 0, told.output
    assert "nobody coordinates" in told.stdout
    assert "answered by main@2, other@1" in told.stdout
    found = run(server, "status", "--adapter", "other", "--output", "json")
    document = schema_of("status").validate_json(found.stdout)
    assert document.service.adapters["other"].version == "other@1"
    assert (document.configuration, document.troubles) == (None, [])


def test_images_are_asked_about_there(server: ApiServer, scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "bag.png").write_bytes(scene.bag)
    told = run(server, "predict", "bag.png", "--top-k", "1", "--output", "json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["version"] == "main@2"
    assert "answered by other@1" in run(server, "predict", "bag.png", "--adapter", "other").stdout


def test_an_adapter_that_is_served_there_is_known(server: ApiServer) -> None:
    assert run(server, "versions", "--adapter", "other").exit_code == 0
    refused = run(server, "versions", "--adapter", "othr")
    assert "did you mean 'other'?" in str(refused.exception)


def test_both_clients_say_what_answers(server: ApiServer) -> None:
    async def scene() -> str | None:
        async with AsyncClient(Config(), url=server.url) as asking:
            return await asking.answering("other")

    with RemoteClient(Config(), url=server.url) as asking:
        assert asking.answering() == "main@2"
        assert asking.status().encoder == asking.ready().encoder
    assert asyncio.run(scene()) == "other@1"
