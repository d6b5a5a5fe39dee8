"""Commands for published versions: versions, rollback."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from cluster.cli.output import output_option, print_json, print_table, stdout
from cluster.client.client import Client, Version
from cluster.client.joined import configured

adapter_option = click.option("--adapter", help="Which adapter.  [default: the configured one]")


@click.command()
@adapter_option
@output_option
@click.pass_obj
def versions(path: Path | None, adapter: str | None, output: str) -> None:
    """List the published versions, newest first.

    \b
    Examples:
      nacre versions
      nacre versions --adapter main --output json
    """
    found = Client(configured(path)).versions(adapter)
    if output == "json":
        print_json([version_json(version) for version in found])
        return
    rows = [
        (
            version.manifest.number,
            ", ".join(version.aliases),
            version.manifest.parent.number if version.manifest.parent else "",
            len(version.manifest.tasks),
            version.manifest.class_count,
            version.manifest.tasks[-1].task if version.manifest.tasks else "",
            f"{_mean(version):.1%}" if version.accuracies else "",
            _when(version),
        )
        for version in found
    ]
    columns = (
        "version",
        "aliases",
        "parent",
        "tasks",
        "classes",
        "newest task",
        "mean accuracy",
        "published",
    )
    print_table(columns, rows, empty="no versions yet; submit a task with `nacre submit`")


@click.command()
@click.argument("version")
@adapter_option
@click.option("--serving-only", is_flag=True, help="Leave `head`: the next task builds on it.")
@click.option("--why", default="", help="The reason, kept in the history.")
@click.pass_obj
def rollback(
    path: Path | None, version: str, adapter: str | None, why: str, *, serving_only: bool
) -> None:
    """Serve VERSION again and build the next task on it; nothing is deleted.

    \b
    Examples:
      nacre rollback 3 --why "digits were mislabelled"
      nacre rollback 3 --serving-only
    """
    client = Client(configured(path))
    number = client.rollback(version, adapter=adapter, serving_only=serving_only, why=why)
    moved = "production" if serving_only else "production and head"
    stdout().print(f"{moved} now at version {number}")


VERBS = (versions, rollback)


def version_json(version: Version) -> dict[str, object]:
    """Return the facts of a version as JSON says them."""
    manifest = version.manifest
    return {
        "number": manifest.number,
        "adapter": manifest.adapter,
        "aliases": list(version.aliases),
        "parent": manifest.parent.number if manifest.parent else None,
        "tasks": [asdict(task) for task in manifest.tasks],
        "encoder": manifest.encoder,
        "method": manifest.method,
        "created": manifest.created,
        "accuracies": {entry.task: entry.accuracy for entry in version.accuracies},
    }


def _mean(version: Version) -> float:
    return sum(entry.accuracy for entry in version.accuracies) / len(version.accuracies)


def _when(version: Version) -> str:
    return datetime.fromtimestamp(version.manifest.created, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
