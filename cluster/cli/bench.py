"""The commands `nacre bench`, which measures methods by the protocol of the papers, and `advise`.

What imports torch is imported where it is used: `nacre --help` and completion read this, too.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from adapters.contract.counts import agreeing, counted
from adapters.contract.nearest import did_you_mean
from adapters.errors import NotFoundError
from cluster.cli.clients import here_alone
from cluster.cli.terminal.advice import advice_document, print_advice
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.nearest import NearestGroup
from cluster.cli.terminal.numbers import NumberRange
from cluster.cli.terminal.output import Bar, bars, note, output_option, print_json, stdout, warn
from cluster.cli.terminal.tables import print_table
from cluster.client.joined import configured
from cluster.config import Config, home
from harness.published import PUBLISHED

if TYPE_CHECKING:
    from cluster.evaluation.benching import SuiteFolders
    from harness.advice.advice import Need
    from harness.pages.suite_page import Findings
    from harness.suite import Suite
    from harness.xtail import Xtail

GOES_ON = "what was measured is kept; the same command goes on from there"


@click.group(cls=NearestGroup, short_help="Measure methods as the papers do.")
def bench() -> None:
    """Measure methods by the protocol of the papers.

    \b
    Examples:
      nacre bench xtail deploy/suites/ten-sets.yaml
    """


@bench.command(short_help="Learn all image sets of a suite.")
@click.argument("suite", type=click.Path(path_type=Path))
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Folder of results and report.  [default: SUITE without .yaml, in the working folder]",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="Folder of the image sets.  [default: what the suite says]",
)
@click.option("--parallel", type=click.IntRange(min=1), default=1, help="Most runs at once.")
@click.option("--address", help="`auto` or HOST:PORT of a running Ray, for runs at once.")
@click.option(
    "--method", "only", multiple=True, help="Only methods of this name or label; may be repeated."
)
@click.option("--seeds", type=click.IntRange(min=1), help="Only the first N seeds.")
@output_option
def xtail(
    suite: Path,
    results: Path | None,
    root: Path | None,
    parallel: int,
    address: str | None,
    only: tuple[str, ...],
    seeds: int | None,
    output: str,
) -> None:
    """Learn the image sets of SUITE, one after the other, and measure.

    Every method of the suite learns them, in every order, with every seed.

    Every class of every set is a candidate from the beginning, unless the suite says otherwise;
    with `split` in it the classes of a set are divided into tasks. Embedded images are kept in
    nacre's home, and what was measured in the folder of results, task by task: stopped or killed,
    the same command goes on from there. Ends with a table and a report.

    Sets that are not there are named and left out; the command then ends with exit code 2.

    \b
    Examples:
      nacre bench xtail deploy/suites/ten-sets.yaml --method lada --seeds 1
      nacre bench xtail deploy/suites/xtail-16-shot.yaml --root ~/data --parallel 4
      nacre bench xtail deploy/suites/cifar100.yaml --root ~/data
      nacre bench xtail deploy/suites/ten-sets.yaml --output json
    """
    from cluster.evaluation.benching import SuiteFolders, opened

    here_alone(Config())
    place = SuiteFolders(
        suite=suite.absolute(),
        results=(results or Path(suite.stem)).absolute(),
        cache=home() / "features",
        root=root.absolute() if root else None,
    )
    measuring = opened(place)
    warn(*measuring.missing.values())
    everything = measuring.suite
    _check_methods(only, everything)
    measuring.suite = replace(
        everything,
        seeds=everything.seeds[:seeds],
        methods=tuple(
            line
            for line in everything.methods
            if not only or line.method in only or line.title in only
        ),
    )
    measure(measuring, place, parallel=parallel, address=address)
    findings = findings_of(measuring)
    from harness.pages.suite_page import write_report

    page = write_report(findings, place.results)
    if output == "json":
        print_json({**_as_json(findings, page), "missing": dict(measuring.missing)})
    else:
        _print(findings)
        stdout().print(f"report: {page}")
    _check_whole(measuring)


def _check_whole(measuring: "Xtail") -> None:
    """Raise NotFoundError where sets of the suite were left out, because they are not there."""
    if measuring.missing:
        raise NotFoundError(
            f"{measuring.suite.name}: left out {', '.join(measuring.missing)}, which "
            f"{agreeing(len(measuring.missing), 'is')} not there; put what is missing below the "
            "suite's root, and the same command measures the whole suite",
            missing=tuple(measuring.missing),
        )


def _check_methods(only: tuple[str, ...], suite: "Suite") -> None:
    """Raise UsageError, with all names and the nearest, where a suite has no such method."""
    known = {name for line in suite.methods for name in (line.method, line.title)}
    for name in only:
        if name not in known:
            titles = "; ".join(line.title for line in suite.methods)
            near = did_you_mean(name, known)
            raise click.UsageError(f"--method: expected one of {titles}, found {name!r}{near}")


def measure(
    measuring: "Xtail", place: "SuiteFolders", *, parallel: int = 1, address: str | None = None
) -> None:
    """Measure the runs of a suite that are not finished, and show how far they are.

    Args:
        measuring: The suite.
        place: The same, for other processes.
        parallel: Most runs at once.
        address: Of a running Ray, for runs at once; None starts one on this machine.
    """
    from cluster.evaluation.benching import measured_side_by_side
    from harness.results import run_names

    with interruptible(GOES_ON), bars() as progress:
        bar = Bar(progress)
        measuring.embed(bar)
        known = measuring.finished()
        names = [name for name in run_names(measuring.suite) if name not in known]
        total, done = len(known) + len(names), len(known)
        runs = progress.add_task("runs", completed=done, total=total)
        if parallel == 1 and address is None:
            for name in names:
                started = time.monotonic()
                run = measuring.run(name, bar)
                progress.advance(runs)
                note(f"{name}: last {run.last:.1f} ({time.monotonic() - started:.0f} s)")
            return
        for name in measured_side_by_side(place, names, parallel=parallel, address=address):
            progress.advance(runs)
            note(str(name))


def findings_of(measuring: "Xtail") -> "Findings":
    """Return everything that a report about `measuring` shows."""
    from adapters.contract.class_names import name_collisions
    from harness.labelled import listing_digest
    from harness.pages.drawing import Facts, library_versions
    from harness.pages.suite_page import Findings

    images = measuring.images
    return Findings(
        suite=measuring.suite,
        runs=measuring.finished(),
        zero_shot={order: measuring.zero_shot(order) for order in measuring.suite.orders},
        images=images,
        facts=Facts(
            versions=library_versions(),
            fingerprint=measuring.fingerprint,
            collisions={
                found.name: found.class_ids for found in name_collisions(measuring.classes(), ())
            },
        ),
        digests={
            name: f"{listing_digest(one.train)} {listing_digest(one.test)}"
            for name, one in images.items()
        },
    )


def _print(findings: "Findings") -> None:
    from harness.results import candidates_at_the_end, orders_and_runs
    from harness.table import COLUMNS, figures

    for order, lines in orders_and_runs(findings.suite, findings.runs).items():
        stdout().print(f"{findings.suite.name}, order {order}")
        rows: list[list[object]] = [
            ["encoder alone", None, None, f"{findings.zero_shot[order].mean:.1f}"]
        ]
        for title, runs in lines.items():
            if runs:
                cells = ["–" if figure is None else figure for figure in figures(runs).values()]
                rows.append([title, *cells])
        published = PUBLISHED.get(findings.suite.published or "", {}).get(order, ())
        rows += [[f"{line.method}, published", *line[1:]] for line in published]
        width = 1 + len(COLUMNS)
        padded = [[*row, *[None] * (width - len(row))] for row in rows]
        print_table(("method", *COLUMNS), padded, empty="nothing measured")
        candidates = candidates_at_the_end(lines)
        if candidates is not None:
            of = "all" if findings.suite.candidates == "all" else "the learnt ones of"
            stdout().print(f"answers are chosen among {of} {candidates} classes")


def _as_json(findings: "Findings", page: Path) -> dict[str, object]:
    from harness.results import candidates_at_the_end, orders_and_runs
    from harness.table import figures

    return {
        "suite": findings.suite.name,
        "report": os.fspath(page),
        "encoder": findings.facts.fingerprint,
        "orders": {
            order: {
                "zero_shot": dict(findings.zero_shot[order].accuracies),
                "candidates": candidates_at_the_end(lines),
                "methods": {
                    title: {
                        heading: None if figure is None else [figure.mean, figure.half]
                        for heading, figure in figures(runs).items()
                    }
                    for title, runs in lines.items()
                    if runs
                },
            }
            for order, lines in orders_and_runs(findings.suite, findings.runs).items()
        },
        "collisions": dict(findings.facts.collisions),
    }


class _Bytes(click.ParamType[int]):
    """A number of bytes, as in 500MB, 2GB or 2GiB."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        from pydantic import ByteSize, TypeAdapter, ValidationError

        try:
            found = int(TypeAdapter(ByteSize).validate_python(value))
        except ValidationError:
            found = 0
        if found < 1:
            self.fail(
                f"expected a number of bytes, as in 500MB or 2GiB, found {value!r}", param, ctx
            )
        return found


