"""The command `nacre inspect`: what is known of a task before it is submitted."""

from pathlib import Path

import click

from cluster.cli.clients import client_of
from cluster.cli.terminal.completion import ADAPTERS
from cluster.cli.terminal.inspection import print_inspection
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.output import Bar, bars, output_option, print_json, say
from cluster.client.remote.inspection import Inspected
from cluster.wire.inspection import MOST_SHOWN, SHOWN

NOTHING_CHANGED = "nothing was submitted; what was embedded is kept, and is found again"


@click.command("inspect", short_help="Look what is wrong with images.")
@click.argument("source")
@click.option(
    "--adapter",
    help="The adapter to grow.  [default: the task file's]",
    shell_complete=ADAPTERS,
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="Folder for inspection.html, with pictures."
)
@click.option(
    "--shown",
    type=click.IntRange(min=1, max=MOST_SHOWN),
    default=SHOWN,
    show_default=True,
    help="So many findings of each kind are shown. All are counted.",
)
@click.option(
    "--no-features",
    "features",
    flag_value=False,
    default=True,
    help="Leave out what needs the encoder: suspicious labels, outliers.",
)
@output_option
@click.pass_obj
def inspect_source(
    path: Path | None,
    source: str,
    adapter: str | None,
    report: Path | None,
    shown: int,
    output: str,
    *,
    features: bool,
) -> None:
    """Look what is wrong with images before submitting them.

    SOURCE is a task file, or images without one: a folder for each class, a list, shards, or an
    address of these.

    Counts each class and what is passed over, and finds files that cannot be read, exact and near
    duplicates, labels that the encoder doubts, images that are like no other, and names that other
    tasks have. Nothing is submitted and no image is stored. The features are kept in the store,
    where the submission finds them. Nothing needs to be running. With `--url`, images are sent to
    the remote system, and its encoder looks at them.

    \b
    Examples:
      nacre inspect ./birds
      nacre inspect task.yaml --report looked
      nacre inspect birds.csv --no-features --output json
    """
    found = inspected_by(
        path, source, adapter=adapter, report=report, shown=shown, features=features
    )
    if output == "json":
        print_json(found.document)
        return
    print_inspection(found.document)
    if found.document.report:
        say(f"report: {found.document.report}")


def inspected_by(
    path: Path | None,
    source: str,
    *,
    adapter: str | None,
    report: Path | None = None,
    shown: int = SHOWN,
    features: bool = True,
    by: str | None = None,
) -> Inspected:
    """Return what is known of a task, with a bar for each step.

    Raises:
        InputError: the task cannot be read.
    """
    client = client_of(path, by=by)
    with interruptible(NOTHING_CHANGED), bars() as progress:
        return client.inspect(
            source,
            adapter=adapter,
            features=features,
            shown=shown,
            report=report,
            on_step=Bar(progress),
        )


VERBS = (inspect_source,)
