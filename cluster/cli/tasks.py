"""Commands for submissions: submit, status."""

import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.contract.counts import agreeing, counted
from adapters.errors import NacreError, RejectedError, UnavailableError
from cluster.cli.known import check_known
from cluster.cli.options import by_option
from cluster.cli.progress import clock, goes_on, watched, why_ended
from cluster.cli.terminal.completion import ADAPTERS, TASKS
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.output import (
    output_option,
    print_json,
    progress_bar,
    say,
    stderr,
    stdout,
    warn,
)
from cluster.cli.terminal.tables import print_table
from cluster.cli.trouble import Service, all_wrong, asked, is_coordinated, running_here, wrong_of
from cluster.client.client import Client
from cluster.client.joined import configured
from cluster.config import Config
from cluster.running_config import RunningConfig
from cluster.wire.facts import entry_document, lead_document, state_document
from cluster.wire.outputs.submissions import AdapterBehind, ComparedConfig
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.progress import QueueState, State
from workers.queue.ticket import ENDED, Stage, Ticket
from workers.registry.documents.layout import PRODUCTION

if TYPE_CHECKING:
    from workers.intake.intake import Intake

MOST_SHOWN = 60
NOT_SUBMITTED = "submit the same again; what had been accepted is found, and goes on"


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

    def meanwhile() -> str:
        tasks = [intake.submission.task for intake in intakes]
        return goes_on(tasks) if len(tasks) == len(files) else NOT_SUBMITTED

    try:
        with interruptible(meanwhile):
            for file in files:
                with progress_bar(f"reading {file}") as report:
                    intakes.append(client.submit(file, adapter=adapter, by=by, on_progress=report))
                if output == "text":
                    _print_intake(intakes[-1])
                warn(*intakes[-1].warnings)
            if wait:
                found = [client.state(intake.submission) for intake in intakes]
                states = watched(client, found)
    finally:
        # What was accepted before an error or an interrupt is durable, and is told.
        if output == "json" and intakes:
            compared = _compared(client.config, client.running_config())
            print_json([_submitted(client, intake, compared) for intake in intakes])
    if output == "text":
        _print_published(states)
    _check_published([state.ticket for state in states])


@click.command(short_help="Show submissions, and what is wrong.")
@click.argument("names", nargs=-1, shell_complete=TASKS)
@click.option("--adapter", help="Only the submissions of this adapter.", shell_complete=ADAPTERS)
@click.option("--all", "everything", is_flag=True, help="However many there are.")
@output_option
@click.pass_obj
def status(
    path: Path | None,
    names: tuple[str, ...],
    adapter: str | None,
    output: str,
    *,
    everything: bool,
) -> None:
    """Show where every submission is, and what is wrong.

    Those that are open are shown, and those that ended within a day; with NAMES, ids or names of
    tasks, those alone.

    Where there are very many, the first open ones are shown, and how many there are. Then one line
    says that all is well, or a line for each trouble says what it is, for how long it has lasted,
    and how often it was tried. Exits 0 where all is well or nothing runs, 4 where something is
    wrong.


    \b
    Examples:
      nacre status
      nacre status fashion
      nacre status --adapter main --output json
    """
    config = configured(path)
    try:
        client = Client(config)
        check_known(client, adapter)
        queue, refusals = client.queue(), client.refusals()
        named = [client.find(name) for name in names]
    except UnavailableError:
        _print_service_alone(config)
        raise
    states = [state for state in named or queue.states if adapter in (None, state.ticket.adapter)]
    running = running_here(config)
    asks = running is not None or is_coordinated(queue, now=time.time())
    service = asked(config) if asks else None
    wrong = all_wrong(queue, refusals, service, running=running)
    running_config = RunningConfig.of(queue.lead, now=time.time())
    adapters = {adapter or config.adapter, *(state.ticket.adapter for state in states)}
    behind = [found for name in sorted(adapters) if (found := _behind(client, name)) is not None]
    if output == "json":
        print_json(
            {
                "coordinated": is_coordinated(queue, now=time.time()),
                "coordinator": lead_document(queue.lead),
                "configuration": _compared(config, running_config),
                "paused": list(queue.lead.paused) if queue.lead else [],
                "unread_requests": queue.unread,
                "refusals": [entry_document(entry) for entry in refusals],
                "submissions": [state_document(state) for state in states],
                "behind": behind,
                "service": _service_as_json(service),
                "troubles": [asdict(entry) for entry in wrong],
            }
        )
    else:
        _print_states(states if everything else _most_telling(states), states)
        stdout().print(_standing(queue, service, well=not wrong), markup=False)
        for entry in behind:
            say(_said_behind(entry))
        for trouble in wrong:
            stdout().print(str(trouble), markup=False)
        warn(running_config.unlike(config) if running_config else None)
    if wrong:
        told = counted(len(wrong), "trouble")
        raise UnavailableError(f"not all is well: {told}, the first with {wrong[0].what}")


