"""Commands for submissions: submit, status, watch, logs, cancel, retry, pause, resume."""

import time
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.errors import NacreError, UnavailableError
from cluster.cli.facts import counted, entry_json
from cluster.cli.options import by_option
from cluster.cli.output import (
    bars,
    output_option,
    print_json,
    print_table,
    progress_bar,
    stderr,
    stdout,
)
from cluster.cli.trouble import Service, all_wrong, asked, is_coordinated, running_here, wrong_of
from cluster.client.client import Client
from cluster.client.joined import configured
from cluster.config import Config
from workers.queue.leadership import Leadership
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.progress import QueueState, State
from workers.queue.ticket import ENDED, Stage, Ticket

if TYPE_CHECKING:
    from workers.intake.intake import Intake
    from workers.tasks.submission import Submission

POLL_S = 0.5
MOST_SHOWN = 60


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--adapter", help="The adapter to grow.  [default: the task file's]")
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
      ray job submit --working-dir . -- nacre submit task.yaml
    """
    client = Client(configured(path))
    submissions: list[Submission] = []
    said: list[dict[str, object]] = []
    for file in files:
        with progress_bar(f"reading {file}") as report:
            intake = client.submit(file, adapter=adapter, by=by, on_progress=report)
        submissions.append(intake.submission)
        said.append({"is_new": intake.is_new, "notes": intake.notes(), "sources": intake.sources()})
        if output == "text":
            _print_intake(intake)
    states = [_followed(client, entry.submission_id) for entry in submissions] if wait else []
    if output == "json":
        print_json(
            [
                {**client.state(entry).to_json(), **more}
                for entry, more in zip(submissions, said, strict=True)
            ]
        )
    else:
        _print_published(states)
    broken = [state.ticket for state in states if state.ticket.stage is not Stage.PUBLISHED]
    if broken:
        first = broken[0]
        raise NacreError(
            f"{len(broken)} of {len(states)} tasks were not published; {first.submission_id} is "
            f"{first.stage.value}: {_why(first)}",
            submission=first.submission_id,
        )


@click.command()
@click.option("--adapter", help="Only the submissions of this adapter.")
@click.option("--all", "everything", is_flag=True, help="However many there are.")
@output_option
@click.pass_obj
def status(path: Path | None, adapter: str | None, output: str, *, everything: bool) -> None:
    """Show where every submission is, and what is wrong.

    Those that are open are shown, and those that ended within a day.

    Where there are very many, the first open ones are shown, and how many there are. Then one line
    says that all is well, or a line for each trouble says what it is, for how long it has lasted,
    and how often it was tried. Exits 0 where all is well or nothing runs, 4 where something is
    wrong.

    \b
    Examples:
      nacre status
      nacre status --adapter main --output json
    """
    config = configured(path)
    try:
        client = Client(config)
        queue, refusals = client.queue(), client.refusals()
    except UnavailableError:
        _print_service_alone(config)
        raise
    states = [state for state in queue.states if adapter in (None, state.ticket.adapter)]
    running = running_here(config)
    asks = running is not None or is_coordinated(queue, now=time.time())
    service = asked(config) if asks else None
    wrong = all_wrong(queue, refusals, service, running=running)
    if output == "json":
        print_json(
            {
                "coordinator": _lead_as_json(queue.lead),
                "paused": list(queue.lead.paused) if queue.lead else [],
                "unread_requests": queue.unread,
                "refusals": [entry_json(entry) for entry in refusals],
                "submissions": [state.to_json() for state in states],
                "service": _service_as_json(service),
                "troubles": [asdict(entry) for entry in wrong],
            }
        )
    else:
        _print_states(states if everything else _most_telling(states), states)
        stdout().print(_standing(queue, service, well=not wrong), markup=False)
        for entry in wrong:
            stdout().print(str(entry), markup=False)
    if wrong:
        told = counted(len(wrong), "trouble")
        raise UnavailableError(f"not all is well: {told}, the first with {wrong[0].what}")


def _print_states(shown: list[State], states: list[State]) -> None:
    columns = (
        *("submission", "adapter", "stage", "progress", "rate", "left"),
        *("version", "attempts", "last error"),
    )
    rows = [_row(state) for state in shown]
    print_table(columns, rows, empty="no submissions; add one with `nacre submit task.yaml`")
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


@click.command()
@click.argument("names", nargs=-1)
@click.pass_obj
def watch(path: Path | None, names: tuple[str, ...]) -> None:
    """Follow submissions until they have ended.

    NAMES are ids of submissions or names of tasks; without any all are followed.

    \b
    Examples:
      nacre watch
      nacre watch fashion digits
    """
    client = Client(configured(path))
    if names:
        chosen = [client.find(name).ticket.submission_id for name in names]
    else:
        states = client.queue().states
        chosen = [s.ticket.submission_id for s in states if s.ticket.stage not in ENDED]
    if not chosen:
        stdout().print("nothing is open")
        return
    for state in _watched(client, chosen):
        ticket = state.ticket
        number = f" as {ticket.adapter}@{ticket.version}" if ticket.version else ""
        why = f": {_why(ticket)}" if ticket.stage is not Stage.PUBLISHED else ""
        stdout().print(f"{ticket.submission_id}: {ticket.stage.value}{number}{why}", markup=False)


@click.command()
@click.argument("name")
@click.option("--follow", is_flag=True, help="Go on until the submission has ended.")
@output_option
@click.pass_obj
def logs(path: Path | None, name: str, output: str, *, follow: bool) -> None:
    """Show what has happened to a submission.

    NAME is its id, or the name of its task.

    \b
    Examples:
      nacre logs fashion
      nacre logs fashion-0123456789ab --follow
    """
    client = Client(configured(path))
    ticket = client.find(name).ticket
    if output == "text":
        stdout().print(f"{_clock(ticket.accepted_at)}  {ticket.submission_id} accepted")
    seen = 0.0
    entries = []
    while True:
        ended = client.state(ticket.submission_id).ticket.stage in ENDED
        for entry in client.journal(ticket.submission_id, after=seen):
            seen = entry.at
            entries.append(entry)
            if output == "text":
                took = "" if entry.took_s is None else f"  ({entry.took_s:.1f} s)"
                line = f"{_clock(entry.at)}  {entry.stage:<11} {entry.message}{took}"
                stdout().print(line, markup=False)
        if ended or not follow:
            break
        time.sleep(POLL_S)
    if output == "json":
        print_json([asdict(entry) for entry in entries])


@click.command()
@click.argument("names", nargs=-1, required=True)
@by_option
@click.pass_obj
def cancel(path: Path | None, names: tuple[str, ...], by: str | None) -> None:
    """Take submissions back. What is published stays.

    NAMES are ids of submissions or names of tasks.

    \b
    Examples:
      nacre cancel fashion
    """
    client = Client(configured(path))
    for name in names:
        _print_wish(client.cancel(name, by=by), "cancelled", reached=(Stage.CANCELLED,))


@click.command()
@click.argument("names", nargs=-1, required=True)
@by_option
@click.pass_obj
def retry(path: Path | None, names: tuple[str, ...], by: str | None) -> None:
    """Try submissions again.

    Those that failed, were rejected or were cancelled begin anew; those that wait for their next
    attempt begin it now. NAMES are ids of submissions or names of tasks.

    \b
    Examples:
      nacre retry fashion
    """
    client = Client(configured(path))
    for name in names:
        open_stages = tuple(stage for stage in Stage if stage not in ENDED)
        _print_wish(client.retry(name, by=by), "tried again", reached=open_stages)


@click.command()
@click.argument("adapter", default=EVERY_ADAPTER)
@by_option
@click.pass_obj
def pause(path: Path | None, adapter: str, by: str | None) -> None:
    """Begin nothing new. What is under way goes on.

    Of ADAPTER alone, where it is named.

    \b
    Examples:
      nacre pause
      nacre pause medical
    """
    done = Client(configured(path)).pause(adapter, by=by)
    stdout().print(_noted("paused", adapter, done=done))


@click.command()
@click.argument("adapter", default=EVERY_ADAPTER)
@by_option
@click.pass_obj
def resume(path: Path | None, adapter: str, by: str | None) -> None:
    """Go on after `nacre pause`.

    With ADAPTER alone, where it is named.

    \b
    Examples:
      nacre resume
      nacre resume medical
    """
    done = Client(configured(path)).resume(adapter, by=by)
    stdout().print(_noted("resumed", adapter, done=done))


VERBS = (submit, status, watch, logs, cancel, retry, pause, resume)


def _followed(client: Client, submission_id: str) -> State:
    """Show a bar until a submission has ended, and return its last state."""
    return next(iter(_watched(client, [submission_id])))


def _watched(client: Client, names: list[str]) -> list[State]:
    """Show a bar for each submission until all have ended, and return their last states."""
    ended: dict[str, State] = {}
    with bars() as progress:
        tasks = {name: progress.add_task(name, total=None) for name in names}
        while len(ended) < len(names):
            for name, bar in tasks.items():
                if name in ended:
                    continue
                state = client.state(name)
                progress.update(
                    bar,
                    description=f"{state.ticket.task}: {state.ticket.stage.value}",
                    completed=state.done,
                    total=state.total or None,
                )
                if state.ticket.stage in ENDED:
                    ended[name] = state
            if len(ended) < len(names):
                time.sleep(POLL_S)
    return [ended[name] for name in names]


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
        _why(ticket),
    )


def _why(ticket: Ticket) -> str:
    return ticket.note or ("" if ticket.stage is Stage.PUBLISHED else ticket.error or "")


def _coordination(queue: QueueState) -> str:
    lead = queue.lead
    if lead is None or not lead.lasts(now=time.time()):
        waiting = f", {queue.unread} requests wait" if queue.unread else ""
        return f"nobody coordinates{waiting}: start the system with `nacre up`"
    paused = ", ".join("everything" if name == EVERY_ADAPTER else name for name in lead.paused)
    said = f"coordinated from {lead.host} since {_clock(lead.since)}"
    return f"{said}; paused: {paused}" if paused else said


def _lead_as_json(lead: Leadership | None) -> dict[str, object] | None:
    if lead is None:
        return None
    return {
        "host": lead.host,
        "epoch": lead.epoch,
        "since": lead.since,
        "alive": lead.lasts(now=time.time()),
    }


def _print_wish(state: State, word: str, *, reached: tuple[Stage, ...]) -> None:
    ticket = state.ticket
    if ticket.stage in reached:
        stdout().print(f"{word}: {ticket.submission_id}")
    else:
        note = f" ({ticket.note})" if ticket.note else ""
        stdout().print(
            f"asked for: {ticket.submission_id} is {ticket.stage.value}{note}; see `nacre status`"
        )


def _noted(word: str, adapter: str, *, done: bool) -> str:
    what = "everything" if adapter == EVERY_ADAPTER else f"adapter {adapter}"
    return f"{word}: {what}" if done else f"asked for: {what}; nobody coordinates right now"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")[:19]


def _print_published(states: list[State]) -> None:
    for ticket in (state.ticket for state in states):
        if ticket.version is not None:
            stdout().print(f"{ticket.task}: published as {ticket.adapter}@{ticket.version}")


def _print_intake(intake: "Intake") -> None:
    submission, images = intake.submission, intake.images
    word = "accepted" if intake.is_new else "submitted before"
    stdout().print(
        f"{word}: {submission.submission_id} ({len(submission.classes)} classes, "
        f"{images['train']} training images, {images['held_out']} test images)"
    )
    for note in intake.notes():
        stdout().print(f"  {note}", markup=False)
