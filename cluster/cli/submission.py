"""Submission of tasks on the command line: `submit`, and `init`, which writes a task file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.contract.counts import agreeing, counted
from adapters.errors import InputError, NacreError, NotFoundError, RejectedError
from cluster.cli.clients import client_of, running_beside
from cluster.cli.inspect import inspected_by
from cluster.cli.progress import goes_on, watched
from cluster.cli.terminal.completion import ADAPTERS
from cluster.cli.terminal.inspection import print_inspection
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.options import by_option
from cluster.cli.terminal.output import (
    for_machines,
    output_option,
    print_json,
    progress_bar,
    say,
    stdout,
    warn,
)
from cluster.cli.terminal.queue_table import why_ended
from cluster.wire.outputs.submissions import ComparedConfig, SubmittedTask, WrittenTaskFile
from cluster.wire.tasks import TaskAccepted, TaskState
from harness.files import write_whole
from workers.formats.problems import raise_all
from workers.progress_callbacks import ProgressCallback
from workers.queue.ticket import Stage

if TYPE_CHECKING:
    from cluster.client.road import AnyClient
    from workers.intake.drafting import Draft

Submits = Callable[[ProgressCallback], TaskAccepted]
HOW_ENDED = {
    Stage.CANCELLED: "was cancelled",
    Stage.FAILED: "has failed",
    Stage.REJECTED: "was rejected by the gate",
}
AGAIN = "submit the same again; what had been accepted is found, and goes on"


@click.command(short_help="Submit tasks to be learnt.")
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILES...")
@click.option(
    "--adapter",
    help="The adapter to grow.  [default: the task file's]",
    shell_complete=ADAPTERS,
)
@click.option("--wait", is_flag=True, help="Return when every task has been published.")
@click.option(
    "--check",
    is_flag=True,
    help="Only say what would come of it; `nacre inspect` looks at features, too.",
)
@by_option
@output_option
@click.pass_obj
def submit(
    path: Path | None,
    files: tuple[str, ...],
    adapter: str | None,
    by: str | None,
    output: str,
    *,
    wait: bool,
    check: bool,
) -> None:
    """Submit the tasks that FILES describe.

    Each is durable when this returns. In the place of a task file, FILES may name images: a folder
    for each class, a list, shards, or an address of these. Then the task file that says the same is
    printed first; `nacre init` writes it for editing.

    All files are read before the first task is submitted. Where a later task is refused for its
    images, the tasks before it stay submitted, and those behind it are not.

    Submitting the same again finds the same submission. Nothing needs to be running.

    With --check nothing is submitted: every image is read, the report of `nacre inspect` is printed
    as far as it needs no encoder, and the exit code is the one that `submit` would end with.

    \b
    Examples:
      nacre submit task.yaml
      nacre submit task.yaml --check
      nacre submit ./birds                                         a folder for each class
      nacre submit birds.csv                                       columns of paths and of classes
      nacre submit fashion/task.yaml digits/task.yaml --wait
      ray job submit --working-dir . -- nacre submit task.yaml     beside `up --address auto`
    """
    if check:
        _check(path, files, adapter=adapter, by=by, output=output)
        return
    client = client_of(path, by=by)
    accepted: list[TaskAccepted] = []
    states: list[TaskState] = []
    told: set[str] = set()  # what holds for all of them is said once

    def meanwhile() -> str:
        tasks = [each.submission.task for each in accepted]
        return goes_on(tasks) if len(tasks) == len(files) else AGAIN

    try:
        with interruptible(meanwhile):
            meant = [_meant(file) for file in files]
            _print_drafts(meant)
            for file, submits in zip(files, _read(meant, client, adapter), strict=True):
                with progress_bar(f"reading {file}") as report, _told(accepted, files):
                    accepted.append(submits(report))
                if output == "text":
                    _print_accepted(accepted[-1])
                warn(*(each for each in accepted[-1].warnings if each not in told))
                told.update(accepted[-1].warnings)
            if wait:
                states = watched(client, [each.submission for each in accepted])
    finally:
        # What was accepted before an error or an interrupt is durable, and is told.
        if output == "json" and accepted:
            running = running_beside(client)
            compared = running.compared_with(client.config) if running else None
            print_json(
                [
                    _submitted(client, each, compared, what)
                    for each, what in zip(accepted, meant, strict=False)
                ]
            )
    if output == "text":
        _print_published(states)
    _check_published(states)


def _check(
    path: Path | None, files: tuple[str, ...], *, adapter: str | None, by: str | None, output: str
) -> None:
    """Say what would come of files; the error is that with which the first would be refused."""
    found = [inspected_by(path, file, adapter=adapter, features=False, by=by) for file in files]
    if output == "json":
        print_json([each.document for each in found])
    else:
        for each in found:
            print_inspection(each.document, verdict=False)
    for each in found:
        each.check()
    if output == "text":
        say("nothing was submitted; it would be accepted as it is")


def _meant(file: str) -> "Draft | Path | InputError":
    """Return the task file that is meant, the draft of a bare source, or why there is none."""
    from cluster.client.remote.drafts import drafted

    try:
        return drafted(file)
    except InputError as error:
        return error


def _print_drafts(meant: "Sequence[Draft | Path | InputError]") -> None:
    """Print the task files that say the same as bare sources."""
    from workers.intake.drafting import Draft

    for draft in (each for each in meant if isinstance(each, Draft)):
        if not for_machines():
            say(f"# {draft.path}, as `nacre init` writes it\n{draft.to_yaml()}")
        warn(*draft.notes)


def _read(
    meant: "Sequence[Draft | Path | InputError]", client: "AnyClient", adapter: str | None
) -> list[Submits]:
    """Return what submits the tasks of files; one error about all of them where some are wrong."""
    tasks: list[Submits] = []
    wrong: list[InputError] = []
    for file in meant:
        try:
            if isinstance(file, InputError):
                raise file
            tasks.append(client.read_task(file, adapter=adapter))
        except InputError as error:
            wrong.append(error)
    if wrong and len(meant) > 1:
        warn("nothing was submitted")
    raise_all(wrong)
    return tasks


@contextmanager
def _told(accepted: list[TaskAccepted], files: tuple[str, ...]) -> Iterator[None]:
    """Say with an error what becomes of several files, of which some are accepted."""
    try:
        yield
    except NacreError:
        if len(files) > 1:
            warn(_what_stays([each.submission.task for each in accepted], files))
        raise


def _what_stays(accepted: list[str], files: tuple[str, ...]) -> str:
    if not accepted:
        return "nothing was submitted"
    names, missing = " ".join(accepted), " ".join(map(str, files[len(accepted) :]))
    return (
        f"{names} {agreeing(len(accepted), 'stays')} submitted (`nacre cancel {names}` takes that "
        f"back); not submitted: {missing}. Mend what is wrong, then {AGAIN}"
    )


def _submitted(
    client: "AnyClient",
    accepted: TaskAccepted,
    compared: ComparedConfig | None,
    meant: "Draft | Path | InputError",
) -> SubmittedTask:
    from workers.intake.drafting import Draft

    return SubmittedTask(
        **client.state(accepted.submission.submission_id).model_dump(),
        is_new=accepted.is_new,
        classes=accepted.classes,
        images_by_split=accepted.images_by_split,
        notes=accepted.notes,
        sources=accepted.sources,
        configuration=compared,
        task_file=meant.to_yaml() if isinstance(meant, Draft) else None,
    )


def _print_accepted(accepted: TaskAccepted) -> None:
    images = accepted.images_by_split
    word = "accepted" if accepted.is_new else "submitted before"
    stdout().print(
        f"{word}: {accepted.submission.submission_id} ({counted(accepted.classes, 'class')}, "
        f"{counted(images['train'], 'training image')}, "
        f"{counted(images['held_out'], 'test image')})"
    )
    for note in accepted.notes[: -len(accepted.warnings) or None]:
        stdout().print(f"  {note}")


def _print_published(states: list[TaskState]) -> None:
    for state in states:
        version, note = f"{state.adapter}@{state.version}", state.note and f"; {state.note}"
        if state.stage == Stage.PUBLISHED:
            say(f"{state.task}: published as {version}{note or ''}")
        elif state.stage == Stage.REJECTED:
            say(f"{state.task}: rejected, kept as {version}")


def _check_published(states: list[TaskState]) -> None:
    """Raise an error unless all of the tasks were published; another one where the gate said no.

    Raises:
        RejectedError: all that was not published was rejected.
        NacreError: something failed, or was cancelled.
    """
    broken = [state for state in states if state.stage != Stage.PUBLISHED]
    if not broken:
        return
    failed = [state for state in broken if state.stage != Stage.REJECTED]
    first, kind = (failed[0], NacreError) if failed else (broken[0], RejectedError)
    why = why_ended(first)
    told = f"{first.submission_id} {HOW_ENDED[Stage(first.stage)]}{f': {why}' if why else ''}"
    if len(states) > 1:
        count = f"{len(broken)} of {counted(len(states), 'task')}"
        told = f"{count} {agreeing(len(broken), 'was')} not published; {told}"
    raise kind(told, submission=first.submission_id)


@click.command(short_help="Write the task file of a source of images.")
@click.argument("source", type=click.Path())
@click.option(
    "-o",
    "--to",
    "target",
    type=click.Path(path_type=Path),
    default=Path("task.yaml"),
    show_default=True,
    help="The task file; its paths are relative to it.",
)
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@output_option
def init(source: str, target: Path, output: str, *, force: bool) -> None:
    """Write the task file of the images at SOURCE, to be edited.

    SOURCE is what `nacre submit` takes without a task file: a folder for each class, with or
    without train and test; a list with columns of paths and of classes; shards; or an address of
    these.

    \b
    Examples:
      nacre init ./birds
      nacre init birds.csv -o birds.yaml
      nacre init 's3://datasets/birds?endpoint=http://127.0.0.1:9000'
    """
    from cluster.client.remote.drafts import drafted

    draft = drafted(source, folder=target.parent)
    if isinstance(draft, Path):
        raise _no_source(draft)
    _write_new(target, draft.to_yaml(commented=True), force=force)
    warn(*draft.notes)
    if output == "json":
        print_json(
            WrittenTaskFile(path=str(target), task_file=draft.to_yaml(), notes=list(draft.notes))
        )
    else:
        say(f"{target}: written; see whether it says what you mean, then `nacre submit {target}`")


def _no_source(path: Path) -> InputError:
    """Return why the task file of a path cannot be written."""
    expected = "expected images, as a folder, a list or shards"
    if not path.exists():
        return NotFoundError(
            f"{expected}, at {path}, found nothing; correct the path", path=str(path)
        )
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        return InputError(
            f"{expected}, found the file {path}, which is none of these by its ending; name the "
            "folder of its class, or rename it (.csv, .parquet, .jsonl, .tar)",
            path=str(path),
        )
    return InputError(
        f"{expected}, found the task file {path}; submit it with `nacre submit {path}`",
        path=str(path),
    )


def _write_new(target: Path, content: str, *, force: bool) -> None:
    """Write a file whole; InputError where there is one already, or it cannot be written."""
    try:
        if target.exists() and not force:
            raise InputError(
                f"expected no file at {target}, found one, which stays as it is; write another one "
                "with `-o`, or replace it with `--force`",
                path=str(target),
            )
        write_whole(target, content)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written: {error.strerror or error}", path=str(target)
        ) from error


VERBS = (submit, init)
