"""`nacre console`: it serves pages on the store alone, until it is ended, to whom it may."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cluster.cli.terminal.interrupts import EXIT_INTERRUPTED
from tests.support.drivers.printed import as_promised
from tests.support.scenes.registry import adapter, learn
from workers.store import FileStore

COMMAND = [sys.executable, "-m", "cluster.cli", "console", "--output", "json"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NACRE_")}
    store = f"file://{folder / 'store'}"
    return {**kept, "NACRE_STORE": store, "NACRE_HOME": str(folder / "home"), **more}


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, EXIT_INTERRUPTED), (15, 0)])
def test_it_shows_what_a_store_has_until_somebody_ends_it(
    tmp_path: Path, number: int, code: int
) -> None:
    learn(adapter(FileStore(tmp_path / "store")), "cars")
    command = [*COMMAND, "--port", "0"]
    with subprocess.Popen(
        command,
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = _object(process.stdout.readline, process.stdout.readline())
        started = as_promised("console", printed)
        assert started["pid"] == process.pid
        assert not started["login"]
        answer = httpx.get(started["url"], timeout=300)
        assert "main@1" in answer.text
        process.send_signal(number)
        _, said = process.communicate(timeout=300)
    assert process.returncode == code, said
    assert "Traceback" not in said


def _object(read: object, first: str) -> str:
    """Return the JSON object that is printed, on one line or on several."""
    assert callable(read)
    text = first
    while text.strip() and text.count("{") > text.count("}"):
        text += read()
    return text


@pytest.mark.slow
def test_it_is_served_to_other_machines_only_where_people_log_in(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--host", "0.0.0.0", "--port", "0"],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert "NACRE_TOKEN" in json.loads(done.stderr)["detail"]
