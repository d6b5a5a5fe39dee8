"""The command `nacre mistakes`: what a published version gets wrong about its test images."""

from pathlib import Path

import click

from adapters.contract.counts import counted
from cluster.cli.clients import client_of
from cluster.cli.known import check_known
from cluster.cli.terminal.completion import VERSIONS
from cluster.cli.terminal.options import adapter_option
from cluster.cli.terminal.output import output_option, print_json, say
from cluster.cli.terminal.tables import print_table
from cluster.wire.mistakes import MistakenSet, VersionMistakes


@click.command(short_help="Show what a version gets wrong.")
@click.argument("version", shell_complete=VERSIONS)
@click.option("--task", help="Only the test images of this task.")
@click.option("--of", "truth", metavar="CLASS", help="Only wrong images of this class: TASK/KEY.")
@click.option("--as", "answer", metavar="CLASS", help="Only wrong images taken for this class.")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=1000),
    default=5,
    show_default=True,
    help="Most classes, pairs and images to list of each task.",
)
@adapter_option
@output_option
@click.pass_obj
def mistakes(
    path: Path | None,
    version: str,
    task: str | None,
    truth: str | None,
    answer: str | None,
    limit: int,
    adapter: str | None,
    output: str,
) -> None:
    """Show what VERSION gets wrong about the test images of its tasks.

    VERSION is a number or an alias. For each task: the accuracy with its 95 % interval, the classes
    with the least recall, what is most often taken for what, and the wrong images, the most
    confident answers first. All of it was kept when the version was published; nothing is measured.

    \b
    Examples:
      nacre mistakes production
      nacre mistakes 3 --task digits --of digits/3 --limit 50
      nacre mistakes 3 --as digits/8 --output json
    """
    client = client_of(path)
    check_known(client, adapter)
    found = client.mistakes(
        version, adapter=adapter, task=task, truth=truth, answer=answer, limit=limit
    )
    if output == "json":
        print_json(found)
        return
    say(
        f"{found.adapter}@{found.version}, among the {counted(found.candidates, 'class')} that it "
        "has learnt"
    )
    for each in found.sets:
        _print_set(found, each)


def _print_set(found: VersionMistakes, of: MistakenSet) -> None:
    wrong = of.images - of.right
    say(
        f"\n{of.set}: {of.right / of.images:.1%} ({of.low:.1%} to {of.high:.1%}), {wrong} of "
        f"{counted(of.images, 'image')} wrong"
    )
    if not wrong:
        return
    classes = [
        (_named(found, of, one.class_id), one.images, _percent(one.recall), _percent(one.precision))
        for one in of.classes
    ]
    print_table(("class", "images", "recall", "precision"), classes, empty="")
    pairs = [
        (_named(found, of, pair.truth), _named(found, of, pair.answer), pair.images)
        for pair in of.confusions
    ]
    print_table(("class", "taken for", "images"), pairs, empty="")
    images = [
        (
            image.place,
            _named(found, of, image.truth),
            _named(found, of, image.answer),
            f"{image.confidence:.0%}",
        )
        for image in of.wrong
    ]
    print_table(("test image", "is", "taken for", "confidence"), images, empty="no such image")
    if of.more_wrong:
        say(f"and {counted(of.more_wrong, 'more wrong image')}; --limit lists more")


def _named(found: VersionMistakes, of: MistakenSet, class_id: str) -> str:
    """Return the name of a class, with its task where that is another than the set's."""
    name, task = found.names[class_id], class_id.partition("/")[0]
    return name if task == of.set else f"{name} ({task})"


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.1%}"


VERBS = (mistakes,)
