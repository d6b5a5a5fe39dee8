"""Commands that look at this machine: `doctor`, and `support-bundle` for whoever is to help."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.filesize import decimal

from adapters.contract.counts import counted
from adapters.errors import NacreError, SettingsError, UnavailableError
from cluster.cli.clients import here_alone
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.numbers import NumberRange
from cluster.cli.terminal.output import (
    output_option,
    print_json,
    progress_bar,
    say,
    stdout,
    warn,
)
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
    type=NumberRange(min=1.0),
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


@click.command("support-bundle", short_help="Gather what somebody needs to help.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--verify/--no-verify",
    "verified",
    default=True,
    show_default=True,
    help="Read every byte of every version, for two minutes at most.",
)
@output_option
@click.pass_obj
def support_bundle(path: Path | None, file: Path | None, output: str, *, verified: bool) -> None:
    """Write what somebody needs who is to find out from afar what is wrong, to the new file FILE.

    FILE is a tar.gz of versions of packages, configuration, status, journals, metrics, the logs of
    the last hour on this machine, and what `doctor` and `verify` say. Without FILE it is named by
    the time. It is made while the system is down or the store away, too: README.txt in it says
    what is missing, and why.

    Secrets are hidden. Names of tasks, classes, machines and people are not; no image is in it.

    \b
    Examples:
      nacre support-bundle
      nacre support-bundle /tmp/nacre.tar.gz --no-verify
      nacre support-bundle --output json
    """
    from cluster.system.support_bundle import write_bundle
    from cluster.system.support_parts import Surroundings

    now = time.time()
    target = file or Path(time.strftime("nacre-support-%Y%m%d-%H%M%S.tar.gz", time.gmtime(now)))
    seen = Surroundings.here(_configured(path), verified=verified)
    with interruptible("nothing of the bundle is left"), progress_bar("gathering") as report:
        made = write_bundle(target, seen, now=now, on_progress=report)
    if output == "json":
        print_json(made)
        return
    say(f"{target} written ({decimal(made.size_bytes)}); look through it before you send it")
    warn(*(f"{each.part} is not all there: {each.missing}" for each in made.parts if each.missing))


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
        stdout().print(f"{SIGNS[finding.level]}  {finding.check}: {finding.found}")
        if finding.remedy:
            stdout().print(f"      {finding.remedy}")


def _configured(path: Path | None) -> Config | NacreError:
    """Return the configuration of this machine; what is wrong with it is a part of the bundle."""
    try:
        config = configured(path)
    except NacreError as error:
        return error
    return here_alone(config)


VERBS = (doctor, support_bundle)
