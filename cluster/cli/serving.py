"""Commands that start, stop and ask the system: up, down, predict."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import click
import psutil

from adapters.errors import (
    ConflictError,
    CorruptionError,
    InputError,
    NacreError,
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
)
from cluster.cli.output import (
    output_option,
    print_json,
    print_table,
    progress_bar,
    stdout,
)
from cluster.client.client import Client
from cluster.client.joined import configured
from cluster.config import LOCAL, Config, home
from workers.progress_callbacks import ProgressCallback

START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 60
RUNNING = "running.json"


address_option = click.option(
    "--address",
    help="`auto` or HOST:PORT of a running Ray.  [default: `ray:` of the configuration]",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """What `nacre up` leaves in its home folder while it runs with a Ray of its own."""

    pid: int
    started: float
    endpoint: str
    store: str
    waits_for: str | None = None


@click.command()
@click.option("--detach", is_flag=True, help="Return when everything answers; stop with `down`.")
@address_option
@click.pass_obj
def up(path: Path | None, address: str | None, *, detach: bool) -> None:
    """Start the workers and the HTTP API: on a Ray of this machine's own, or on a running one.

    On a running Ray the system stays when this returns; another `up` there changes its settings.

    \b
    Examples:
      nacre up                       until Ctrl-C
      nacre up --detach              in the background; `nacre down` stops it
      nacre up --address auto        on the Ray that `ray start --head` has started here
    """
    config = with_address(configured(path), address)
    if config.ray != LOCAL:
        _start_on_running(config)
        return
    _check_not_running()
    if detach:
        start_detached(path, config)
    else:
        _run(config)


@click.command()
@address_option
@click.pass_obj
def down(path: Path | None, address: str | None) -> None:
    """Stop what `nacre up` started; everything that was acknowledged stays in the store.

    \b
    Examples:
      nacre down
      nacre down --address auto      on a Ray that somebody else started
      NACRE_HOME=.nacre-demo nacre down
    """
    if address is None and stop_running():
        stdout().print("stopped")
        return
    config = with_address(configured(path), address)
    if config.ray == LOCAL:
        raise NotFoundError(f"nothing to stop: no `nacre up` is running for {home()}")
    _stop_on_running(config)
    stdout().print("stopped")


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--adapter", help="Which adapter.  [default: the configured one]")
@click.option("--top-k", default=5, show_default=True, help="Most classes per image.")
@click.option("--version", help="Pin a version by number or alias.  [default: production]")
@click.option("--task", "tasks", multiple=True, help="Only classes of this task; may be repeated.")
@click.option("--label", "labels", multiple=True, help="A further candidate; may be repeated.")
@output_option
@click.pass_obj
def predict(
    path: Path | None,
    /,
    images: tuple[Path, ...],
    output: str,
    tasks: tuple[str, ...],
    labels: tuple[str, ...],
    **options: Any,
) -> None:
    """Ask the running service what IMAGES show.

    \b
    Examples:
      nacre predict photo.jpg
      nacre predict *.png --top-k 1 --version 3 --output json
      nacre predict photo.jpg --task fashion --label "ice skate"
    """
    client = Client(configured(path))
    answer = client.predict(images, tasks=tasks, candidate_labels=labels, **options)
    if output == "json":
        print_json(answer.model_dump())
        return
    rows = [
        (image if rank == 0 else "", entry.label, entry.task or "", f"{entry.score:.3f}")
        for image, result in zip(images, answer.results, strict=True)
        for rank, entry in enumerate(result.predictions)
    ]
    print_table(("image", "label", "task", "score"), rows, empty="no predictions")
    stdout().print(f"answered by {answer.version}")


VERBS = (up, down, predict)


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
    _print_waiting(running.waits_for if running else None)


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


def with_address(config: Config, address: str | None) -> Config:
    """Return `config` with another Ray, where one is given."""
    return replace(config, ray=address) if address else config


def _start_on_running(config: Config) -> None:
    from cluster.system import system

    system.check(config)
    with progress_bar(f"starting on the Ray at {config.ray}"):
        system.connect(config)
        system.start(config)
    stdout().print(f"ready at {config.endpoint}; stop with `nacre down --address {config.ray}`")
    _print_waiting(system.waits_for())


def _print_waiting(reason: str | None) -> None:
    """Say why the queue is coordinated by another system, where it is."""
    if reason:
        stdout().print(reason, markup=False)


def _stop_on_running(config: Config) -> None:
    from cluster.runtime.actors import running_coordinator
    from cluster.system import system

    system.connect(config)
    if running_coordinator() is None:
        raise NotFoundError(f"nothing to stop: no `nacre up` has run on the Ray at {config.ray}")
    system.stop()


def _check_not_running() -> None:
    running = find_running()
    if running is not None:
        raise ConflictError(
            f"nacre is running already (process {running.pid}, {running.endpoint}); stop it with "
            "`nacre down`, or set NACRE_HOME to another folder",
            pid=running.pid,
        )


def _run(config: Config) -> None:
    from cluster.system.system import running_system, waits_for

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    home().mkdir(parents=True, exist_ok=True)
    marker = home() / RUNNING
    stdout().print(f"starting; store {config.store}")
    with running_system(config):
        running = Running(
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            endpoint=config.endpoint,
            store=config.store,
            waits_for=waits_for(),
        )
        marker.write_text(json.dumps(asdict(running)))
        try:
            stdout().print(f"ready at {config.endpoint}; stop with Ctrl-C or `nacre down`")
            _print_waiting(running.waits_for)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
        finally:
            marker.unlink(missing_ok=True)
            stdout().print("stopping")


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


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End whatever goes on, the start included, in the way that a person's Ctrl-C does."""
    del number, frame
    raise KeyboardInterrupt


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
