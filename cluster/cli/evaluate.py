"""The command `nacre evaluate`: published versions measured on test images."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters.contract.counts import counted
from adapters.contract.thresholds import MOST_RATE
from cluster.cli.clients import client_of
from cluster.cli.known import check_known
from cluster.cli.terminal.completion import ADAPTERS, SUBMISSIONS
from cluster.cli.terminal.facts import p_value
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.numbers import NumberRange
from cluster.cli.terminal.output import Bar, bars, output_option, print_json, stdout
from cluster.cli.terminal.tables import print_table
from cluster.client.documents import DocumentClient

CONFUSED = 5
"""Pairs that are printed; JSON and the report have more."""

if TYPE_CHECKING:
    from cluster.wire.mistakes import ComparedSet
    from cluster.wire.outputs.measured import (
        Figures,
        MeasuredAdapter,
        MeasuredAdapters,
        MeasuredRejection,
    )

NOTHING_CHANGED = (
    "nothing was changed; the same command measures again, and what was embedded is kept"
)


def _named_sources(
    _context: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    """Return the sources of `NAME=SOURCE` by name."""
    found: dict[str, str] = {}
    for value in values:
        name, equals, source = value.partition("=")
        if not (name and equals and source) or "/" in name:
            raise click.BadParameter(f"expected NAME=SOURCE, as in birds=~/birds, found {value!r}")
        if name in found:
            raise click.BadParameter(f"two sets are called {name!r}")
        local = "://" not in source
        found[name] = str(Path(source).expanduser()) if local else source
    return found


@click.command(short_help="Measure versions on test images.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    help="Which adapter; may be repeated. Several adapters that learnt one sequence, such as with "
    "other seeds, give means and confidence intervals.  [default: the configured one]",
    shell_complete=ADAPTERS,
)
@click.option("--versions", default="", help="1..5, or numbers and aliases.  [default: all]")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    help="Measure on this task or submission, too, learnt or not; may be repeated.",
    shell_complete=SUBMISSIONS,
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    callback=_named_sources,
    metavar="NAME=SOURCE",
    help="Measure on these images, too; may be repeated. SOURCE is a folder per class, a list or "
    "tar shards, here or in an object store. The NAME of a learnt task adds images of its classes.",
)
@click.option(
    "--reject",
    type=NumberRange(0, MOST_RATE, min_open=True),
    metavar="RATE",
    help="Also measure which images are of none of the learnt classes, at this rate of false "
    "alarms; --set adds images of no learnt class.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), default=2, help="How many versions to measure at once."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Folder for report.html, matrix.png and accuracies.csv.",
)
@output_option
@click.pass_obj
def evaluate(
    path: Path | None,
    /,
    adapters: tuple[str, ...],
    sets: dict[str, str],
    threads: int,
    report: Path | None,
    output: str,
    **options: Any,
) -> None:
    """Measure versions on test images: the accuracy matrix.

    The columns are the tasks of `head`, or of the newest version that --versions names, and what
    --task and --set add. Each column has the task's test images. Those of learnt tasks were
    embedded when the tasks were learnt; sets are embedded once and kept in nacre's home. Versions
    of which a task was purged are left out.

    The candidates are the classes of all columns. Classes that a version has not learnt take part
    zero-shot. Of the last version it is also said how sure each accuracy is, which images it has
    won and lost against the version before it, and what it most often gets wrong; the report has
    the wrong images themselves, the most confident answers first.

    \b
    Examples:
      nacre evaluate
      nacre evaluate --versions 1..5 --report matrix
      nacre evaluate --versions 3,production --task birds --output json
      nacre evaluate --reject 0.05 --set foreign=photos/holiday
      nacre evaluate --set birds=photos/birds --set digits=new-digits/test
      nacre evaluate --adapter main --adapter main-seed-1 --adapter main-seed-2
    """
    from cluster.evaluation.documents import together

    client = client_of(path)
    for adapter in adapters:
        check_known(client, adapter)
    # A service has threads of its own.
    measure: Callable[..., MeasuredAdapters] = client.evaluate
    if isinstance(client, DocumentClient):
        measure = partial(client.evaluate, threads=threads)
    chosen = list(dict.fromkeys(adapters or (client.config.adapter,)))
    with interruptible(NOTHING_CHANGED), bars() as progress:
        bar = Bar(progress)
        measured = [
            measure(
                adapter=adapter,
                sets=sets,
                **options,
                report=report and (report / adapter if len(chosen) > 1 else report),
                on_step=bar,
            )
            for adapter in chosen
        ]
    found = together(measured)
    if output == "json":
        print_json(found)
        return
    _print(found)
    for page in found.reports:
        stdout().print(f"report: {page}")


def _print(found: "MeasuredAdapters") -> None:
    from harness.table import Figure

    for each in found.adapters:
        _print_matrix(each)
    if found.over_adapters:
        figures = ", ".join(
            f"{_words(name)} {Figure(mean=figure.mean, half=figure.half)}"
            for name, figure in found.over_adapters.items()
        )
        stdout().print(f"over {counted(len(found.adapters), 'adapter')}: {figures}")


def _print_matrix(found: "MeasuredAdapter") -> None:
    from cluster.cli.terminal.matrix import MatrixTable
    from cluster.cli.terminal.tables import screen_width

    table = MatrixTable(tasks=tuple(column.name for column in found.sets))
    served = {
        f"{found.adapter}@{version.number}": [
            None if each is None else each.accuracy for each in version.served
        ]
        for version in found.versions
    }
    among_all = {"zero-shot": [measured.accuracy for measured in found.zero_shot]} | {
        f"{found.adapter}@{version.number}": [each.accuracy for each in version.accuracies]
        for version in found.versions
    }
    for said, rows in ((_served_candidates(found), served), (_candidates(found), among_all)):
        for line in (said, *table.lines(rows, width=screen_width()), ""):
            stdout().print(line)
    _print_reliability(found)
    _print_rejected(found)
    for label, metrics in (
        ("", found.metrics),
        ("classes of one name as one: ", found.metrics_alike),
    ):
        if metrics is not None:
            over = f", over {counted(len(found.versions), 'task')}"
            stdout().print(_scalars(metrics, label) + over)
    if found.metrics is None:
        stdout().print(
            "no transfer, average and last: these are for versions that each add the next task",
        )
    _print_sureness(found)
    _print_confusions(found)
    for name, ids in found.collisions.items():
        stdout().print(f"one name, several classes: {name}: {', '.join(ids)}")
    for remark in found.remarks:
        stdout().print(remark)


def _served_candidates(found: "MeasuredAdapter") -> str:
    """Return what the table says that is as `predict` answers."""
    counts = {version.served_candidates for version in found.versions}
    classes = counted(max(counts), "class")
    if len(counts) > 1:
        classes = f"{min(counts)} to {classes}"
    return f"as `predict` answers, among the {classes} that each version has learnt:"


def _candidates(found: "MeasuredAdapter") -> str:
    """Return among how many classes answers were chosen."""
    counts = {found.zero_shot_candidates, *(version.candidates for version in found.versions)}
    if len(counts) == 1:
        of = f"all {counts.pop()} classes of {counted(len(found.sets), 'set')}"
    else:
        of = (
            f"{min(counts)} to {max(counts)} classes: those of {counted(len(found.sets), 'set')}, "
            "and what each version has learnt besides"
        )
    return f"by the protocol of the papers, among {of}:"


def _print_reliability(found: "MeasuredAdapter") -> None:
    """Print how far the probabilities of each version can be believed."""
    rows = [
        (
            f"{found.adapter}@{version.number}",
            f"{measured.error:.1%}",
            f"{measured.brier:.3f}",
            f"{sum(each.images * each.confidence for each in measured.bins) / measured.images:.1%}",
            f"{sum(each.images * each.accuracy for each in measured.bins) / measured.images:.1%}",
            measured.images,
        )
        for version in found.versions
        if (measured := version.reliability) is not None
    ]
    if rows:
        columns = ("as `predict` answers", "calibration error", "Brier", "mean probability")
        print_table((*columns, "right", "test images"), rows, empty="")
        stdout().print("")


def _print_rejected(found: "MeasuredAdapter") -> None:
    """Print which share of the images of each set is of none of the classes."""
    rows = [
        (f"{found.adapter}@{version.number}", *(_share(each) for each in version.rejected))
        for version in found.versions
        if version.rejected is not None
    ]
    if rows:
        columns = ("of none of the learnt classes", *(each.name for each in found.sets))
        print_table(columns, rows, empty="")
        stdout().print("")


def _share(found: "MeasuredRejection | None") -> str:
    return "not measured" if found is None else f"{found.unknown:.1%}"


def _print_sureness(found: "MeasuredAdapter") -> None:
    """Print how sure the figures of the last version are."""
    compared = {each.set: each for each in found.compared}
    rows = [
        (
            each.set,
            f"{each.right / each.images:.1%}",
            f"{each.low:.1%} to {each.high:.1%}",
            each.images,
            *(_won_and_lost(compared[each.set]) if compared else ()),
        )
        for each in found.mistakes
    ]
    label = f"{found.adapter}@{found.versions[-1].number}"
    against = f"p, against {found.versions[-2].number}" if compared else ""
    columns = (label, "accuracy", "95 % interval", "test images")
    print_table(columns + (("won", "lost", against) if compared else ()), rows, empty="no sets")


def _won_and_lost(found: "ComparedSet") -> tuple[object, ...]:
    return found.won, found.lost, p_value(found.p)


def _print_confusions(found: "MeasuredAdapter") -> None:
    """Print what is most often taken for what, of all sets."""
    pairs = [
        (pair.images, each.set, found.names[pair.truth], _named(found, pair.answer))
        for each in found.mistakes
        for pair in each.confusions
    ]
    pairs.sort(key=lambda pair: -pair[0])
    if pairs:
        rows = [(name, truth, answer, count) for count, name, truth, answer in pairs[:CONFUSED]]
        print_table(("most often wrong", "class", "taken for", "images"), rows, empty="")


def _named(found: "MeasuredAdapter", class_id: str) -> str:
    """Return the name of a class, with its task."""
    return f"{found.names[class_id]} ({class_id.partition('/')[0]})"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _scalars(metrics: "Figures", label: str) -> str:
    from harness.evaluation import SCALARS

    values = {name: getattr(metrics, name) for name in SCALARS}
    return label + ", ".join(
        f"{_words(name)} {100 * value:.1f}" for name, value in values.items() if value is not None
    )


VERBS = (evaluate,)