_COUNTED = click.IntRange(1, 10**9)
"""Of what is counted in images; a product of three is a number of seconds and bytes still."""


@click.command(short_help="Say which method to take.")
@click.argument("sources", nargs=-1)
@click.option(
    "--tasks",
    type=_COUNTED,
    help="So many tasks in all.  [default: one for each source]",
)
@click.option("--classes", type=_COUNTED, help="Classes of a task.")
@click.option("--images", type=_COUNTED, help="Training images of a class.")
@click.option(
    "--memory",
    type=_Bytes(),
    metavar="BYTES",
    help="So much may a version take in a replica, as in 500MB or 2GiB.  [default: no limit]",
)
@click.option(
    "--seconds",
    type=NumberRange(min=0, min_open=True),
    help="So long may a processor learn a task.  [default: no limit]",
)
@click.option(
    "--tower",
    "learns_tower",
    is_flag=True,
    help="Say what is known of methods that train the tower.",
)
@output_option
@click.pass_obj
def advise(
    path: Path | None,
    /,
    sources: Sequence[str],
    tasks: int | None,
    classes: int | None,
    images: int | None,
    output: str,
    **limits: Any,
) -> None:
    """Say which method to take for some tasks, from tables that were measured.

    SOURCES are task files, or images without one, as `nacre submit` takes them: each is a task,
    and classes and training images are counted. Without any, `--tasks`, `--classes` and `--images`
    say what there will be. With both, `--tasks` is how many like these there will be in all.

    Recommended is the most accurate method that fits, on the collections that are most like these
    tasks; of several that differ by less than half a point, the one that takes the least memory.
    Nothing is learnt, submitted or asked of a service (docs/advise.md).

    \b
    Examples:
      nacre advise ./eurosat ./dtd
      nacre advise --tasks 1000 --classes 10 --images 16
      nacre advise ./birds --tasks 40 --memory 200MB --seconds 5
      nacre advise --tasks 5 --classes 2 --images 500 --tower --output json

    \b
    Exit codes: 0 a method is recommended, 2 nothing fits, or a source cannot be read.
    """
    config = here_alone(configured(path))
    need = _need(
        config,
        sources,
        {"tasks": tasks, "classes": classes, "images": images},
        limits,
    )
    from harness.advice.advice import advise as advised
    from harness.advice.measured import measured_tables

    found = advised(need, measured_tables())
    if output == "json":
        print_json(advice_document(found))
    else:
        print_advice(found)


