"""Whether a system is ready, as a container asks: with few imports, and a sentence where not."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from cluster.ready import READY, RUNNING, address_here, why_unready
from tests.support.drivers.s3_server import free_port

Answering = Callable[[int, bytes], str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Return a function that answers probes with a status and a body, and says where."""
    servers = []

    def answer(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == READY else 404)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield answer
    for server in servers:
        server.shutdown()
        server.server_close()


def test_what_answers_that_it_is_ready_is(answering: Answering) -> None:
    assert why_unready(answering(200, b"{}")) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"detail": "following has ended"}', "not ready: following has ended"),
        (b"<html>", "not ready: it answers 503"),
        (b"[]", "not ready: it answers 503"),
    ],
)
def test_what_is_not_ready_says_why(answering: Answering, body: bytes, reason: str) -> None:
    assert str(why_unready(answering(503, body))).startswith(reason)


def test_where_nothing_answers_the_address_and_the_option_are_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = why_unready(url)
    assert said is not None
    assert said.startswith(f"nothing answers at {url}")
    assert "--url" in said


@pytest.mark.parametrize("url", ["", "x", "https://x", "http://", "http://[", "http://h:x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    assert why_unready(url)


def test_the_address_is_that_of_the_system_of_this_home_then_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACRE_HOME", str(tmp_path))
    monkeypatch.delenv("NACRE_SERVE__PORT", raising=False)
    assert address_here() == "http://127.0.0.1:8000"
    monkeypatch.setenv("NACRE_SERVE__PORT", "9000")
    assert address_here() == "http://127.0.0.1:9000"
    (tmp_path / RUNNING).write_text(json.dumps({"endpoint": "http://127.0.0.1:1"}))
    assert address_here() == "http://127.0.0.1:1"
    for damaged in ("", "[]", '{"endpoint": 5}'):
        (tmp_path / RUNNING).write_text(damaged)
        assert address_here() == "http://127.0.0.1:9000"


def test_the_command_asks_without_importing_what_the_others_need(answering: Answering) -> None:
    url = answering(200, b"{}")
    command = [sys.executable, "-X", "importtime", "-m", "cluster.cli", "ready", "--url", url]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == f"ready at {url}\n"
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "cluster.ready" in imported
    assert not imported & {"click", "pydantic", "yaml", "ray", "cluster.config", "urllib.request"}
    refused = subprocess.run(
        [sys.executable, "-m", "cluster.cli", "ready", "--url", answering(503, b"")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, refused.stdout) == (4, "")
    assert refused.stderr.startswith("error: not ready")
