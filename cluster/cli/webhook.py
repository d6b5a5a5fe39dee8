"""The command `nacre webhook`: addresses that are told what has happened."""

from collections.abc import Sequence
from pathlib import Path

import click

from adapters.contract.counts import counted
from adapters.errors import UnavailableError
from cluster.cli.clients import client_of
from cluster.cli.terminal.completion import ADAPTERS, WEBHOOKS
from cluster.cli.terminal.facts import when
from cluster.cli.terminal.nearest import NearestGroup
from cluster.cli.terminal.numbers import NumberRange
from cluster.cli.terminal.options import by_option
from cluster.cli.terminal.output import output_option, print_json, say
from cluster.cli.terminal.tables import print_facts, print_table
from cluster.wire.outputs.webhooks import RemovedWebhook
from cluster.wire.webhooks import RegisteredWebhook, WebhookDelivery, WebhookState, WebhookTrouble

name_argument = click.argument("name", shell_complete=WEBHOOKS)


@click.group(cls=NearestGroup, short_help="Tell other systems what has happened.")
def webhook() -> None:
    """Tell other systems what has happened: signed requests to addresses of yours.

    The addresses that webhooks may have are named under `events: allow:` in the configuration.

    \b
    Examples:
      nacre webhook add team-chat https://hooks.example.com/nacre --kind submission.failed
      nacre webhook list
      nacre webhook test team-chat
    """


@webhook.command(short_help="Register a webhook.")
@click.argument("name")
@click.argument("url")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    help="Only what happens to this adapter; may be repeated.",
    shell_complete=ADAPTERS,
)
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind; may be repeated.")
@by_option
@output_option
@click.pass_obj
def add(
    path: Path | None,
    name: str,
    url: str,
    adapters: tuple[str, ...],
    kinds: tuple[str, ...],
    by: str | None,
    output: str,
) -> None:
    """Register URL as a webhook called NAME, and show its secret.

    The secret is shown this once; receivers verify signatures with it. The webhook hears of
    whatever happens from now on.

    \b
    Examples:
      nacre webhook add team-chat https://hooks.example.com/nacre
      nacre webhook add pager https://hooks.example.com/pager --kind submission.failed
    """
    added = client_of(path, by=by).add_webhook(name, url, adapters=adapters, kinds=kinds)
    _print_secret(added, output, said=f"registered: {name}")


@webhook.command("list", short_help="List the webhooks.")
@output_option
@click.pass_obj
def list_(path: Path | None, output: str) -> None:
    """List the webhooks: what each hears of, and whether it works.

    \b
    Examples:
      nacre webhook list
    """
    found = client_of(path).webhooks()
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            each.name,
            each.url,
            ", ".join(each.adapters) or "all",
            ", ".join(each.kinds) or "all",
            each.state,
            each.stopped or (each.deliveries[0].said if each.deliveries else ""),
        )
        for each in found
    ]
    columns = ("name", "address", "adapters", "kinds", "state", "latest answer")
    empty = "no webhooks yet; register one with `nacre webhook add`"
    print_table(columns, rows, empty=empty, prose=("kinds", "latest answer"))


@webhook.command(short_help="Show a webhook and its latest deliveries.")
@name_argument
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Most deliveries to show; 0 shows all that are kept.",
)
@output_option
@click.pass_obj
def show(path: Path | None, name: str, limit: int, output: str) -> None:
    """Show what NAME hears of, whether it works, and what became of its latest deliveries.

    \b
    Examples:
      nacre webhook show team-chat
      nacre webhook show team-chat --output json
    """
    found = client_of(path).webhook(name)
    shown = found.model_copy(update={"deliveries": found.deliveries[: limit or None]})
    if output == "json":
        print_json(shown)
    else:
        _print_shown(shown)


@webhook.command(short_help="Remove a webhook.")
@name_argument
@output_option
@click.pass_obj
def remove(path: Path | None, name: str, output: str) -> None:
    """Remove NAME: it hears of nothing any more.

    \b
    Examples:
      nacre webhook remove team-chat
    """
    client_of(path).remove_webhook(name)
    if output == "json":
        print_json(RemovedWebhook(name=name))
    else:
        say(f"removed: {name}")


