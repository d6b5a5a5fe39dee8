"""The command `nacre doctor`: checks of everything that the system needs, or of one store."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from adapters.contract.counts import counted
from adapters.errors import SettingsError, UnavailableError
from cluster.cli.clients import here_alone
from cluster.cli.terminal.output import output_option, print_json, progress_bar, stdout
from cluster.client.joined import configured
from cluster.config import Config
from cluster.system.doctor import Finding, examine
from cluster.system.store_doctor import PROCESSES, SECONDS, examine_store

SIGNS = {"ok": "ok  ", "warning": "warn", "error": "FAIL"}


@click.command(short_help="Check everything, and say what to do.")
@click.option("--address", help="`auto` or HOST:PORT of a running Ray to look at.")
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="URL",
    help="Look at this store alone: race for keys of it from several processes. Given more than "
    "once, the URLs are addresses of one store.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1.0),
    help=f"With --store: how long to race.  [default: {SECONDS:g}]",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help=f"With --store: how many race.  [default: {PROCESSES}]",
)
@output_option
@click.pass_obj
def doctor(
    path: Path | None,
    address: str | None,
    stores: Sequence[str],
    seconds: float | None,
    processes: int | None,
    output: str,
) -> None:
    """Check everything that nacre needs, and say what to do.

    It checks the environment, the store, the encoder's weights and the cluster.

    With --store it checks only that store, which need not be the configured one: whether
    conditional writes hold, whether two writers ever won one race, what answers and how fast, and
    whether a read was older than one before. It removes what it writes there, also after an
    interrupt.

    \b
    Examples:
      nacre doctor
      nacre doctor --address auto --output json
      nacre doctor --store 's3://bucket/prefix?endpoint=http://minio:9000' --seconds 60

    \b
    Exit codes: 0 all is well, 4 a check failed or the store cannot be judged now,
    2 the store must not be used or does not let us in, 130 interrupted.
    """
    here_alone(Config())
    if stores:
        if address:
            raise click.UsageError("--address is about a Ray, --store about one store alone")
        _look_at(stores, seconds or SECONDS, processes or PROCESSES, output)
        return
    if seconds or processes:
        raise click.UsageError("--seconds and --processes belong to --store")
    config = here_alone(configured(path))
    config = replace(config, ray=address) if address else config
    with progress_bar("checking") as report:
        findings = list(examine(config, on_progress=report))
    if output == "json":
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    failed = [finding for finding in findings if finding.level == "error"]
    if failed:
        raise UnavailableError(f"{len(failed)} of {counted(len(findings), 'check')} failed")


def _look_at(urls: Sequence[str], seconds: float, processes: int, output: str) -> None:
    with progress_bar("racing, in seconds") as report:
        found = examine_store(urls, seconds=seconds, processes=processes, report=report)
    if output == "json":
        print_json(found.to_json())
    else:
        _print(list(found.findings()))
    if found.fit is None:
        raise UnavailableError(f"the store {found.urls[0]} {found.verdict}")
    if not found.fit:
        raise SettingsError(f"the store {found.urls[0]} {found.verdict}", url=found.urls[0])


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        stdout().print(f"{SIGNS[finding.level]}  {finding.check}: {finding.found}", markup=False)
        if finding.remedy:
            stdout().print(f"      {finding.remedy}", markup=False)


VERBS = (doctor,)