def _need(
    config: Config,
    sources: Sequence[str],
    said: dict[str, int | None],
    limits: dict[str, Any],
) -> "Need":
    """Return what is asked about; UsageError where it is not said, or said twice."""
    from harness.advice.advice import Need

    if not sources:
        missing = [f"--{name}" for name, value in said.items() if value is None]
        if missing:
            raise click.UsageError(
                f"expected sources, or --tasks, --classes and --images; without sources "
                f"{' and '.join(missing)} must be said"
            )
        tasks, classes, images = (said[name] or 0 for name in ("tasks", "classes", "images"))
        return Need(tasks=tasks, classes=tasks * classes, images=images, **limits)
    for name in ("classes", "images"):
        if said[name] is not None:
            raise click.UsageError(f"--{name} is counted in the sources; leave it out")
    counts = [_counts(config, source) for source in sources]
    tasks = said["tasks"] or len(sources)
    if tasks < len(sources):
        raise click.UsageError(
            f"--tasks: expected at least the {counted(len(sources), 'source')}, found {tasks}"
        )
    each = sum(len(found) for found in counts) / len(counts)
    middle = median(count for found in counts for count in found)
    return Need(tasks=tasks, classes=round(tasks * each), images=max(round(middle), 1), **limits)


def _counts(config: Config, source: str) -> list[int]:
    """Return the numbers of training images of the classes of a source."""
    from cluster.client.tasks import load_task

    task = load_task(source, config)
    return [len(task.images.get(key, ())) for key in task.classes]


VERBS = (bench, advise)
