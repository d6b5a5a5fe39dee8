"""The `nacre up` of a home folder: its marker, its start in the background, and its end."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from adapters.errors import (
    ConflictError,
    CorruptionError,
    InputError,
    NacreError,
    UnavailableError,
    UnknownOutcomeError,
)
from cluster.cli.output import progress_bar, stdout
from cluster.config import Config, home
from workers.progress_callbacks import ProgressCallback

START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 60
RUNNING = "running.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """What `nacre up` leaves in its home folder while it runs with a Ray of its own."""

    pid: int
    started: float
    endpoint: str
    store: str
    waits_for: str | None = None


def start_detached(path: Path | None, config: Config) -> None:
    """Start `nacre up` in a session of its own and wait until it answers."""
    home().mkdir(parents=True, exist_ok=True)
    options = ["--config", str(path.absolute())] if path else []
    with log_path().open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cluster.cli", *options, "up"],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        with progress_bar("starting") as report:
            _wait_until_ready(process, report)
    except BaseException:
        # An interrupt must not leave half a system behind.
        process.terminate()
        process.wait(STOP_TIMEOUT_S)
        raise
    stdout().print(f"ready at {config.endpoint}; stop with `nacre down`; log in {log_path()}")
    running = find_running()
    print_waiting(running.waits_for if running else None)


def stop_running() -> bool:
    """Stop the `nacre up` of this home folder and wait for it; False where there is none.

    Raises:
        UnavailableError: it does not stop.
    """
    running = find_running()
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if find_running() is None:
            return True
        time.sleep(0.1)
    raise UnavailableError(
        f"process {running.pid} has not stopped after {STOP_TIMEOUT_S} s; see {log_path()}",
        pid=running.pid,
    )


def print_waiting(reason: str | None) -> None:
    """Say why the queue is coordinated by another system, where it is."""
    if reason:
        stdout().print(reason, markup=False)


def find_running() -> Running | None:
    """Return the `nacre up` of this home folder, if it is alive."""
    try:
        running = Running(**json.loads((home() / RUNNING).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    # A process id may have gone to somebody else since; the time of its start tells.
    return running if running.started == _started(running.pid) else None


def log_path() -> Path:
    """Return where a detached `nacre up` writes what it prints."""
    return home() / "up.log"


def _wait_until_ready(process: "subprocess.Popen[bytes]", report: ProgressCallback) -> None:
    started = time.monotonic()
    while time.monotonic() - started < START_TIMEOUT_S:
        if process.poll() is not None:
            raise _why_not_started(process.returncode)
        if find_running() is not None:
            return
        report(int(time.monotonic() - started), START_TIMEOUT_S)
        time.sleep(0.2)
    raise UnavailableError(f"nacre did not answer within {START_TIMEOUT_S} s; see {log_path()}")


def _why_not_started(exit_code: int) -> NacreError:
    """Return the error that ended a detached `nacre up`: its kind from the exit code."""
    last = log_path().read_text().strip().splitlines()[-1:] or ["it printed nothing"]
    kinds = (InputError, ConflictError, UnavailableError, UnknownOutcomeError, CorruptionError)
    kind = next((kind for kind in kinds if kind.exit_code == exit_code), NacreError)
    return kind(f"nacre did not start: {last[0].removeprefix('error: ')} (log: {log_path()})")


def _started(pid: int) -> float | None:
    """Return when process `pid` was started, in seconds since the epoch; None if it has ended."""
    try:
        process = psutil.Process(pid)
        # A child that has ended stays as a zombie until its parent asks for it.
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