def _said_behind(found: AdapterBehind) -> str:
    return (
        f"production of {found.adapter} is version {found.production}, the newest is "
        f"{found.newest}: `nacre history --adapter {found.adapter}` says why, `nacre promote "
        f"{found.newest} --adapter {found.adapter}` serves it"
    )


def _behind(client: Client, adapter: str) -> AdapterBehind | None:
    """Return how far production is behind the newest version; None where it is not."""
    with suppress(NacreError):  # what is wrong with the registry is told by other verbs
        production, newest = client.aliases(adapter).get(PRODUCTION), client.newest(adapter)
        if production is not None and production < newest:
            return AdapterBehind(adapter=adapter, production=production, newest=newest)
    return None


def _print_states(shown: list[State], states: list[State]) -> None:
    columns = (
        *("submission", "adapter", "stage", "progress", "rate", "left"),
        *("version", "attempts", "last error"),
    )
    rows = [_row(state) for state in shown]
    empty = "no submissions; add one with `nacre submit task.yaml`"
    print_table(columns, rows, empty=empty, prose=("last error",))
    if len(shown) < len(states):
        counts = Counter(state.ticket.stage.value for state in states)
        told = ", ".join(f"{count:,} {stage}" for stage, count in counts.items())
        stdout().print(f"{len(states) - len(shown):,} more (in all: {told}); --all shows them")


def _standing(queue: QueueState, service: Service | None, *, well: bool) -> str:
    """Return who coordinates and who answers, in one line, and that all is well where it is."""
    said = _coordination(queue)
    if service is None:
        return said
    if service.status is None:
        return f"{said}; the API was not asked: {service.error.message if service.error else ''}"
    answers = [str(state.version) for state in service.status.adapters.values() if state.version]
    said += f"; answered by {', '.join(answers) or 'nothing yet'}"
    return f"all is well: {said}" if well else said


def _print_service_alone(config: Config) -> None:
    """Say what the system of this home folder knows, where the store cannot be asked."""
    if running_here(config) is not None and (status := asked(config).status) is not None:
        for entry in wrong_of(status):
            stderr().print(str(entry), markup=False)


def _service_as_json(service: Service | None) -> dict[str, object] | None:
    if service is None or service.status is None:
        error = service.error if service else None
        return {"error": error.message} if error else None
    return dict(service.status.model_dump())


VERBS = (submit, status)


def _most_telling(states: list[State]) -> list[State]:
    """Return all states, or where there are too many the first open ones, in their order."""
    if len(states) <= MOST_SHOWN:
        return states
    open_ones = [state for state in states if state.ticket.stage not in ENDED]
    chosen = (open_ones or states[::-1])[:MOST_SHOWN]
    return sorted(chosen, key=lambda state: state.ticket.accepted_at)


def _row(state: State) -> tuple[object, ...]:
    ticket, progress = state.ticket, state.progress
    left = progress.left_s if progress else None
    rate = progress.rate if progress else None
    return (
        ticket.submission_id,
        ticket.adapter,
        ticket.stage.value,
        f"{state.done}/{state.total}" if state.total else "",
        f"{rate:.1f}/s" if rate else "",
        f"{left:.0f} s" if left is not None else "",
        ticket.version,
        ticket.attempts or "",
        why_ended(ticket),
    )


def _waiting(requests: int) -> str:
    return "1 request waits" if requests == 1 else f"{requests} requests wait"


def _coordination(queue: QueueState) -> str:
    lead = queue.lead
    if lead is None or not lead.lasts(now=time.time()):
        waiting = f", {_waiting(queue.unread)}" if queue.unread else ""
        return f"nobody coordinates{waiting}: start the system with `nacre up`"
    paused = ", ".join("everything" if name == EVERY_ADAPTER else name for name in lead.paused)
    said = f"coordinated from {lead.host} since {clock(lead.since)}"
    return f"{said}; paused: {paused}" if paused else said


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


def _compared(config: Config, running: RunningConfig | None) -> ComparedConfig | None:
    """Return the digest of what the running system was configured with, and what differs here."""
    if running is None:
        return None
    return ComparedConfig(digest=running.digest, differs=list(running.differing(config)))


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
    raise kind(
        f"{len(broken)} of {counted(len(tickets), 'task')} {agreeing(len(broken), 'was')} not "
        f"published; {first.submission_id} is {first.stage.value}: {why_ended(first)}",
        submission=first.submission_id,
    )


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
