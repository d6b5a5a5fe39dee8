"""The `nacre up` of a home folder: its marker, its start in the background, and its end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from adapters import errors
from adapters.errors import (
    ConflictError,
    CorruptionError,
    InputError,
    NacreError,
    UnavailableError,
    UnknownOutcomeError,
    reason_of,
)
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.output import print_json, say, waiting, warn
from cluster.config import LOCAL, Config, home
from cluster.ready import RUNNING
from cluster.wire.outputs.system import StartedSystem

START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 90
NOT_STARTED = "not-started.json"
STOPPED_AGAIN = "what had been started is stopped again; `nacre up` starts it"
KINDS = (InputError, ConflictError, UnavailableError, UnknownOutcomeError, CorruptionError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """What `nacre up` leaves in its home folder while it runs with a Ray of its own.

    Attributes:
        pid: Its process.
        started: When that was started, in seconds since the epoch.
        endpoint: Where it answers.
        store: The URL of its store.
        waits_for: Why it did not coordinate when it had started.
        config: The file that it was configured by; None for the defaults.
        ray: The address of its Ray.
        auth: `RAY_AUTH_MODE` as its Ray was started with; whoever joins that needs the same.
    """

    pid: int
    started: float
    endpoint: str
    store: str
    waits_for: str | None = None
    config: str | None = None
    ray: str | None = None
    auth: str = "token"

    def was_started_with(self, config: Config, file: Path | None) -> bool:
        """Return whether a configuration, read from `file`, is the one of this system.

        What was started with the same file is it also where that was changed since.
        """
        same_file = file is not None and self.config == str(file.absolute())
        return same_file or (self.store, self.endpoint) == (config.store, config.endpoint)

    @property
    def described(self) -> str:
        """Whose system it is, for people."""
        by = f"configured by {self.config}" if self.config else "without a configuration file"
        return f"process {self.pid}, {self.endpoint}, store {self.store}, {by}"


def start_detached(path: Path | None) -> Running:
    """Start `nacre up` in a session of its own, wait until it answers, and return what has started.

    Raises:
        NacreError: it does not start.
        Interrupted: a person did not wait.
    """
    home().mkdir(parents=True, exist_ok=True)
    _not_started().touch()
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
        with interruptible(STOPPED_AGAIN), waiting(f"starting; log in {log_path()}"):
            return _wait_until_ready(process)
    except BaseException:
        # An interrupt must not leave half a system behind.
        process.terminate()
        process.wait(STOP_TIMEOUT_S)
        raise
    finally:
        _not_started().unlink(missing_ok=True)


def started_here(
    running: Running, *, notes: Sequence[str], console: str | None = None, log: Path | None = None
) -> StartedSystem:
    """Return what is told of the system of this home folder."""
    return StartedSystem(
        endpoint=running.endpoint,
        store=running.store,
        ray=LOCAL,
        pid=running.pid,
        log=str(log) if log else None,
        waits_for=running.waits_for,
        console=console,
        notes=list(notes),
    )


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


def print_started(started: StartedSystem, output: str, *, stop: str) -> None:
    """Say where a system answers, how it is stopped, and why it does not coordinate, if so."""
    warn(*started.notes)
    if output == "json":
        print_json(started)
        sys.stdout.flush()
        return
    log = f"; log in {started.log}" if started.log else ""
    say(f"ready at {started.endpoint}; stop with {stop}{log}")
    if started.console:
        say(f"console at {started.console}")
    if started.waits_for:
        say(started.waits_for)


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


def _wait_until_ready(process: "subprocess.Popen[bytes]") -> Running:
    started = time.monotonic()
    while time.monotonic() - started < START_TIMEOUT_S:
        if process.poll() is not None:
            raise why_not_started(process.pid, process.returncode)
        if (running := find_running()) is not None:
            return running
        time.sleep(0.2)
    raise UnavailableError(f"nacre did not answer within {START_TIMEOUT_S} s; see {log_path()}")


@contextmanager
def failures_noted() -> Iterator[None]:
    """Write down for whoever has started this process which error keeps it from running.

    They have made the file for it; where it is missing, nobody would read it.
    """
    try:
        yield
    except Exception as error:
        noted = {"pid": os.getpid(), "kind": type(error).__name__, "reason": reason_of(error)}
        with suppress(OSError), _not_started().open("r+", encoding="utf-8") as file:
            file.truncate()
            file.write(json.dumps(noted))
        raise


def why_not_started(pid: int, exit_code: int) -> NacreError:
    """Return the error that ended a detached `nacre up`, as it has written it down.

    What it has printed is no help: Ray's processes print to the same log, and whenever they like.
    """
    try:
        noted = json.loads(_not_started().read_text(encoding="utf-8"))
        if noted["pid"] == pid:
            known = getattr(errors, str(noted["kind"]), None)
            kind = (
                known if isinstance(known, type) and issubclass(known, NacreError) else NacreError
            )
            return kind(f"nacre did not start: {noted['reason']}{_log()}")
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it ended before it could
    said = [line for line in _printed() if line.startswith("error: ")] or _printed()[-1:]
    reason = said[-1].removeprefix("error: ") if said else "it printed nothing"
    meant = next((kind for kind in KINDS if kind.exit_code == exit_code), NacreError)
    return meant(f"nacre did not start: {reason}{_log()}")


def _not_started() -> Path:
    return home() / NOT_STARTED


def _log() -> str:
    return f" (log: {log_path()})"


def _printed() -> list[str]:
    try:
        return log_path().read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return []


def _started(pid: int) -> float | None:
    """Return when process `pid` was started, in seconds since the epoch; None if it has ended."""
    try:
        process = psutil.Process(pid)
        # A child that has ended stays as a zombie until its parent asks for it.
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
