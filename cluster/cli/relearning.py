"""Learning an adapter anew under another encoder, on the command line: `relearn`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.filesize import decimal

from adapters.contract.counts import counted
from adapters.errors import NacreError
from cluster.cli.clients import client_of
from cluster.cli.known import check_known
from cluster.cli.progress import watched
from cluster.cli.terminal.completion import ADAPTERS
from cluster.cli.terminal.options import by_option
from cluster.cli.terminal.output import output_option, print_json, say, warn
from cluster.cli.terminal.queue_table import why_ended
from cluster.cli.terminal.tables import print_table
from cluster.wire.tasks import TaskState
from cluster.wire.versions import RelearntAdapter, VersionDifference
from workers.queue.ticket import Stage

if TYPE_CHECKING:
    from cluster.client.road import AnyClient


@click.command(short_help="Learn an adapter anew under another encoder.")
@click.argument("adapter", required=False, shell_complete=ADAPTERS)
@click.option(
    "--encoder",
    required=True,
    metavar="NAME|FOLDER",
    help="`tiny`, `tiny-vit`, a name under `encoders:` in the configuration, or a folder.",
)
@click.option(
    "--as",
    "alias",
    metavar="ALIAS",
    help="The alias of the new versions.  [default: as the encoder is called]",
)
@click.option("--partial", is_flag=True, help="Leave out tasks whose images are not kept any more.")
@click.option("--dry-run", is_flag=True, help="Submit nothing; say what it would take.")
@click.option("--wait", is_flag=True, help="Return when all have ended, and compare the versions.")
@by_option
@output_option
@click.pass_obj
def relearn(
    path: Path | None,
    /,
    adapter: str | None,
    encoder: str,
    alias: str | None,
    by: str | None,
    output: str,
    *,
    wait: bool,
    **asked: bool,
) -> None:
    """Learn the tasks of ADAPTER anew under another encoder, from kept images.

    The new versions stand beside the old ones, under an alias of their own, and are measured on the
    same test images. Nothing that is served changes: `nacre promote ALIAS --with-head` goes over to
    them in one instant, and `nacre rollback` goes back.

    The tasks are ordinary submissions, in the order in which they were learnt. Where images of a
    task are not kept any more, nothing is submitted unless --partial is given. Called again, it
    finds what it has submitted, and adds what was learnt meanwhile.

    \b
    Examples:
      nacre relearn main --encoder tiny-vit --dry-run
      nacre relearn main --encoder tiny-vit --wait
      nacre relearn main --encoder ./my-clip --as mine --partial
    """
    client = client_of(path, by=by)
    check_known(client, adapter)
    found = client.relearn(encoder, adapter=adapter, alias=alias, **asked)
    if output == "text":
        _print_plan(found, dry_run=asked["dry_run"])
    if wait and found.submissions:
        _wait(client, found, output)
    elif output == "json":
        print_json(found)


VERBS = (relearn,)


def _print_plan(found: RelearntAdapter, *, dry_run: bool) -> None:
    rows = [
        (each.task, each.state, each.images or "", each.size_bytes and decimal(each.size_bytes))
        for each in found.tasks
    ]
    print_table(("task", "state", "images", "stored"), rows, empty="no tasks")
    warn(*(f"{each.task}: {each.why}" for each in found.tasks if each.why))
    say(
        f"{counted(found.images, 'image')}, {decimal(found.size_bytes)}, under {found.encoder}: "
        f"{_took(found)}"
    )
    if dry_run:
        say("nothing was submitted")
    elif found.submissions:
        say(f"submitted: {' '.join(found.submissions)}")
    else:
        say(f"nothing is to be submitted: {found.adapter}@{found.alias} has all, or it is coming")


def _took(found: RelearntAdapter) -> str:
    if found.encoding_s is None or found.learning_s is None:
        return "nobody knows how long that takes, as no earlier task was written down"
    return (
        f"about {found.encoding_s:.0f} s of encoding and {found.learning_s:.0f} s of learning, as "
        f"earlier tasks took under encoder {(found.measured_under or '')[:12]}"
    )


def _wait(client: "AnyClient", found: RelearntAdapter, output: str) -> None:
    """Follow what was submitted, and compare the versions at the end."""
    states = watched(client, [client.state(name) for name in found.submissions])
    compared = None
    if found.alias in client.aliases(found.adapter):
        compared = client.diff(found.source, found.alias, adapter=found.adapter)
    if output == "json":
        print_json(found)
    elif compared is not None:
        _print_compared(found, compared)
    _check_published(states)


def _print_compared(found: RelearntAdapter, compared: VersionDifference) -> None:
    before, after = (f"{found.adapter}@{n}" for n in (compared.before, compared.after))
    rows = [
        (each.task, _percent(each.before), _percent(each.after)) for each in compared.accuracies
    ]
    print_table(("accuracy on", before, after), rows, empty="nothing was measured")
    of = f"--adapter {found.adapter}"
    say(f"`nacre promote {found.alias} --with-head {of}` goes over to {after}")
    say(f"`nacre rollback {compared.before} {of}` goes back")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _check_published(states: list[TaskState]) -> None:
    """Raise NacreError unless all was published."""
    broken = [state for state in states if state.stage != Stage.PUBLISHED]
    if broken:
        first = broken[0]
        raise NacreError(
            f"{len(broken)} of {counted(len(states), 'task')} not published; {first.submission_id} "
            f"is {first.stage}: {why_ended(first)}; `nacre relearn` again submits what is missing",
            submission=first.submission_id,
        )
