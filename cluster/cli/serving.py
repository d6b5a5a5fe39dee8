"""Commands that start, stop and ask the system: up, down, predict."""

import json
import os
import signal
import threading
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
import psutil

from adapters.errors import ConflictError, NotFoundError
from cluster.cli.clients import client_of, here_alone
from cluster.cli.running import (
    STOPPED_AGAIN,
    Running,
    failures_noted,
    find_running,
    log_path,
    print_started,
    start_detached,
    started_here,
    stop_running,
)
from cluster.cli.terminal.completion import ANSWERED, SERVABLE
from cluster.cli.terminal.interrupts import INTERRUPTED, Interrupted, interruptible
from cluster.cli.terminal.options import adapter_option
from cluster.cli.terminal.output import (
    output_option,
    print_json,
    progress_bar,
    say,
    stdout,
    waiting,
    warn,
)
from cluster.cli.terminal.tables import print_table
from cluster.client.client import Client
from cluster.client.joined import configured
from cluster.config import LOCAL, Config, config_file, home, told_variables
from cluster.ready import RUNNING
from cluster.wire.outputs.system import AppliedConfig, StartedSystem, StoppedSystem

GOES_ON = "everything is stopped; submissions stay in the store and go on with `nacre up`"

if TYPE_CHECKING:
    from cluster.system.running import Applied

address_option = click.option(
    "--address",
    help="`auto` or HOST:PORT of a running Ray.  [default: `ray:` of the configuration]",
)


@click.command(short_help="Start the workers and the HTTP API.")
@click.option("--detach", is_flag=True, help="Return when everything answers; stop with `down`.")
@address_option
@output_option
@click.pass_obj
def up(path: Path | None, address: str | None, output: str, *, detach: bool) -> None:
    """Start the workers and the HTTP API, here or on a cluster.

    Without --address the command starts a Ray on this machine.

    With --address the system runs on that Ray and stays when the command returns. A further `up`
    changes the running system where it can. Where a key needs a restart, it names the key and
    exits with 3. `ray job submit` works only on a Ray that you started yourself; a Ray of `up`
    without --address takes no jobs.

    \b
    Examples:
      nacre up                       until Ctrl-C
      nacre up --detach              in the background; `nacre down` stops it
      nacre up --address auto        on the Ray that `ray start --head` has started here
    """
    config = with_address(here_alone(configured(path)), address)
    if config.ray != LOCAL:
        _start_on_running(config, output)
        return
    if (running := find_running()) is not None:
        _change(running, config, config_file(path), output)
    elif detach:
        running = start_detached(path)
        started = started_here(
            running, notes=_notes(config), console=config.console_url, log=log_path()
        )
        print_started(started, output, stop="`nacre down`")
    else:
        _run(config, config_file(path), output)


@click.command(short_help="Stop what `nacre up` started.")
@address_option
@output_option
@click.pass_obj
def down(path: Path | None, address: str | None, output: str) -> None:
    """Stop what `nacre up` started. Everything that was acknowledged stays.

    The command returns when all processes have ended. It leaves a system alone that was started
    with another configuration than the one named, or the one in the working folder. The exit code
    is 2 where nothing runs, 3 where another system runs.

    \b
    Examples:
      nacre down
      nacre down --address auto      on a Ray that somebody else started
      NACRE_HOME=.nacre-demo nacre down
    """
    own, file = here_alone(configured(path)), config_file(path)
    running = find_running()
    if address is None and running is not None and file is None:
        stop_running()
        _print_stopped(output, endpoint=running.endpoint, store=running.store, ray=LOCAL)
        return
    config = with_address(own, address)
    if config.ray == LOCAL:
        _stop_at_home(running, config, file)
    else:
        _stop_on_running(config)
    _print_stopped(output, endpoint=config.endpoint, store=config.store, ray=config.ray)


