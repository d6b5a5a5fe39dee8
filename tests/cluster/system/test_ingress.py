"""The ingress's folder: private, and near enough for a socket to be named."""

import stat
from pathlib import Path

from cluster.system.ingress import LONGEST_SOCKET, SOCKET, private_folder


def test_nobody_else_may_enter_it(tmp_path: Path) -> None:
    open_to_all = tmp_path / "haproxy"
    open_to_all.mkdir(mode=0o755)
    found = private_folder(open_to_all)
    assert found == open_to_all
    assert stat.S_IMODE(found.stat().st_mode) == 0o700


def test_a_home_that_lies_deep_gets_a_short_one(tmp_path: Path) -> None:
    found = private_folder(tmp_path / ("deep" * 30) / "haproxy")
    assert len(str(found / SOCKET)) <= LONGEST_SOCKET
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    found.rmdir()
