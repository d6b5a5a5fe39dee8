"""Another try in a new process where Ray gives a node up."""

import inspect
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import psutil
import pytest

from cluster.system.ray_retry import TIMED_OUT, TRIED, TRIES, UNREACHED

PROGRAM = """
import os, subprocess, sys
from adapters.errors import UnavailableError
from cluster.system.ray_retry import TRIED, started_again

folder, fails, said = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tried = int(os.environ.get(TRIED, "0"))
with started_again():
    # In a session of its own, as Ray's processes are.
    child = subprocess.Popen(
        ["sleep", "600"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with open(f"{folder}/tries", "a") as file:
        file.write(f"{os.getpid()} {child.pid}\\n")
    if tried < fails:
        try:
            raise Exception(said)
        except Exception as error:
            raise UnavailableError("Ray did not start") from error
child.kill()
print("started")
"""


def run(folder: Path, *, fails: int, said: str) -> "subprocess.CompletedProcess[str]":
    environment = {key: value for key, value in os.environ.items() if key != TRIED}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(fails), said],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def tries(folder: Path) -> list[list[int]]:
    lines = (folder / "tries").read_text().splitlines()
    return [list(map(int, line.split())) for line in lines]


def end_children(folder: Path) -> list[int]:
    """End the children of the last try, and return which of those before still ran."""
    *before, (_, last) = tries(folder)
    if psutil.pid_exists(last):
        psutil.Process(last).kill()
    return [child for _, child in before if psutil.pid_exists(child)]


def test_ray_says_it_in_these_words() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray._private import node, worker
    assert TIMED_OUT in inspect.getsource(node)
    assert UNREACHED in inspect.getsource(worker)


def test_it_is_tried_again_under_the_same_process_id_without_what_the_last_try_left(
    tmp_path: Path,
) -> None:
    done = run(tmp_path, fails=2, said=f"The current node {TIMED_OUT}.")
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert len(tries(tmp_path)) == 3
    assert len({pid for pid, _ in tries(tmp_path)}) == 1
    assert end_children(tmp_path) == []


def test_a_head_that_listens_is_joined_again_and_one_that_is_not_there_is_an_error(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        there, away = tmp_path / "there", tmp_path / "away"
        there.mkdir()
        away.mkdir()
        assert run(there, fails=1, said=UNREACHED + address).stdout == "started\n"
        end_children(there)
    done = run(away, fails=1, said=UNREACHED + address)
    assert (done.returncode, len(tries(away))) == (1, 1)
    end_children(away)


@pytest.mark.parametrize(
    ("said", "expected"), [(f"The current node {TIMED_OUT}.", TRIES), ("Failed to start GCS", 1)]
)
def test_what_goes_on_failing_or_fails_otherwise_is_an_error(
    tmp_path: Path, said: str, expected: int
) -> None:
    done = run(tmp_path, fails=99, said=said)
    assert done.returncode != 0
    assert "UnavailableError: Ray did not start" in done.stderr
    assert len(tries(tmp_path)) == expected
    end_children(tmp_path)
