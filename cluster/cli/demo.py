"""The command `nacre demo`: five real domains learnt one after another, served, and rolled back."""

import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from rich.progress import Progress, TaskID

from adapters.contract.counts import counted
from adapters.errors import NacreError, NotFoundError, UnavailableError
from adapters.measures import ContinualMeasures, continual_measures
from cluster.cli.clients import here_alone
from cluster.cli.running import start_detached, stop_running
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.matrix import MatrixTable, Row
from cluster.cli.terminal.output import bars, for_machines, output_option, print_json, say
from cluster.cli.terminal.tables import screen_width
from cluster.client.client import Client
from cluster.client.joined import configured
from cluster.client.requester import CLI
from cluster.config import Config, set_home
from cluster.examples import EXAMPLES, TASKS
from cluster.wire.outputs.measured import ShownDemo
from workers.tasks.submission import Submission

if TYPE_CHECKING:
    from cluster.evaluation.measuring import MeasuredRow
    from cluster.wire.predictions import PredictAnswer

ROLL_BACK_TO = 3
FOLLOW_TIMEOUT_S = 30
MATRIX = MatrixTable(tasks=TASKS)
NOTHING_GOES_ON = "what the demo had started is stopped"


@click.command(short_help="Learn five domains, ask, and roll back.")
@click.option("--keep", is_flag=True, help="Leave the service running; stop it with `nacre down`.")
@click.option(
    "--examples",
    type=click.Path(path_type=Path),
    default=EXAMPLES,
    show_default="those that come with nacre",
    help="Folder of the five example tasks.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(".nacre-demo"),
    show_default=True,
    help="Where the demo keeps its things; what is there from an earlier demo is removed.",
)
@output_option
def demo(examples: Path, folder: Path, output: str, *, keep: bool) -> None:
    """Learn five example tasks, ask over HTTP, and roll back.

    After each task a row says how many test images of the learnt tasks are answered right,
    as `predict` answers. The accuracy matrix by the protocol of the papers follows.


    \b
    Examples:
      nacre demo
      nacre demo --keep      then: NACRE_HOME=.nacre-demo nacre predict IMAGE
    """
    missing = [name for name in TASKS if not (examples / name / "task.yaml").is_file()]
    if missing:
        raise NotFoundError(
            f"expected the example tasks in {examples}, but {', '.join(missing)} is missing; leave "
            f"--examples out for those that come with nacre, in {EXAMPLES}",
            path=str(examples),
        )
    here_alone(Config())
    config_path = _prepare(folder)
    client = Client(configured(config_path), road=CLI)
    tell("starting Ray, the workers and one replica")
    started = start_detached(config_path)
    try:
        with interruptible(NOTHING_GOES_ON):
            shown = _show(client, examples, folder)
    except BaseException:
        stop_running()
        raise
    if keep:
        tell(f"\nstill serving at {started.endpoint}; try")
        tell(f"  export NACRE_HOME={folder} NACRE_CONFIG={config_path}")
        tell(f"  nacre predict {examples}/fashion/test/bag/00.png")
        tell("  nacre down")
    else:
        stop_running()
    if output == "json":
        print_json(ShownDemo(**shown, serving=keep, endpoint=started.endpoint, home=str(folder)))


def tell(sentence: str) -> None:
    """Print a sentence, where people read."""
    if not for_machines():
        say(sentence)


def _show(client: Client, examples: Path, folder: Path) -> dict[str, Any]:
    submissions = _submit(client, examples)
    zero_shot, rows = _watch(client, submissions)
    accuracy = [_accuracies(row) for row in rows]
    figures = continual_measures(accuracy)
    candidates = sum(len(submission.classes) for submission in submissions)
    tell(f"\nby the protocol of the papers, among all {candidates} classes, learnt or not:")
    _print_matrix({"zero-shot": zero_shot, **_labelled(accuracy)})
    _print_figures(zero_shot, figures)
    report = _report(client, folder)
    tell(f"report: {report}")
    _ask_and_roll_back(client, examples)
    return {
        "adapter": client.config.adapter,
        "tasks": TASKS,
        "candidates": candidates,
        "zero_shot": zero_shot,
        "served": [
            [None if each is None else each.accuracy for each in row.served] for row in rows
        ],
        "accuracy": accuracy,
        "transfer": figures.transfer,
        "average": figures.average,
        "last": figures.last,
        "report": str(report),
        "rolled_back_to": ROLL_BACK_TO,
    }


def _report(client: Client, folder: Path) -> Path:
    """Measure all versions again, from the same cached features, and write a page about them."""
    from harness.pages.versions_page import write_evaluation

    return write_evaluation(client.evaluate(), folder / "report")


def _prepare(folder: Path) -> Path:
    """Empty `folder`, make it the home, and write a configuration with a free port into it."""
    set_home(folder)
    stop_running()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "nacre.yaml"
    store = f"file://{(folder / 'store').absolute()}"
    path.write_text(yaml.safe_dump({"store": store, "serve": {"port": _free_port()}}))
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _submit(client: Client, examples: Path) -> list[Submission]:
    submissions = []
    for name in TASKS:
        submission = client.submit(examples / name / "task.yaml").submission
        submissions.append(submission)
        tell(
            f"submitted {name}: {counted(len(submission.classes), 'class')}, "
            f"{counted(submission.images('train'), 'training image')}, "
            f"{counted(submission.images('held_out'), 'test image')}"
        )
    return submissions


