"""Submission of tasks on the command line: `submit`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.contract.counts import agreeing, counted
from adapters.errors import InputError, NacreError, RejectedError
from cluster.cli.options import by_option
from cluster.cli.progress import goes_on, watched, why_ended
from cluster.cli.terminal.completion import ADAPTERS
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.output import (
    output_option,
    print_json,
    progress_bar,
    say,
    stdout,
    warn,
)
from cluster.client.client import Client
from cluster.client.joined import configured
from cluster.wire.outputs.submissions import ComparedConfig
from workers.formats.problems import raise_all
from workers.queue.progress import State
from workers.queue.ticket import Stage, Ticket

if TYPE_CHECKING:
    from workers.intake.intake import Intake
    from workers.tasks.task import Task

HOW_ENDED = {
    Stage.CANCELLED: "was cancelled",
    Stage.FAILED: "has failed",
    Stage.REJECTED: "was rejected by the gate",
}
AGAIN = "submit the same again; what had been accepted is found, and goes on"


@click.command(short_help="Submit tasks to be learnt.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--adapter",
    help="The adapter to grow.  [default: the task file's]",
    shell_complete=ADAPTERS,
)
@click.option("--wait", is_flag=True, help="Return when every task has been published.")
@by_option
@output_option
@click.pass_obj
def submit(
    path: Path | None,
    files: tuple[Path, ...],
    adapter: str | None,
    by: str | None,
    output: str,
    *,
    wait: bool,
) -> None:
    """Submit the tasks that FILES describe.

    Each is durable when this returns.

    All files are read before the first task is submitted. Where a later task is refused for its
    images, the tasks before it stay submitted, and those behind it are not.

    Submitting the same again finds the same submission. Nothing needs to be running.

    \b
    Examples:
      nacre submit task.yaml
      nacre submit fashion/task.yaml digits/task.yaml --wait
      ray job submit --working-dir . -- nacre submit task.yaml     beside `up --address auto`
    """
    client = Client(configured(path))
    intakes: list[Intake] = []
    states: list[State] = []
    told: set[str] = set()  # what holds for all of them is said once

    def meanwhile() -> str:
        tasks = [intake.submission.task for intake in intakes]
        return goes_on(tasks) if len(tasks) == len(files) else AGAIN

    try:
        with interruptible(meanwhile):
            tasks = _read(files, client, adapter)
            for file, task in zip(files, tasks, strict=True):
                with progress_bar(f"reading {file}") as report, _told(intakes, files):
                    intakes.append(client.submit(task, adapter=adapter, by=by, on_progress=report))
                if output == "text":
                    _print_intake(intakes[-1])
                warn(*(each for each in intakes[-1].warnings if each not in told))
                told.update(intakes[-1].warnings)
            if wait:
                found = [client.state(intake.submission) for intake in intakes]
                states = watched(client, found)
    finally:
        # What was accepted before an error or an interrupt is durable, and is told.
        if output == "json" and intakes:
            running = client.running_config()
            compared = running.compared_with(client.config) if running else None
            print_json([_submitted(client, intake, compared) for intake in intakes])
    if output == "text":
        _print_published(states)
    _check_published([state.ticket for state in states])


def _read(files: tuple[Path, ...], client: Client, adapter: str | None) -> list["Task"]:
    """Return the tasks that files describe; one error about all of them where some are wrong."""
    from cluster.client.tasks import load_task

    tasks: list[Task] = []
    wrong: list[InputError] = []
    for file in files:
        try:
            tasks.append(load_task(file, client.config, adapter=adapter))
        except InputError as error:
            wrong.append(error)
    if wrong and len(files) > 1:
        warn("nothing was submitted")
    raise_all(wrong)
    return tasks


@contextmanager
def _told(intakes: list["Intake"], files: tuple[Path, ...]) -> Iterator[None]:
    """Say with an error what becomes of several files, of which those of `intakes` are accepted."""
    try:
        yield
    except NacreError:
        if len(files) > 1:
            warn(_what_stays([intake.submission.task for intake in intakes], files))
        raise


def _what_stays(accepted: list[str], files: tuple[Path, ...]) -> str:
    if not accepted:
        return "nothing was submitted"
    names, missing = " ".join(accepted), " ".join(map(str, files[len(accepted) :]))
    return (
        f"{names} {agreeing(len(accepted), 'stays')} submitted (`nacre cancel {names}` takes that "
        f"back); not submitted: {missing}. Mend what is wrong, then {AGAIN}"
    )


def _submitted(
    client: Client, intake: "Intake", compared: ComparedConfig | None
) -> dict[str, object]:
    return {
        **client.state(intake.submission).to_json(),
        "is_new": intake.is_new,
        "classes": len(intake.submission.classes),
        "images_by_split": dict(intake.images),
        "notes": intake.notes(),
        "sources": intake.sources(),
        "configuration": compared,
    }


def _print_intake(intake: "Intake") -> None:
    submission, images = intake.submission, intake.images
    word = "accepted" if intake.is_new else "submitted before"
    stdout().print(
        f"{word}: {submission.submission_id} ({counted(len(submission.classes), 'class')}, "
        f"{counted(images['train'], 'training image')}, "
        f"{counted(images['held_out'], 'test image')})"
    )
    for note in intake.notes()[: -len(intake.warnings) or None]:
        stdout().print(f"  {note}", markup=False)


def _print_published(states: list[State]) -> None:
    for ticket in (state.ticket for state in states):
        version, note = f"{ticket.adapter}@{ticket.version}", ticket.note and f"; {ticket.note}"
        if ticket.stage is Stage.PUBLISHED:
            say(f"{ticket.task}: published as {version}{note or ''}")
        elif ticket.stage is Stage.REJECTED:
            say(f"{ticket.task}: rejected, kept as {version}")


def _check_published(tickets: list[Ticket]) -> None:
    """Raise an error unless all of the tasks were published; another one where the gate said no.

    Raises:
        RejectedError: all that was not published was rejected.
        NacreError: something failed, or was cancelled.
    """
    broken = [ticket for ticket in tickets if ticket.stage is not Stage.PUBLISHED]
    if not broken:
        return
    failed = [ticket for ticket in broken if ticket.stage is not Stage.REJECTED]
    first, kind = (failed[0], NacreError) if failed else (broken[0], RejectedError)
    why = why_ended(first)
    told = f"{first.submission_id} {HOW_ENDED[first.stage]}{f': {why}' if why else ''}"
    if len(tickets) > 1:
        count = f"{len(broken)} of {counted(len(tickets), 'task')}"
        told = f"{count} {agreeing(len(broken), 'was')} not published; {told}"
    raise kind(told, submission=first.submission_id)


VERBS = (submit,)
