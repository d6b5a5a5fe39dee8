"""The command `nacre doctor`: checks of everything that the system needs."""

from dataclasses import asdict, replace
from pathlib import Path

import click

from adapters.errors import UnavailableError
from cluster.cli.output import output_option, print_json, progress_bar, stdout
from cluster.client.joined import configured
from cluster.system.doctor import examine

SIGNS = {"ok": "ok  ", "warning": "warn", "error": "FAIL"}


@click.command()
@click.option("--address", help="`auto` or HOST:PORT of a running Ray to look at.")
@output_option
@click.pass_obj
def doctor(path: Path | None, address: str | None, output: str) -> None:
    """Check the environment, the store, the encoder's weights and the cluster, and say what to do.

    \b
    Examples:
      nacre doctor
      nacre doctor --address auto --output json
    """
    config = configured(path)
    config = replace(config, ray=address) if address else config
    findings = []
    with progress_bar("looking") as report:
        for finding in examine(config):
            findings.append(finding)
            report(len(findings), len(findings) + 1)
    if output == "json":
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            stdout().print(
                f"{SIGNS[finding.level]}  {finding.check}: {finding.found}", markup=False
            )
            if finding.remedy:
                stdout().print(f"      {finding.remedy}", markup=False)
    failed = [finding for finding in findings if finding.level == "error"]
    if failed:
        raise UnavailableError(f"{len(failed)} of {len(findings)} checks failed")


VERBS = (doctor,)
