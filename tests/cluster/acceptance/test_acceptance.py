"""The whole way as a person goes it: real Ray, real HTTP, real images, command by command."""

import json
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.drivers.collecting import Collected, Collector, collecting
from tests.support.drivers.learning import small_task
from tests.support.drivers.listening import listening, logs, untold
from tests.support.drivers.printed import as_promised
from tests.support.drivers.s3_server import S3Server

TIMEOUT_S = 240
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200"}
"""Spans are sent so often, in milliseconds."""

Nacre = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("acceptance")


@pytest.fixture(scope="module")
def store(s3_server: S3Server) -> tuple[str, Mapping[str, str]]:
    """Return the URL of a store, and what the environment must hold to open it.

    What the pages do lies in a folder.
    """
    return replace(s3_server.settings, prefix="acceptance/").url, s3_server.environment


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Return what takes the spans of all processes."""
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def nacre(workspace: Path, store: tuple[str, Mapping[str, str]], collector: Collector) -> Nacre:
    """Return a function that runs one `nacre` command with a home and a store of its own."""
    url, credentials = store
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {"store": url, "serve": {"port": port}}
    (workspace / "nacre.yaml").write_text(yaml.safe_dump(config))
    environment = {**os.environ, **credentials, "NACRE_HOME": str(workspace / "home")}
    if find_spec("opentelemetry.exporter"):
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON}
    # As people have it: Ray asks for a token, and nobody says so.
    environment["HOME"] = str(workspace)  # where Ray keeps the token
    environment.pop("RAY_AUTH_MODE", None)

    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cluster.cli", *map(str, arguments)],
            cwd=workspace,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def running(nacre: Nacre) -> Iterator[Nacre]:
    """Start the system, and stop it at the end."""
    started = nacre("up", "--detach", "--output", "json")
    assert started.returncode == 0, started.stderr
    assert as_promised("up", started.stdout)["waits_for"] is None
    yield nacre
    stopped = nacre("down")
    assert stopped.returncode == 0, stopped.stderr


def parsed(result: "subprocess.CompletedProcess[str]") -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def differing(nacre: Nacre) -> list[str]:
    """Return the keys in which the running system was configured otherwise than the file says."""
    # Whether all is well by then is not the question.
    looked = json.loads(nacre("status", "--output", "json").stdout)
    differs: list[str] = looked["configuration"]["differs"]
    return differs


def best(nacre: Nacre, image: Path, *options: str) -> tuple[str, str]:
    """Return the version that answers and the class that it sees in `image`."""
    ended = nacre("predict", image, "--top-k", "1", "--output", "json", *options)
    assert ended.returncode == 0, ended.stderr
    answer = as_promised("predict", ended.stdout)
    return answer["version"], answer["results"][0]["predictions"][0]["class_id"]


def test_a_task_is_submitted_learnt_served_and_rolled_back(running: Nacre, examples: Path) -> None:
    tasks = [examples / name / "task.yaml" for name in ("digits", "fashion")]
    before = running("predict", examples / "digits/test/0/00.png")
    assert before.returncode == 4
    assert "no version in production yet" in before.stderr
    # So that what stands in front of it lets the first task in.
    assert as_promised("ready", running("ready", "--output", "json").stdout)["endpoint"]

    submitted = parsed(running("submit", *tasks, "--wait", "--output", "json"))
    assert [entry["version"] for entry in submitted] == [1, 2]

    trouser = examples / "fashion/test/trouser/00.png"
    assert best(running, trouser) == ("main@2", "fashion/trouser")
    pinned = best(running, trouser, "--version", "1")
    assert pinned[0] == "main@1"
    assert pinned[1].startswith("digits/")

    assert running("rollback", "1", "--why", "a test").returncode == 0
    assert best(running, trouser) == pinned
    listed = parsed(running("versions", "--output", "json"))
    assert [(entry["number"], entry["aliases"]) for entry in listed] == [
        (2, []),
        (1, ["head", "production"]),
    ]


def test_a_submission_is_one_trace_over_all_processes(running: Nacre, collector: Collector) -> None:
    """It is of the first test, whose second task every stage, worker and replica has worked on."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    del running

    def of_fashion(spans: list[Collected]) -> list[Collected]:
        begun = [each for each in spans if each.name == "submit"]
        of = {each.trace for each in begun if each.attributes["nacre.task"] == "fashion"}
        return [each for each in spans if each.trace in of]

    spans = of_fashion(
        collector.awaited(lambda all_: "served" in {each.name for each in of_fashion(all_)})
    )
    names = {each.span: each.name for each in spans}
    found = {(each.service, names.get(each.parent, ""), each.name) for each in spans}
    assert {
        ("nacre-cli", "", "submit"),
        ("nacre-coordinator", "submit", "submission published"),
        ("nacre-coordinator", "submission published", "training"),
        ("nacre-encoder", "encoding", "embed shard"),
        ("nacre-trainer", "training", "train"),
        ("nacre-publisher", "checking", "publish"),
        ("nacre-publisher", "publish", "commit"),
        ("nacre-api", "submission published", "served"),
    } <= found


def test_what_every_worker_wrote_is_kept_with_the_submission(running: Nacre) -> None:
    logs = as_promised(
        "logs --worker", running("logs", "fashion", "--worker", "--output", "json").stdout
    )
    roles = {log["role"]: log for log in logs}
    assert roles.keys() >= {"encoder", "trainer", "publisher"}
    assert {log["outcome"] for log in logs} == {"done"}
    assert "nacre.trainer: learnt in" in roles["trainer"]["text"]
    assert "published as version 2" in roles["publisher"]["text"]
    assert "== trainer on " in running("logs", "fashion", "--worker").stdout


