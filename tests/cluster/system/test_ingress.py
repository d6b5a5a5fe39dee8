"""The ingress's folder: private, and near enough for a socket to be named."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from cluster.system.ingress import LONGEST_SOCKET, NODE_BYTES, SOCKET, private_folder


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
