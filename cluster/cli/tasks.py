"""Verbs about tasks on their way: submit, status."""

from dataclasses import asdict
from pathlib import Path

import click

from adapters.errors import NacreError
from cluster.cli.output import bars, output_option, print_json, print_table, progress_bar, stdout
from cluster.client import Client
from cluster.config import load_config
from workers.progress import State
from workers.queue import Stage
from workers.submission import Submission


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--adapter", help="The adapter to grow.  [default: the task file's]")
@click.option("--wait", is_flag=True, help="Return when every task has been published.")
@output_option
@click.pass_obj
def submit(
    path: Path | None, files: tuple[Path, ...], adapter: str | None, output: str, *, wait: bool
) -> None:
    """Submit the tasks that FILES describe; each is durable when this returns.

    Submitting the same again finds the same submission. Nothing needs to be running.

    \b
    Examples:
      nacre submit task.yaml
      nacre submit fashion/task.yaml digits/task.yaml --wait
    """
    client = Client(load_config(path))
    submissions = []
    for file in files:
        with progress_bar(f"reading {file}") as report:
            intake = client.submit(file, adapter=adapter, on_progress=report)
        submissions.append(intake.submission)
        if output == "text":
            _print_intake(intake.submission, is_new=intake.is_new)
    states = [_followed(client, entry) for entry in submissions] if wait else []
    if output == "json":
        print_json([_as_json(client.state(entry)) for entry in submissions])
    else:
        _print_published(states)
    broken = [state.ticket for state in states if state.ticket.stage is not Stage.PUBLISHED]
    if broken:
        first = broken[0]
        raise NacreError(
            f"{len(broken)} of {len(states)} tasks were not published; {first.submission_id} is "
            f"{first.stage.value}: {first.error}",
            submission=first.submission_id,
        )


@click.command()
@output_option
@click.pass_obj
def status(path: Path | None, output: str) -> None:
    """Show where every submission is.

    \b
    Examples:
      nacre status
      nacre status --output json
    """
    states = [state for _, state in Client(load_config(path)).states()]
    if output == "json":
        print_json([_as_json(state) for state in states])
        return
    rows = [
        (
            state.ticket.submission_id,
            state.ticket.adapter,
            state.ticket.stage.value,
            f"{state.done}/{state.total}" if state.total else "",
            state.ticket.version,
            state.ticket.attempts or "",
            state.ticket.error or "",
        )
        for state in states
    ]
    columns = ("submission", "adapter", "stage", "progress", "version", "failures", "last error")
    print_table(columns, rows, empty="no submissions yet; add one with `nacre submit task.yaml`")


VERBS = (submit, status)


def _followed(client: Client, submission: Submission) -> State:
    """Show bars until `submission` has ended, and return its last state."""
    state = client.state(submission)
    with bars() as progress:
        bar = progress.add_task(submission.task, total=None)
        for state in client.watch(submission):
            description = f"{submission.task}: {state.ticket.stage.value}"
            progress.update(
                bar, description=description, completed=state.done, total=state.total or None
            )
    return state


def _print_published(states: list[State]) -> None:
    for ticket in (state.ticket for state in states):
        if ticket.version is not None:
            stdout().print(f"{ticket.task}: published as {ticket.adapter}@{ticket.version}")


def _print_intake(submission: Submission, *, is_new: bool) -> None:
    word = "accepted" if is_new else "submitted before"
    note = ", a tenth of its images set aside to measure on" if submission.set_aside else ""
    stdout().print(
        f"{word}: {submission.submission_id} ({len(submission.classes)} classes, "
        f"{submission.images('train')} images, {submission.images('held_out')} held out{note})"
    )


def _as_json(state: State) -> dict[str, object]:
    return {
        **asdict(state.ticket),
        "done": state.done,
        "total": state.total,
        "updated_at": state.updated_at,
    }
