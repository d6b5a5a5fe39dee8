"""Commands for the registry: versions, history, show, diff, promote, rollback, alias, drop."""

from itertools import islice
from pathlib import Path

import click

from cluster.cli.facts import (
    difference_json,
    entry_json,
    print_difference,
    print_history,
    print_shown,
    print_versions,
    say,
    shown_json,
    version_json,
)
from cluster.cli.options import adapter_option, by_option, why_option
from cluster.cli.output import output_option, print_json
from cluster.client.client import Client
from cluster.client.joined import configured


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
    else:
        print_versions(found)


@click.command()
@adapter_option
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Most moves to list; 0 lists all.",
)
@output_option
@click.pass_obj
def history(path: Path | None, adapter: str | None, limit: int, output: str) -> None:
    """List every move of versions and aliases: who, when and why.

    The newest is first.

    \b
    Examples:
      nacre history
      nacre history --limit 0 --output json
    """
    entries = list(islice(Client(configured(path)).history(adapter), limit or None))
    if output == "json":
        print_json([entry_json(entry) for entry in entries])
    else:
        print_history(entries)


@click.command()
@click.argument("version")
@adapter_option
@output_option
@click.pass_obj
def show(path: Path | None, version: str, adapter: str | None, output: str) -> None:
    """Show what VERSION holds and where it came from.

    VERSION is a number or an alias. The accuracies were measured when it was published, over the
    classes learnt until then; those of `nacre evaluate` are over the classes of all columns.

    \b
    Examples:
      nacre show production
      nacre show 3 --output json
    """
    shown = Client(configured(path)).show(version, adapter=adapter)
    if output == "json":
        print_json(shown_json(shown))
    else:
        print_shown(shown)


@click.command()
@click.argument("before")
@click.argument("after")
@adapter_option
@output_option
@click.pass_obj
def diff(path: Path | None, before: str, after: str, adapter: str | None, output: str) -> None:
    """Show what changed from version BEFORE to version AFTER.

    \b
    Examples:
      nacre diff 3 production
      nacre diff 3 4 --output json
    """
    found = Client(configured(path)).diff(before, after, adapter=adapter)
    if output == "json":
        print_json(difference_json(found))
    else:
        print_difference(found)


@click.command()
@click.argument("version")
@click.option("--alias", default="production", show_default=True, help="Any alias but `head`.")
@adapter_option
@by_option
@why_option
@click.pass_obj
def promote(
    path: Path | None, version: str, alias: str, adapter: str | None, by: str | None, why: str
) -> None:
    """Serve VERSION. The next task builds on `head` as before.

    \b
    Examples:
      nacre promote 4 --why "passed review"
      nacre promote head --alias canary
    """
    client = Client(configured(path))
    number = client.promote(version, adapter=adapter, alias=alias, by=by, why=why)
    say(f"{alias} now at version {number}")


@click.command()
@click.argument("version")
@adapter_option
@click.option("--serving-only", is_flag=True, help="Leave `head`: the next task builds on it.")
@by_option
@why_option
@click.pass_obj
def rollback(
    path: Path | None,
    version: str,
    adapter: str | None,
    by: str | None,
    why: str,
    *,
    serving_only: bool,
) -> None:
    """Serve VERSION again, and build the next task on it.

    Nothing is deleted: later versions stay, and can be served again.

    \b
    Examples:
      nacre rollback 3 --why "digits were mislabelled"
      nacre rollback 3 --serving-only
    """
    client = Client(configured(path))
    number = client.rollback(version, adapter=adapter, serving_only=serving_only, by=by, why=why)
    moved = "production" if serving_only else "production and head"
    say(f"{moved} now at version {number}")


@click.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--remove", is_flag=True, help="Remove the alias; its version stays.")
@adapter_option
@by_option
@why_option
@click.pass_obj
def alias(
    path: Path | None,
    name: str,
    version: str | None,
    adapter: str | None,
    by: str | None,
    why: str,
    *,
    remove: bool,
) -> None:
    """Give VERSION the NAME, or take the name away again.

    \b
    Examples:
      nacre alias 2026-q3 4
      nacre alias 2026-q3 --remove
    """
    if remove == (version is not None):
        raise click.UsageError("give either a version to point to, or --remove")
    client = Client(configured(path))
    if version is None:
        number = client.remove_alias(name, adapter=adapter, by=by, why=why)
        say(f"{name} removed; it was at version {number}")
    else:
        number = client.alias(name, version, adapter=adapter, by=by, why=why)
        say(f"{name} now at version {number}")


@click.command()
@click.argument("task")
@click.option("--promote", "promoted", is_flag=True, help="Serve the new version at once.")
@adapter_option
@by_option
@why_option
@click.pass_obj
def drop(
    path: Path | None,
    task: str,
    adapter: str | None,
    by: str | None,
    why: str,
    *,
    promoted: bool,
) -> None:
    """Publish a version of `head` without TASK. Older versions keep it.

    \b
    Examples:
      nacre drop digits --why "no longer sold"
      nacre drop digits --promote
    """
    client = Client(configured(path))
    manifest = client.drop(task, adapter=adapter, promoted=promoted, by=by, why=why)
    moved = "production and head" if promoted else "head"
    say(f"{task} dropped: {moved} now at version {manifest.number}")


VERBS = (versions, history, show, diff, promote, rollback, alias, drop)
