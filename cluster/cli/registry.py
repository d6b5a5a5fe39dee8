"""Commands for the registry: looking into it, moving aliases, removing, exporting and importing."""

from dataclasses import asdict
from itertools import islice
from pathlib import Path

import click
from rich.filesize import decimal

from adapters.errors import CorruptionError, NacreError
from cluster.cli.facts import (
    counted,
    difference_json,
    entry_json,
    print_difference,
    print_garbage,
    print_history,
    print_report,
    print_shown,
    say,
    shown_json,
)
from cluster.cli.output import output_option, print_json, progress_bar
from cluster.cli.versions import adapter_option
from cluster.client.administration import Administration
from cluster.client.joined import configured

HOUR_S = 3600.0

why_option = click.option("--why", default="", help="The reason, kept in the history.")


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
    """List what was done to the versions and aliases, newest first: who, when and why.

    \b
    Examples:
      nacre history
      nacre history --limit 0 --output json
    """
    entries = list(islice(_open(path, adapter).history(), limit or None))
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
    """Show what VERSION, a number or an alias, holds and where it came from.

    \b
    Examples:
      nacre show production
      nacre show 3 --output json
    """
    shown = _open(path, adapter).show(version)
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
    found = _open(path, adapter).diff(before, after)
    if output == "json":
        print_json(difference_json(found))
    else:
        print_difference(found)


@click.command()
@click.argument("version")
@click.option("--alias", default="production", show_default=True, help="Any alias but `head`.")
@adapter_option
@why_option
@click.pass_obj
def promote(path: Path | None, version: str, alias: str, adapter: str | None, why: str) -> None:
    """Serve VERSION, and let the next task build on `head` as before.

    \b
    Examples:
      nacre promote 4 --why "passed review"
      nacre promote head --alias canary
    """
    number = _open(path, adapter).promote(version, alias=alias, why=why)
    say(f"{alias} now at version {number}")


@click.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--remove", is_flag=True, help="Remove the alias; its version stays.")
@adapter_option
@why_option
@click.pass_obj
def alias(
    path: Path | None,
    name: str,
    version: str | None,
    adapter: str | None,
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
    administration = _open(path, adapter)
    if version is None:
        number = administration.remove_alias(name, why=why)
        say(f"{name} removed; it was at version {number}")
    else:
        number = administration.alias(name, version, why=why)
        say(f"{name} now at version {number}")


@click.command()
@click.argument("task")
@click.option("--promote", "promoted", is_flag=True, help="Serve the new version at once.")
@adapter_option
@why_option
@click.pass_obj
def drop(path: Path | None, task: str, adapter: str | None, why: str, *, promoted: bool) -> None:
    """Publish a version of `head` without TASK; older versions keep it.

    \b
    Examples:
      nacre drop digits --why "no longer sold"
      nacre drop digits --promote
    """
    manifest = _open(path, adapter).drop(task, promoted=promoted, why=why)
    moved = "production and head" if promoted else "head"
    say(f"{task} dropped: {moved} now at version {manifest.number}")


@click.command()
@click.argument("task")
@adapter_option
@why_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
@click.pass_obj
def purge(
    path: Path | None, task: str, adapter: str | None, why: str, output: str, *, yes: bool
) -> None:
    """Remove TASK from every version, for good: its record, images and features.

    Refused while an alias points to a version that holds it: drop it first, and move the aliases.
    Images that another submission has too are kept. Submit none of its images meanwhile.

    \b
    Examples:
      nacre purge digits --why "the licence has ended"
      nacre purge digits --yes --output json
    """
    administration = _open(path, adapter)
    held = administration.held(task)
    numbers = ", ".join(map(str, held.versions))
    question = (
        f"This cannot be undone. {task!r} of adapter {administration.name!r} is removed for good, "
        f"and what held it can never be served again: version {numbers}. Go on?"
    )
    if not yes and not click.confirm(question, err=True):
        raise NacreError(f"nothing was purged: task {task!r} stays as it was", task=task)
    purged = administration.purge(task, why=why)
    if output == "json":
        print_json(asdict(purged))
        return
    versions = ", ".join(map(str, purged.versions))
    say(f"{task} purged from version {versions}: {counted(len(purged.keys), 'object')} removed")


@click.command("export")
@click.argument("version")
@click.argument("file", type=click.Path(path_type=Path))
@adapter_option
@click.pass_obj
def export(path: Path | None, version: str, file: Path, adapter: str | None) -> None:
    """Write VERSION to the new file FILE, a tar archive of everything it needs.

    \b
    Examples:
      nacre export production main.tar
    """
    with progress_bar(f"writing {file}") as report:
        manifest = _open(path, adapter).export(version, file, on_progress=report)
    size = decimal(file.stat().st_size)
    say(f"{manifest.adapter}@{manifest.number} written to {file} ({size})")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--alias",
    "aliases",
    multiple=True,
    default=("head",),
    show_default=True,
    help="Points to the new version; may be repeated. `head` only where there are no versions yet.",
)
@adapter_option
@why_option
@click.pass_obj
def import_(
    path: Path | None, file: Path, aliases: tuple[str, ...], adapter: str | None, why: str
) -> None:
    """Publish the version in FILE, written by `nacre export`, as a new version.

    \b
    Examples:
      nacre import main.tar --alias head --alias production
      nacre import main.tar --adapter restored
      nacre import main.tar --alias from-berlin
    """
    administration = _open(path, adapter)
    with progress_bar(f"reading {file}"):
        manifest = administration.take_in(file, aliases=aliases, why=why)
    moved = " and ".join(aliases)
    say(f"{file} published as {manifest.adapter}@{manifest.number}: {moved} points to it")


