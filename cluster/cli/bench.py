"""The command `nacre bench`: methods measured by the protocol of the papers.

What imports torch is imported where it is used: `nacre --help` and completion read this, too.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.contract.counts import agreeing
from adapters.contract.nearest import did_you_mean
from adapters.errors import NotFoundError
from cluster.cli.clients import here_alone
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.nearest import NearestGroup
from cluster.cli.terminal.output import Bar, bars, note, output_option, print_json, stdout, warn
from cluster.cli.terminal.tables import print_table
from cluster.config import Config, home
from harness.published import PUBLISHED

if TYPE_CHECKING:
    from cluster.evaluation.benching import SuiteFolders
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
        stdout().print(f"report: {page}", markup=False)
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
        stdout().print(f"{findings.suite.name}, order {order}", markup=False)
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
            stdout().print(f"answers are chosen among {of} {candidates} classes", markup=False)


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


VERBS = (bench,)
