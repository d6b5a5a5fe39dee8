"""Sockets of a system behind HAProxy; those of one without are looked at by the acceptance test."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from cluster.config import PREDICT_TOKEN, TOKEN
from tests.support.drivers.listening import Socket, listening, table, unix_sockets, untold
from tests.support.drivers.s3_server import free_port

pytestmark = pytest.mark.ray

TIMEOUT_S = 600
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Return home and port of a running system that asks for tokens."""
    folder, port = tmp_path_factory.mktemp("sockets"), free_port()
    config = {"store": f"file://{folder / 'store'}", "serve": {"port": port, "console": True}}
    (folder / "nacre.yaml").write_text(yaml.safe_dump(config))
    home = {"NACRE_HOME": str(folder / "home"), TOKEN: "to-change", PREDICT_TOKEN: "to-ask"}

    def nacre(*arguments: str) -> None:
        command = [sys.executable, "-m", "cluster.cli", *arguments]
        environment = {**os.environ, **home}
        subprocess.run(command, cwd=folder, env=environment, timeout=TIMEOUT_S, check=True)

    nacre("up", "--detach")
    yield folder / "home", port
    nacre("down")


def test_every_socket_behind_haproxy_is_in_the_table(guarded: tuple[Path, int]) -> None:
    home, port = guarded
    sockets = list(listening(home))
    assert any("haproxy" in socket.process for socket in sockets if socket.port == port)
    assert untold(sockets, host=HOST, port=port) == []


def test_what_strangers_may_reach_asks_for_a_token(guarded: tuple[Path, int]) -> None:
    home, port = guarded
    doors = [
        port,
        *(s.port for s in listening(home) if "nacre-api" in s.process and s.host == HOST),
    ]
    assert len(doors) > 1
    for door in doors:
        assert httpx.get(f"http://{HOST}:{door}/v1/status", timeout=TIMEOUT_S).status_code == 401


def test_the_console_answers_beside_the_api_and_its_pages_are_live(
    guarded: tuple[Path, int],
) -> None:
    url, mark = f"http://{HOST}:{guarded[1]}/console", {"Authorization": "Bearer to-change"}
    assert httpx.get(url, timeout=TIMEOUT_S).headers["Location"] == "/login?next=%2Fconsole"
    assert "Nothing has been learnt yet" in httpx.get(url, headers=mark, timeout=TIMEOUT_S).text
    open_page = {"page": "/console/serving"}
    with httpx.stream(
        "GET", f"{url}/events", params=open_page, headers=mark, timeout=TIMEOUT_S
    ) as events:
        heard = next(line for line in events.iter_lines() if line.startswith("data: "))
    assert 'id="serving"' in heard


def test_no_socket_of_haproxy_lies_where_other_users_can_reach_it(
    guarded: tuple[Path, int],
) -> None:
    home, _ = guarded
    sockets = [
        path for path in unix_sockets(home) if "haproxy" in str(path) or "admin" in path.name
    ]
    assert sockets
    for path in sockets:
        assert any(stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0 for folder in path.parents), (
            path
        )


UNTOLD = [
    Socket("ray::ProxyActor", "0.0.0.0", 8000),
    Socket("haproxy -f x", "0.0.0.0", 8000),
    Socket("haproxy -f x", "0.0.0.0", 40_000),
    Socket("ray::ServeReplica:nacre-api:replica", "0.0.0.0", 30_003),
    Socket("python -m something", "0.0.0.0", 40_000),
    Socket("python ray/dashboard/dashboard.py", "0.0.0.0", 8265),
]


@pytest.mark.parametrize("socket", UNTOLD, ids=lambda socket: f"{socket.process}, {socket.port}")
def test_a_socket_that_the_table_does_not_have_is_found(socket: Socket) -> None:
    assert len(table()) == 9
    assert untold([socket], host=HOST, port=8000) == [socket]
