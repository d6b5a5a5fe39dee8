"""Commands for the registry: versions, history, show, diff, promote, rollback, alias, drop."""

from pathlib import Path

import click

from cluster.cli.clients import client_of
from cluster.cli.known import check_known
from cluster.cli.terminal.completion import ALIASES, IN_HEAD, SERVABLE, VERSIONS
from cluster.cli.terminal.facts import (
    print_difference,
    print_history,
    print_shown,
    print_versions,
    say_relearnt,
)
from cluster.cli.terminal.options import adapter_option, by_option, relearn_option, why_option
from cluster.cli.terminal.output import note, output_option, print_json, say, warn
from cluster.wire.versions import Moved


@click.command(short_help="List the published versions.")
@adapter_option
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Most versions to list; 0 lists all.",
)
@click.option(
    "--before",
    type=click.IntRange(min=0),
    metavar="VERSION",
    help="List only versions before the one of this number, to go on there.",
)
@output_option
@click.pass_obj
def versions(
    path: Path | None, adapter: str | None, limit: int, before: int | None, output: str
) -> None:
    """List the published versions, newest first.

    \b
    Examples:
      nacre versions
      nacre versions --limit 0 --output json
      nacre versions --before 981
    """
    client = client_of(path)
    found = client.versions(adapter, limit=limit, before=before)
    if not found:
        check_known(client, adapter)
    if output == "json":
        print_json(found)
    else:
        print_versions(found, before=before)
        if limit and len(found) == limit and found[-1].number > 1:
            note(f"the older ones: --before {found[-1].number}, or --limit 0 for all")


@click.command(short_help="List who moved what, when and why.")
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
    client = client_of(path)
    check_known(client, adapter)
    entries = client.history(adapter, limit=limit)
    if output == "json":
        print_json(entries)
    else:
        print_history(entries)


@click.command(short_help="Show one version.")
@click.argument("version", shell_complete=VERSIONS)
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
    client = client_of(path)
    check_known(client, adapter)
    shown = client.show(version, adapter=adapter)
    if output == "json":
        print_json(shown)
    else:
        print_shown(shown)


@click.command(short_help="Show what changed between two versions.")
@click.argument("before", shell_complete=VERSIONS)
@click.argument("after", shell_complete=VERSIONS)
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
    client = client_of(path)
    check_known(client, adapter)
    found = client.diff(before, after, adapter=adapter)
    if output == "json":
        print_json(found)
    else:
        print_difference(found)


@click.command(short_help="Serve a version.")
@click.argument("version", shell_complete=SERVABLE)
@click.option(
    "--alias",
    default="production",
    show_default=True,
    help="Any alias but `head`.",
    shell_complete=ALIASES,
)
@click.option("--with-head", is_flag=True, help="Move `head`, too: the next task builds on it.")
@adapter_option
@by_option
@why_option
@output_option
@click.pass_obj
def promote(
    path: Path | None,
    version: str,
    alias: str,
    adapter: str | None,
    by: str | None,
    why: str,
    output: str,
    *,
    with_head: bool,
) -> None:
    """Serve VERSION. The next task builds on `head` as before, unless --with-head moves it.

    \b
    Examples:
      nacre promote 4 --why "passed review"
      nacre promote head --alias canary
      nacre promote tiny-vit --with-head --why "sees more"
    """
    client = client_of(path, by=by)
    check_known(client, adapter)
    moved = client.promote(version, adapter=adapter, alias=alias, with_head=with_head, why=why)
    told = " and ".join(moved.moved)
    _print_moved(moved, output, said=f"{told} now at version {moved.version}")


@click.command(short_help="Serve an earlier version again.")
@click.argument("version", shell_complete=SERVABLE)
@adapter_option
@click.option("--serving-only", is_flag=True, help="Leave `head`: the next task builds on it.")
@by_option
@why_option
@output_option
@click.pass_obj
def rollback(
    path: Path | None,
    version: str,
    adapter: str | None,
    by: str | None,
    why: str,
    output: str,
    *,
    serving_only: bool,
) -> None:
    """Serve VERSION again, and build the next task on it.

    Nothing is deleted: later versions stay, and can be served again. What would not be known any
    more is shown before by `nacre diff production VERSION`.

    \b
    Examples:
      nacre rollback 3 --why "digits were mislabelled"
      nacre rollback 3 --serving-only
    """
    client = client_of(path, by=by)
    check_known(client, adapter)
    moved = client.rollback(version, adapter=adapter, serving_only=serving_only, why=why)
    told = " and ".join(reversed(moved.moved))
    _print_moved(moved, output, said=f"{told} now at version {moved.version}")


@click.command(short_help="Give a version a name, or take it away.")
@click.argument("name", shell_complete=ALIASES)
@click.argument("version", required=False, shell_complete=SERVABLE)
@click.option("--remove", is_flag=True, help="Remove the alias; its version stays.")
@adapter_option
@by_option
@why_option
@output_option
@click.pass_obj
def alias(
    path: Path | None,
    name: str,
    version: str | None,
    adapter: str | None,
    by: str | None,
    why: str,
    output: str,
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
    client = client_of(path, by=by)
    check_known(client, adapter)
    if version is None:
        moved = client.remove_alias(name, adapter=adapter, why=why)
        done = f"{name} removed; it was at version {moved.version}"
    else:
        moved = client.alias(name, version, adapter=adapter, why=why)
        done = f"{name} now at version {moved.version}"
    _print_moved(moved, output, said=done)


@click.command(short_help="Publish a version without a task.")
@click.argument("task", shell_complete=IN_HEAD)
@click.option("--promote", "promoted", is_flag=True, help="Serve the new version at once.")
@relearn_option("Learn later tasks again where their shared state has learnt from TASK.")
@adapter_option
@by_option
@why_option
@output_option
@click.pass_obj
def drop(
    path: Path | None,
    task: str,
    adapter: str | None,
    by: str | None,
    why: str,
    output: str,
    *,
    promoted: bool,
    relearn: bool,
) -> None:
    """Publish a version of `head` without TASK. Older versions keep it.

    The tasks of some methods, such as cl_lora and dmc, share a state: later tasks were learnt on
    the state that TASK left. With these methods, only the newest task can be dropped alone. For
    any other, --relearn also leaves out the later tasks and submits them again. If the command is
    interrupted, call it again.

    \b
    Examples:
      nacre drop digits --why "no longer sold"
      nacre drop digits --promote
      nacre drop digits --relearn
    """
    client = client_of(path, by=by)
    check_known(client, adapter)
    dropped = client.drop(task, adapter=adapter, promoted=promoted, relearn=relearn, why=why)
    told = " and ".join(reversed(dropped.moved))
    _print_moved(dropped, output, said=f"{task} dropped: {told} now at version {dropped.version}")
    if output == "text":
        say_relearnt(dropped.relearnt)


VERBS = (versions, history, show, diff, promote, rollback, alias, drop)


def _print_moved(moved: Moved, output: str, *, said: str) -> None:
    """Print what was moved, and then what is to be known of it."""
    if output == "json":
        print_json(moved)
        return
    say(said)
    warn(*moved.notes)