@webhook.command(short_help="Give a webhook a new secret.")
@name_argument
@click.option(
    "--overlap-hours",
    type=NumberRange(min=0, max=8760),
    default=24.0,
    show_default=True,
    help="So long the old secret signs beside the new one.",
)
@output_option
@click.pass_obj
def rotate(path: Path | None, name: str, overlap_hours: float, output: str) -> None:
    """Give NAME a new secret, and show it.

    For a while both secrets sign each event, so that receivers can be changed in the meantime.

    \b
    Examples:
      nacre webhook rotate team-chat
      nacre webhook rotate team-chat --overlap-hours 0
    """
    rotated = client_of(path).rotate_webhook(name, overlap_s=3600 * overlap_hours)
    _print_secret(rotated, output, said=f"rotated: {name}")


@webhook.command(short_help="Send a webhook an event that means nothing.")
@name_argument
@output_option
@click.pass_obj
def test(path: Path | None, name: str, output: str) -> None:
    """Have the running system send NAME an event of the kind `webhook.test`.

    The command exits with 4 if the event was not taken.

    \b
    Examples:
      nacre webhook test team-chat
    """
    tested = client_of(path).test_webhook(name)
    if output == "json":
        print_json(tested)
    delivery = tested.delivery
    if delivery is None:
        raise UnavailableError(
            f"the test of webhook {name!r} has not been sent yet; see `nacre webhook show {name}`",
            name=name,
        )
    if delivery.outcome != "delivered":
        raise UnavailableError(f"webhook {name!r} was not told: {delivery.said}", name=name)
    if output != "json":
        say(f"{name}: {delivery.said} after {delivery.took_s:.2f} s")


@webhook.command(short_help="Try at once what a webhook waits for.")
@name_argument
@output_option
@click.pass_obj
def resume(path: Path | None, name: str, output: str) -> None:
    """Try at once what NAME waits for, also where it has stopped, and what was set aside.

    A webhook stops when its receiver answers 410, or when it could not be told anything for three
    days. What has happened since is told then, up to 30 days back. An event that a receiver refuses
    thirty times is set aside, so that it keeps no later ones back.

    \b
    Examples:
      nacre webhook resume team-chat
    """
    resumed = client_of(path).resume_webhook(name)
    if output == "json":
        print_json(resumed)
    else:
        say(f"resumed: {name}")


VERBS = (webhook,)


def _print_secret(document: RegisteredWebhook, output: str, *, said: str) -> None:
    if output == "json":
        print_json(document)
        return
    say(said)
    say(f"secret, shown this once: {document.secret}")


def _print_shown(shown: WebhookState) -> None:
    stopped = f": {shown.stopped}" if shown.stopped else ""
    print_facts(
        [
            ("name", shown.name),
            ("address", shown.url),
            ("adapters", ", ".join(shown.adapters) or "all"),
            ("kinds", ", ".join(shown.kinds) or "all"),
            ("registered", f"{when(shown.created)} by {shown.by}"),
            ("signed with", counted(shown.secrets, "secret")),
            ("state", f"{shown.state}{stopped}"),
            *((f"{each.adapter} waits", _waits(each)) for each in shown.waiting),
            *((("set aside", _aside(shown)),) if shown.set_aside else ()),
        ]
    )
    say("")
    _print_deliveries(shown.deliveries)


def _aside(shown: WebhookState) -> str:
    events = ", ".join(f"{each.adapter} {each.sequence}" for each in shown.set_aside[:5])
    more = ", …" if len(shown.set_aside) > 5 else ""
    return f"{events}{more}; `nacre webhook resume {shown.name}` tries them again"


def _waits(trouble: WebhookTrouble) -> str:
    tried = counted(trouble.attempts, "attempt")
    return f"{tried} since {when(trouble.since)}, the next at {when(trouble.until)}"


def _print_deliveries(deliveries: Sequence[WebhookDelivery]) -> None:
    rows = [
        (
            when(each.at),
            each.type,
            each.adapter,
            each.sequence,
            each.outcome,
            each.attempts or None,
            f"{each.took_s:.2f} s",
            each.said,
        )
        for each in deliveries
    ]
    columns = ("when", "event", "adapter", "sequence", "outcome", "attempts", "took", "answer")
    print_table(columns, rows, empty="nothing was delivered yet", prose=("answer",))