def _watch(
    client: Client, submissions: Sequence[Submission]
) -> "tuple[list[float], list[MeasuredRow]]":
    """Show a bar per task until all are published, and after each what `predict` answers.

    Returns the accuracies of the encoder alone, and what each version answers.
    """
    from cluster.evaluation.measuring import Measuring

    measuring = Measuring(client.config, submissions)
    rows: list[MeasuredRow] = []
    with bars() as progress:
        numbers = [progress.add_task(entry.task, total=None) for entry in submissions]
        for entry in submissions:
            version = _follow(client, entry, submissions, progress, numbers)
            measuring.wait_until_embedded()
            if not rows:
                _row(progress, "as `predict` answers, among the classes learnt so far:")
                _row(progress, MATRIX.header())
            rows.append(measuring.row(version))
            served = [None if each is None else each.accuracy for each in rows[-1].served]
            _row(progress, MATRIX.line(_label(len(rows)), served))
    return _accuracies(measuring.row(None)), rows


def _accuracies(row: "MeasuredRow") -> list[float]:
    return [each.accuracy for each in row.accuracies]


def _label(version: int) -> str:
    return f"{version}: {TASKS[version - 1]}"


def _labelled(rows: Sequence[Row]) -> dict[str, Row]:
    return {_label(place): row for place, row in enumerate(rows, 1)}


def _print_matrix(rows: Mapping[str, Row]) -> None:
    for line in MATRIX.lines(rows, width=screen_width()):
        tell(line)


def _row(progress: Progress, line: str) -> None:
    """Print a row of the matrix above the bars."""
    if not for_machines():
        progress.console.print(line)


def _follow(
    client: Client,
    entry: Submission,
    submissions: Sequence[Submission],
    progress: Progress,
    numbers: Sequence[TaskID],
) -> int:
    """Move the bars until `entry` has been published, and return its version."""
    ticket = client.state(entry).ticket
    for state in client.watch(entry):
        ticket = state.ticket
        for other, number in zip(submissions, numbers, strict=True):
            seen = client.state(other)
            progress.update(
                number,
                description=f"{other.task}: {seen.ticket.stage.value}",
                completed=seen.done,
                total=seen.total or None,
            )
    if ticket.version is None:
        raise NacreError(f"{entry.submission_id} is {ticket.stage.value}: {ticket.error}")
    return ticket.version


def _print_figures(zero_shot: Sequence[float], figures: ContinualMeasures) -> None:
    zero = sum(zero_shot) / len(zero_shot)
    later = sum(zero_shot[1:]) / len(zero_shot[1:])
    tell(f"\nTransfer {100 * (figures.transfer or 0):5.1f}   zero-shot {100 * later:5.1f}")
    tell(f"Average  {100 * figures.average:5.1f}   zero-shot {100 * zero:5.1f}")
    tell(f"Last     {100 * figures.last:5.1f}   zero-shot {100 * zero:5.1f}\n")


def _ask_and_roll_back(client: Client, examples: Path) -> None:
    """Classify two images over HTTP, roll back, and show the earlier version's answers again."""
    images = [_first_held_out(examples / name) for name in (TASKS[0], TASKS[-1])]
    shown = [image.relative_to(examples) for image in images]
    newest = len(TASKS)
    _wait_for(client, newest)
    _print_answers("now", shown, client.predict(images, top_k=1))
    before = client.predict(images, top_k=1, version=ROLL_BACK_TO)
    client.rollback(ROLL_BACK_TO, why="the demo shows a rollback")
    _wait_for(client, ROLL_BACK_TO)
    after = client.predict(images, top_k=1)
    _print_answers(f"after `nacre rollback {ROLL_BACK_TO}`", shown, after)
    if after != before:
        raise NacreError(
            f"expected version {ROLL_BACK_TO} to answer as it did before the rollback, found "
            f"{after} instead of {before}"
        )
    tell(f"these are version {ROLL_BACK_TO}'s own answers again, to the last digit")


def _first_held_out(task: Path) -> Path:
    return min(path for path in (task / "test").glob("*/*") if path.is_file())


def _wait_for(client: Client, version: int) -> None:
    deadline = time.monotonic() + FOLLOW_TIMEOUT_S
    expected = f"{client.config.adapter}@{version}"
    while (found := client.answering()) != expected:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"expected the replica to answer with {expected} within {FOLLOW_TIMEOUT_S} s, "
                f"found {found}"
            )
        time.sleep(0.1)


def _print_answers(when: str, images: Sequence[Path], answer: "PredictAnswer") -> None:
    for image, result in zip(images, answer.results, strict=True):
        best = result.predictions[0]
        tell(
            f"{when}: {image} is {best.label!r} of {best.task} (score {best.score:.2f}, answered "
            f"by {answer.version})"
        )


VERBS = (demo,)
