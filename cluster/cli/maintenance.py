"""Commands for the maintenance of a store: export, import, verify, purge, gc."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.filesize import decimal

from adapters.contract.counts import agreeing, counted
from adapters.errors import CorruptionError, NacreError
from cluster.cli.clients import client_of
from cluster.cli.known import check_known
from cluster.cli.terminal.answers import agreed
from cluster.cli.terminal.completion import HELD, SERVABLE
from cluster.cli.terminal.facts import print_garbage, print_report, say_relearnt
from cluster.cli.terminal.numbers import NumberRange
from cluster.cli.terminal.options import adapter_option, by_option, relearn_option, why_option
from cluster.cli.terminal.output import output_option, print_json, progress_bar, say, warn

HOUR_S = 3600.0


@click.command("export", short_help="Write a version to a file.")
@click.argument("version", shell_complete=SERVABLE)
@click.argument("file", type=click.Path(path_type=Path))
@adapter_option
@output_option
@click.pass_obj
def export(path: Path | None, version: str, file: Path, adapter: str | None, output: str) -> None:
    """Write VERSION to the new file FILE.

    FILE is a tar archive of everything that the version needs to answer. Test images are not in it.


    \b
    Examples:
      nacre export production main.tar
    """
    client = client_of(path)
    check_known(client, adapter)
    with progress_bar(f"writing {file}") as report:
        exported = client.export(version, file, adapter=adapter, on_progress=report)
    if output == "json":
        print_json(exported)
    else:
        size = decimal(exported.size_bytes)
        say(f"{exported.adapter}@{exported.version} written to {file} ({size})")


@click.command("import", short_help="Publish the version in a file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--alias",
    "aliases",
    multiple=True,
    default=("head",),
    show_default=True,
    help="Alias for the new version; may be repeated. `head` only in an empty adapter.",
)
@click.option("--purged", is_flag=True, help="Also bring back what was purged of this store.")
@adapter_option
@by_option
@why_option
@output_option
@click.pass_obj
def import_(
    path: Path | None,
    file: Path,
    aliases: tuple[str, ...],
    adapter: str | None,
    by: str | None,
    why: str,
    output: str,
    *,
    purged: bool,
) -> None:
    """Publish the version in FILE, which `nacre export` wrote.

    The version gets the next number of the adapter. A version that the adapter has already is not
    published again. One that holds a purged task, or has learnt from it, is refused.

    \b
    Examples:
      nacre import main.tar --alias head --alias production
      nacre import main.tar --adapter restored
      nacre import main.tar --alias from-berlin
    """
    client = client_of(path, by=by)
    with progress_bar(f"reading {file}"):
        found = client.import_(file, adapter=adapter, aliases=aliases, purged=purged, why=why)
    if output == "json":
        print_json(found)
        return
    version = f"{found.adapter}@{found.version}"
    point = "points" if len(aliases) == 1 else "point"
    if found.is_new:
        say(f"{file} published as {version}: {' and '.join(aliases)} {point} to it")
        warn(*found.notes)
        return
    say(f"{file} is there already as {version}: nothing was published")
    for alias in aliases:
        there = "points to it" if alias in found.moved else "points elsewhere, and was left there"
        say(f"{alias} {there}")


@click.command(short_help="Check every byte of every version.")
@adapter_option
@output_option
@click.pass_obj
def verify(path: Path | None, adapter: str | None, output: str) -> None:
    """Read and check every byte of every version.

    Exits with 6 where something is damaged.

    \b
    Examples:
      nacre verify
      nacre verify --adapter main --output json
    """
    client = client_of(path)
    check_known(client, adapter)
    with progress_bar("checking") as report:
        found = client.verify(adapter, on_progress=report)
    if output == "json":
        print_json(found)
    else:
        print_report(found)
    if not found.clean:
        name = adapter or client.config.adapter
        raise CorruptionError(
            f"{counted(len(found.problems), 'problem')} in adapter {name!r}: restore the named "
            "objects from a backup, then verify again",
            adapter=name,
        )


@click.command(short_help="Settle what the store has lost.")
@adapter_option
@by_option
@why_option
@output_option
@click.pass_obj
def settle(path: Path | None, adapter: str | None, by: str | None, why: str, output: str) -> None:
    """Settle acknowledged changes that the store has lost.

    Check and repair the store first (`nacre doctor --store URL`).

    Such a loss means that the store let two writers win, or was restored from a copy. Until you
    settle it, nothing is published; replicas go on answering. The command publishes lost versions
    again from their stored records, without learning. It names other lost changes, such as
    promotions, so that you can make them again.

    \b
    Examples:
      nacre settle --why "a gateway that is not atomic was replaced by the server itself"
      nacre settle --adapter main --why "restored from the backup of yesterday" --output json
    """
    client = client_of(path, by=by)
    check_known(client, adapter)
    with progress_bar("looking for what is lost"):
        found = client.settle(adapter, why=why)
    if output == "json":
        print_json(found)
    elif not found:
        say("nothing is lost")
    for each in found if output == "text" else ():
        again = f"published again as version {each.version}" if each.version else "let go"
        say(f"{each.lost}: {again}{f'; {each.note}' if each.note else ''}")


@click.command(short_help="Remove a task for good.")
@click.argument("task", shell_complete=HELD)
@adapter_option
@by_option
@why_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@relearn_option("Learn other tasks again that are lost with TASK and that `head` does not have.")
@output_option
@click.pass_obj
def purge(
    path: Path | None,
    task: str,
    adapter: str | None,
    by: str | None,
    why: str,
    output: str,
    *,
    yes: bool,
    relearn: bool,
) -> None:
    """Remove TASK from every version, for good.

    Its record, images and features are removed, and every shared state that has learnt from it.

    The command refuses while an alias points to a version that holds one of these: drop the task
    first, and move the aliases. Images that another submission also has are kept. Do not submit
    images of the task while the command runs.

    \b
    Examples:
      nacre purge digits --why "the licence has ended"
      nacre purge digits --yes --output json
      nacre purge digits --relearn
    """
    client = client_of(path, by=by)
    check_known(client, adapter)
    versions = _named_versions(client.held(task, adapter=adapter).versions)
    name = adapter or client.config.adapter
    question = (
        f"This cannot be undone. {task!r} of adapter {name!r} is removed for good, and what held "
        f"it can never be served again: {versions}. Go on?"
    )
    unanswered = "nothing was purged; `--yes` purges without asking"
    if not yes and not agreed(question, unanswered=unanswered):
        raise NacreError(f"nothing was purged: task {task!r} stays as it was", task=task)
    purged = client.purge(task, adapter=adapter, relearn=relearn, why=why)
    if output == "json":
        print_json(purged)
        return
    removed = counted(len(purged.keys), "object")
    say(f"{task} purged from {_named_versions(purged.versions)}: {removed} removed")
    say_relearnt(purged.relearnt)


def _named_versions(numbers: Sequence[int]) -> str:
    return f"{agreeing(len(numbers), 'version')} {', '.join(map(str, numbers))}"


@click.command(short_help="Find or remove what nothing needs.")
@click.option("--delete", is_flag=True, help="Remove what is found; without it, only list it.")
@click.option(
    "--grace",
    "grace_h",
    type=NumberRange(min=0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Keep objects younger than this.",
)
@click.option(
    "--blobs",
    is_flag=True,
    help="Also find shards, features and handovers that nothing names and that are at least a day "
    "old. Submit nothing while it runs.",
)
@adapter_option
@by_option
@output_option
@click.pass_obj
def gc(
    path: Path | None,
    grace_h: float,
    adapter: str | None,
    by: str | None,
    output: str,
    *,
    delete: bool,
    blobs: bool,
) -> None:
    """Find objects that no version needs, and remove them with --delete.

    Lost races and dead processes leave such objects behind.

    Every version that was ever published stays. The command may run beside any number of writers.
    With --blobs, submit nothing while it runs.

    \b
    Examples:
      nacre gc
      nacre gc --delete
      nacre gc --delete --blobs --grace 72
    """
    client = client_of(path, by=by)
    check_known(client, adapter)
    with progress_bar("collecting") as report:
        found = client.gc(
            adapter,
            grace_s=grace_h * HOUR_S,
            dry_run=not delete,
            blobs=blobs,
            on_progress=report,
        )
    if output == "json":
        print_json(found)
    else:
        print_garbage(found)


VERBS = (export, import_, verify, settle, purge, gc)
