"""The `nacre up` of a home folder: whose it is, how it ends, and why it did not start."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    SettingsError,
    StoreRefusedError,
    UnavailableError,
)
from cluster.cli.running import (
    NOT_STARTED,
    Running,
    failures_noted,
    log_path,
    print_started,
    started_here,
    why_not_started,
)
from cluster.ready import RUNNING
from tests.support.drivers.command import Command
from tests.support.drivers.printed import as_promised

UP = """
import os, signal, sys
def end(number, frame):
    os.unlink(sys.argv[1])
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
signal.pause()
"""


def mark_as_running(
    home: Path, *, started: float, pid: int | None = None, config: Path | None = None
) -> None:
    home.mkdir(exist_ok=True)
    running = Running(
        pid=pid or os.getpid(),
        started=started,
        endpoint="http://127.0.0.1:1",
        store="memory://x",
        config=str(config) if config else None,
    )
    (home / RUNNING).write_text(json.dumps(asdict(running)))


def started(home: Path, *, config: Path | None = None) -> "subprocess.Popen[str]":
    """Start a process that ends as `nacre up` does: it takes its marker away, and goes."""
    process = subprocess.Popen(
        [sys.executable, "-c", UP, str(home / RUNNING)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as printed:
        assert printed.readline() == "up\n"
    created = psutil.Process(process.pid).create_time()
    mark_as_running(home, started=created, pid=process.pid, config=config)
    return process


def test_a_second_start_is_refused(nacre: Command, tmp_path: Path) -> None:
    mark_as_running(tmp_path / "home", started=psutil.Process().create_time())
    ended = nacre("up", "--detach")
    assert ended.code == 3
    assert f"running already (process {os.getpid()}, http://127.0.0.1:1, store memory" in ended.err
    assert "without a configuration file" in ended.err


def test_a_stale_marker_never_stops_a_stranger(nacre: Command, tmp_path: Path) -> None:
    # This process has the number of one that ended long ago; it must survive.
    mark_as_running(tmp_path / "home", started=1.0)
    assert nacre("down").code == 2


@pytest.mark.parametrize("content", ["", "null", "[]", '{"pid": 1}', '{"pid": "x"}'])
def test_a_damaged_marker_is_no_running_system(
    nacre: Command, tmp_path: Path, content: str
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / RUNNING).write_text(content)
    assert nacre("down").code == 2


def test_what_runs_is_stopped_once_and_the_second_time_there_is_nothing(
    nacre: Command, tmp_path: Path
) -> None:
    process = started(tmp_path / "home")
    first = nacre("down")
    assert (first.code, first.out, first.err) == (0, "stopped\n", "")
    assert process.wait(180) == 0
    second = nacre("down")
    assert (second.code, second.out) == (2, "")
    assert second.err == f"error: nothing to stop: no `nacre up` is running for {tmp_path}/home\n"


def test_another_configuration_stops_nothing_and_says_whose_system_it_is(
    nacre: Command, tmp_path: Path
) -> None:
    mine, other = tmp_path / "mine.yaml", tmp_path / "other.yaml"
    mine.write_text("adapter: mine\n")
    other.write_text("serve: {port: 2}\n")
    process = started(tmp_path / "home", config=mine)
    ended = nacre("--config", other, "down")
    assert ended.code == 3
    assert f"another system runs for {tmp_path}/home (process {process.pid}, " in ended.err
    assert f"configured by {mine}" in ended.err
    assert f"--config {mine}" in ended.err
    assert process.poll() is None
    # The file that it was started with is its own whatever has become of it since.
    mine.write_text("serve: {port: 3}\n")
    ended = nacre("--config", mine, "down", "--output", "json")
    assert as_promised("down", ended.out)["stopped"] is True
    assert (ended.code, ended.err) == (0, "")
    assert process.wait(180) == 0


def test_a_configuration_of_the_same_store_and_address_stops_it(
    nacre: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NACRE_STORE")
    (tmp_path / "nacre.yaml").write_text("store: memory://x\nserve: {port: 1}\n")
    process = started(tmp_path / "home")
    assert nacre("down").code == 0
    assert process.wait(180) == 0


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (UnavailableError("expected port 8000 to be free"), UnavailableError, "port 8000 to be"),
        (SettingsError("no such method"), SettingsError, "no such method"),
        (StoreRefusedError("a wrong key"), StoreRefusedError, "a wrong key"),
        (ValueError("nobody thought of it"), NacreError, "ValueError('nobody thought of it')"),
        (KeyError("errors"), NacreError, "KeyError('errors')"),
    ],
)
def test_why_it_did_not_start_is_told_whatever_others_print(
    nacre: Command, tmp_path: Path, error: Exception, kind: type[NacreError], sentence: str
) -> None:
    assert nacre("down").code == 2  # which gives this process its home
    noted = log_path().with_name(NOT_STARTED)
    with pytest.raises(type(error)), failures_noted():
        raise error
    assert not noted.exists()  # nobody would read it
    noted.parent.mkdir(exist_ok=True)
    noted.touch()
    with pytest.raises(type(error)), failures_noted():
        raise error
    log_path().write_text(f"error: {sentence}\nTask ServeController failed: killed by `ray.kill`\n")
    found = why_not_started(os.getpid(), 1)
    assert type(found) is kind
    assert found.message == f"nacre did not start: {_reason(error)} (log: {tmp_path}/home/up.log)"
    assert sentence in found.message


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, NacreError) else repr(error)


@pytest.mark.parametrize(
    ("noted", "printed", "code", "kind", "sentence"),
    [
        # of an earlier start
        ('{"pid": 1, "kind": "InputError", "reason": "old"}', "error: new\nnoise", 3,
         ConflictError, "new"),
        ("{half", "error: first\nerror: last\n(raylet) noise\n", 2, InputError, "last"),
        (None, "Killed", 137, NacreError, "Killed"),
        (None, "", 1, NacreError, "it printed nothing"),
        (None, None, 1, NacreError, "it printed nothing"),
    ],
)  # fmt: skip
def test_what_ended_before_it_could_tell_is_looked_for_in_the_log(
    nacre: Command,
    noted: str | None,
    printed: str | None,
    code: int,
    kind: type[NacreError],
    sentence: str,
) -> None:
    assert nacre("down").code == 2
    log_path().parent.mkdir(exist_ok=True)
    for path, content in ((log_path().with_name(NOT_STARTED), noted), (log_path(), printed)):
        if content is not None:
            path.write_text(content)
    found = why_not_started(os.getpid(), code)
    assert type(found) is kind
    assert found.message.startswith(f"nacre did not start: {sentence} (log: ")


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_is_noted_of_a_start_is_told_to_people_and_machines(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    running = Running(pid=1, started=1.0, endpoint="http://127.0.0.1:1", store="memory://x")
    print_started(started_here(running, notes=["another method"]), output, stop="Ctrl-C")
    printed = capsys.readouterr()
    if output == "json":
        assert as_promised("up", printed.out)["notes"] == ["another method"]
    else:
        assert printed.err == "note: another method\n"