@click.command()
@adapter_option
@output_option
@click.pass_obj
def verify(path: Path | None, adapter: str | None, output: str) -> None:
    """Read and check every byte of every version; exit with 6 where something is damaged.

    \b
    Examples:
      nacre verify
      nacre verify --adapter main --output json
    """
    administration = _open(path, adapter)
    with progress_bar("checking") as report:
        found = administration.verify(on_progress=report)
    if output == "json":
        print_json({**asdict(found), "clean": found.clean})
    else:
        print_report(found)
    if not found.clean:
        raise CorruptionError(
            f"{counted(len(found.problems), 'problem')} in adapter {administration.name!r}: "
            "restore the named objects from a backup, then verify again",
            adapter=administration.name,
        )


@click.command()
@click.option("--delete", is_flag=True, help="Remove what is found; else only say what would be.")
@click.option(
    "--grace",
    "grace_h",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Younger objects stay.",
)
@click.option(
    "--blobs",
    is_flag=True,
    help="Also shards, features and handovers that nothing names, older than a day at least. "
    "Submit nothing meanwhile.",
)
@adapter_option
@output_option
@click.pass_obj
def gc(
    path: Path | None,
    grace_h: float,
    adapter: str | None,
    output: str,
    *,
    delete: bool,
    blobs: bool,
) -> None:
    """Find what no version leads to: leftovers of lost races and dead processes.

    Versions that were ever published stay. It may run beside any number of writers; only with
    --blobs nothing may be submitted meanwhile.

    \b
    Examples:
      nacre gc
      nacre gc --delete
      nacre gc --delete --blobs --grace 72
    """
    administration = _open(path, adapter)
    grace_s = grace_h * HOUR_S
    with progress_bar("collecting") as report:
        found = {
            f"adapters/{administration.name}/": administration.collect(
                grace_s=grace_s, dry_run=not delete, on_progress=report
            )
        }
        if blobs:
            found |= administration.collect_blobs(
                grace_s=grace_s, dry_run=not delete, on_progress=report
            )
    if output == "json":
        print_json({"deleted": delete, "found": {key: asdict(each) for key, each in found.items()}})
    else:
        print_garbage(found, deleted=delete)


VERBS = (history, show, diff, promote, alias, drop, purge, export, import_, verify, gc)


def _open(path: Path | None, adapter: str | None) -> Administration:
    return Administration(configured(path), adapter=adapter)