@click.command(short_help="Ask what images show.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@adapter_option
@click.option("--top-k", default=5, show_default=True, help="Most classes per image.")
@click.option(
    "--version",
    help="Pin a version by number or alias.  [default: production]",
    shell_complete=SERVABLE,
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    help="Only classes of this task; may be repeated.",
    shell_complete=ANSWERED,
)
@click.option("--label", "labels", multiple=True, help="A further candidate; may be repeated.")
@click.option(
    "--reject",
    type=float,
    metavar="RATE",
    help="Say which images are of none of the classes, at this rate of false alarms: 0.05 takes "
    "about one of twenty images of learnt classes for unknown.  [default: not asked]",
)
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
      nacre predict photo.jpg --reject 0.05

    Of more than 64 images the first are answered by the version that is asked for, and all others
    by the same one, whatever is published meanwhile.
    """
    from cluster.client.remote.image_parts import predicted

    client = client_of(path)
    with progress_bar("asking about images") as report:
        options |= {"tasks": tasks, "candidate_labels": labels, "on_progress": report}
        answer = predicted(client.predict, images, **options)
    if output == "json":
        print_json(answer.model_dump(exclude_unset=True))
        return
    rejects = options["reject"] is not None
    rows = [
        (
            image if rank == 0 else "",
            entry.label,
            entry.task or "",
            f"{entry.score:.3f}",
            *((_said_unknown(result.unknown) if rank == 0 else "",) if rejects else ()),
        )
        for image, result in zip(images, answer.results, strict=True)
        for rank, entry in enumerate(result.predictions)
    ]
    columns = ("image", "label", "task", "score", *(("none of these",) if rejects else ()))
    print_table(columns, rows, empty="no predictions", prose=("label",))
    if rejects and any(result.unknown is None for result in answer.results):
        stdout().print(NOT_MEASURED)
    stdout().print(f"answered by {answer.version}")


NOT_MEASURED = (
    "not measured: the task of that answer has too few images for this rate, or was learnt by an "
    "earlier release (submit it again, with `replaces: ` and its name in the task file)"
)


def _said_unknown(unknown: bool | None) -> str:
    return {True: "yes", False: "", None: "not measured"}[unknown]


VERBS = (up, down, predict)


def with_address(config: Config, address: str | None) -> Config:
    """Return `config` with another Ray, where one is given."""
    return replace(config, ray=address) if address else config


def _start_on_running(config: Config, output: str) -> None:
    from cluster.system import system
    from cluster.system.running import check_listens_there

    system.check(config)
    with waiting(f"starting on the Ray at {config.ray}"):
        system.connect(config)
        check_listens_there(config)
        system.start(config)
    started = StartedSystem(
        endpoint=config.endpoint,
        store=config.store,
        ray=config.ray,
        pid=None,
        log=None,
        waits_for=system.waits_for(),
        console=config.console_url,
        notes=_notes(config),
    )
    print_started(started, output, stop=f"`nacre down --address {config.ray}`")


def _stop_on_running(config: Config) -> None:
    from cluster.system import system

    system.connect(config)
    if not system.is_declared():
        raise NotFoundError(f"nothing to stop: no `nacre up` has run on the Ray at {config.ray}")
    system.stop()


def _stop_at_home(running: Running | None, config: Config, file: Path | None) -> None:
    if running is None:
        raise NotFoundError(f"nothing to stop: no `nacre up` is running for {home()}")
    if not running.was_started_with(config, file):
        named = f"--config {running.config}" if running.config else "no configuration file"
        raise ConflictError(
            f"another system runs for {home()} ({running.described}): expected that of {file}, "
            f"store {config.store}; stop it with `nacre down` and {named}, or set NACRE_HOME to "
            "the folder of the one that you mean",
            pid=running.pid,
        )
    if not stop_running():
        raise NotFoundError(f"nothing to stop: it has ended meanwhile, for {home()}")


def _change(running: Running, config: Config, file: Path | None, output: str) -> None:
    """Change the configuration of the system of this home folder as far as that can be done.

    Raises:
        ConflictError: it is the same, or not all of it can be changed while it runs.
    """
    applied = _applied(running, config, file)
    notes = [] if applied is None else _notes(config)
    warn(*notes)
    if applied is None or not (applied.live or applied.restart):
        same = "" if applied is None else ", with this configuration"
        raise ConflictError(
            f"nacre is running already{same} ({running.described}); stop it with `nacre down`, or "
            "set NACRE_HOME to another folder",
            pid=running.pid,
        )
    if output == "json":
        print_json(
            AppliedConfig(
                applied=list(applied.live), needs_restart=list(applied.restart), notes=notes
            )
        )
    elif applied.live:
        say(f"applied to the running system: {', '.join(applied.live)}")
    if applied.restart:
        raise ConflictError(
            f"not changed while it runs: {', '.join(applied.restart)} ({running.described}); "
            "`nacre down`, then `nacre up`: work under way goes on after that",
            pid=running.pid,
            keys=applied.restart,
        )


def _applied(running: Running, config: Config, file: Path | None) -> "Applied | None":
    """Return what of `config` was applied; None where it is not that of the running system."""
    if running.ray is None or not running.was_started_with(config, file):
        return None
    # A Ray that is named by its address never asks for the token by itself, and reads this once.
    os.environ.setdefault("RAY_AUTH_MODE", running.auth)
    from cluster.system.running import apply, join
    from cluster.system.system import check

    check(config)
    with progress_bar("applying"):
        join(running.ray)
        return apply(config)


def _notes(config: Config) -> list[str]:
    """Return what whoever starts or changes a system should know: of its store, of variables."""
    return [*Client(config).contradicted(), *told_variables()]


def _print_stopped(output: str, *, endpoint: str, store: str, ray: str) -> None:
    if output == "json":
        print_json(StoppedSystem(endpoint=endpoint, store=store, ray=ray))
    else:
        say("stopped")


def _run(config: Config, file: Path | None, output: str) -> None:
    from cluster.system.ray_retry import started_again
    from cluster.system.running import address_of_ray
    from cluster.system.system import running_system, waits_for

    _end_on_signals()
    home().mkdir(parents=True, exist_ok=True)
    marker = home() / RUNNING
    if output == "text":
        say(f"starting; store {config.store}")
    ended: KeyboardInterrupt | None = None
    try:
        with (
            interruptible(STOPPED_AGAIN),
            failures_noted(),
            started_again(),
            running_system(config),
        ):
            _end_on_signals()  # Ray has put its own handlers before ours, which print a trace
            running = Running(
                pid=os.getpid(),
                started=psutil.Process().create_time(),
                endpoint=config.endpoint,
                store=config.store,
                waits_for=waits_for(),
                config=str(file.absolute()) if file else None,
                ray=address_of_ray(),
                auth=os.environ.get("RAY_AUTH_MODE", "token"),
            )
            marker.write_text(json.dumps(asdict(running)))
            try:
                started = started_here(running, notes=_notes(config), console=config.console_url)
                print_started(started, output, stop="Ctrl-C or `nacre down`")
                threading.Event().wait()
            except KeyboardInterrupt as interrupt:
                ended = interrupt
            if output == "text":
                say("stopping")
    finally:
        marker.unlink(missing_ok=True)  # last: until then there is something to wait for
    if not isinstance(ended, _AskedToEnd):
        raise Interrupted(f"{INTERRUPTED}: {GOES_ON}")


class _AskedToEnd(KeyboardInterrupt):
    """`nacre down`, or whoever runs this process, ends it."""


def _end_on_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End whatever goes on, the start included, in the way that a person's Ctrl-C does.

    Whoever asks for it again meanwhile, as a second `nacre down` does, waits for the same end.
    """
    del frame
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _AskedToEnd if number == signal.SIGTERM else KeyboardInterrupt