def test_a_changed_file_is_followed_as_far_as_it_can_be_and_the_rest_is_named(
    running: Nacre, workspace: Path
) -> None:
    file = workspace / "nacre.yaml"
    before = yaml.safe_load(file.read_text())
    asked_for = json.loads((workspace / "home" / "running.json").read_text())["auth"]
    assert asked_for == "token"
    assert (workspace / ".ray" / "auth_token").exists()
    live = {**before, "adapters": {"am": {"method": "gda"}}, "retention": {"days": 3}}
    file.write_text(yaml.safe_dump(live))
    assert differing(running) == ["retention.days", "adapters.am.method"]
    applied = running("up", "--output", "json")
    assert applied.returncode == 0, applied.stderr
    told = as_promised("up while it runs", applied.stdout)
    assert told["applied"] == ["retention.days", "adapters.am.method"]
    assert differing(running) == []
    file.write_text(yaml.safe_dump({**live, "workers": {"threads": 2}}))
    named = running("up")
    assert named.returncode == 3
    assert "not changed while it runs: workers.threads" in named.stderr
    file.write_text(yaml.safe_dump(live))
    again = running("up", "--detach")
    assert (again.returncode, again.stdout) == (3, "")
    assert "running already, with this configuration" in again.stderr


def test_a_task_is_submitted_over_http_and_published(
    running: Nacre, workspace: Path, examples: Path, tmp_path: Path
) -> None:
    task = small_task(examples, tmp_path, "clip-art")
    with tarfile.open(tmp_path / "task.tar", "w") as tar:
        for path in task.parent.iterdir():
            tar.add(path, arcname=path.name)
    port = yaml.safe_load((workspace / "nacre.yaml").read_text())["serve"]["port"]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_S) as api:
        with (tmp_path / "task.tar").open("rb") as archive:
            sent = {
                "task": ("task.yaml", task.read_bytes()),
                "archive": ("task.tar", archive.read()),
            }
            accepted = api.post("/v1/tasks", files=sent)
        assert accepted.status_code == 202, accepted.text
        name = accepted.json()["submission"]["submission_id"]
        watched = running("watch", name)
        assert f"{name}: published as main@" in watched.stdout, watched.stderr
        assert api.get(f"/v1/tasks/{name}").json()["stage"] == "published"
        assert api.get("/v1/tasks").json()["coordinated"] is True
        messages = [entry["message"] for entry in api.get(f"/v1/tasks/{name}/events").json()]
        assert any(message.startswith("published as version") for message in messages)
        refused = api.post("/v1/tasks", content=b"name: x\nimages: /etc\n")
        assert (refused.status_code, refused.json()["title"]) == (422, "InputError")
        assert api.get("/v1/tasks/nobody").status_code == 404


def test_every_socket_is_in_the_table_of_the_documents(running: Nacre, workspace: Path) -> None:
    assert running("status").returncode == 0
    port = yaml.safe_load((workspace / "nacre.yaml").read_text())["serve"]["port"]
    sockets = list(listening(workspace / "home"))
    assert {socket.host for socket in sockets if socket.port == port} == {"127.0.0.1"}
    assert untold(sockets, host="127.0.0.1", port=port) == []


def test_an_answer_carries_the_id_of_its_request_once(running: Nacre, workspace: Path) -> None:
    """Serve puts one on every answer, and so did the application."""
    assert running("status").returncode == 0
    port = yaml.safe_load((workspace / "nacre.yaml").read_text())["serve"]["port"]
    url = f"http://127.0.0.1:{port}/v1/health/live"
    mark = {"X-Request-Id": "mine"}
    for answer in (
        httpx.get(url, headers=mark, timeout=TIMEOUT_S),
        httpx.head(url, timeout=TIMEOUT_S),
    ):
        assert answer.status_code == 200
        assert len(answer.headers.get_list("x-request-id")) == 1


def test_a_request_is_logged_by_nacre_and_not_by_serve_again(
    running: Nacre, workspace: Path
) -> None:
    assert running("status").returncode == 0
    port = yaml.safe_load((workspace / "nacre.yaml").read_text())["serve"]["port"]
    mark = {"X-Request-Id": "asked-to-be-logged"}
    url = f"http://127.0.0.1:{port}/v1/status"
    assert httpx.get(url, headers=mark, timeout=TIMEOUT_S).status_code == 200
    kept = [log for log in logs(workspace / "home") if mark["X-Request-Id"] in log.read_text()]
    assert kept
    assert not any(log.parent.name == "serve" for log in kept)


def test_a_running_system_says_in_one_line_that_all_is_well(running: Nacre) -> None:
    told = parsed(running("status", "--output", "json"))
    assert told["troubles"] == []
    assert (told["service"]["coordinator"], told["service"]["deployments"]) == (None, {})
    shown = running("status")
    assert shown.stdout.splitlines()[-1].startswith("all is well: coordinated from ")


def test_submitting_the_same_task_again_does_nothing_twice(running: Nacre, examples: Path) -> None:
    again = running("submit", examples / "digits/task.yaml")
    assert again.returncode == 0
    assert "submitted before" in again.stdout


def test_a_second_system_in_the_same_home_is_refused(running: Nacre) -> None:
    second = running("up", "--detach")
    assert second.returncode == 3
    assert "running already" in second.stderr


@pytest.mark.usefixtures("running")
def test_a_port_that_is_taken_is_named(workspace: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "NACRE_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-m", "cluster.cli", "--config", str(workspace / "nacre.yaml"), "up"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 4
    assert "to be free" in result.stderr
    assert "Traceback" not in result.stderr


def test_down_without_a_system_says_so(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "cluster.cli", "down"],
        env={**os.environ, "NACRE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 2
    assert "nothing to stop" in result.stderr
