"""The proof of what is deployed: where it cannot run, and parts that there are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.prove.deploy import PARTS
from tests.support.drivers import containers
from tests.support.drivers.container_memory import killed, used
from tests.support.drivers.containers import CannotRunError, check_can_run


def in_folder(tmp_path: Path, *programs: str) -> Path:
    """Return a folder with programs that end at once, the named ones with an error."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("apt-get", "unshare", *containers.PROGRAMS):
        (folder / name).write_text(f"#!/bin/sh\nexit {int(name in programs)}\n")
        (folder / name).chmod(0o755)
    return folder


def test_elsewhere_than_on_debian_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRunError, match=r"^expected root on Debian 12 or newer.* run it in"):
        check_can_run()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root comes so far")
def test_without_the_right_to_networks_of_its_own_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{in_folder(tmp_path, 'unshare')}{os.pathsep}{os.defpath}")
    with pytest.raises(CannotRunError, match=r"^expected the right to make network namespaces"):
        check_can_run()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root comes so far")
def test_where_all_is_there_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{in_folder(tmp_path, 'apt-get')}{os.pathsep}{os.defpath}")
    check_can_run()


def test_a_part_that_there_is_not_is_told_with_those_that_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.prove.deploy", "imgae"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"expected parts of {', '.join(PARTS)}, found imgae" in done.stderr


@pytest.mark.parametrize(
    "files",
    [
        {
            "memory.stat": "rss 1\nshmem 2\ntotal_rss 300\ntotal_shmem 40\ntotal_cache 999\n",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
        },
        {
            "memory.stat": "anon 300\nfile 999\nshmem 40\n",
            "memory.events": "low 0\nmax 7\noom 6\noom_kill 5\n",
        },
    ],
    ids=["first", "second"],
)
def test_memory_of_a_container_is_read_in_both_forms_that_the_kernel_has(
    tmp_path: Path, files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert (used(tmp_path), killed(tmp_path)) == (340, 5)
