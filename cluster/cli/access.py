"""Commands for access: token, session, audit."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.errors import NacreError, NotFoundError
from cluster.cli.clients import client_of
from cluster.cli.known import check_known
from cluster.cli.terminal.completion import ADAPTERS, SESSIONS, TOKENS
from cluster.cli.terminal.facts import when
from cluster.cli.terminal.nearest import NearestGroup
from cluster.cli.terminal.options import by_option
from cluster.cli.terminal.output import output_option, print_json, say, warn
from cluster.cli.terminal.tables import print_table
from cluster.wire.access import AUDIT_DAYS, LIFETIME, AuditedCall, NamedTokenState
from workers.access.roles import AccessRole, Grants
from workers.queue.machine import EVERY_ADAPTER

if TYPE_CHECKING:
    from cluster.client.road import AnyClient


@click.group(cls=NearestGroup, short_help="Make tokens for the HTTP API.")
def token() -> None:
    """Make, list and revoke tokens for the HTTP API.

    \b
    Examples:
      nacre token create ci --role operator --adapter birds --expires 30d
      nacre token list
      nacre token revoke ci
    """


@token.command(short_help="Make a token, and print it once.")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in AccessRole]),
    required=True,
    help="What it permits; each role may do what those before it may.",
)
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    help="For which adapter, '*' for all; may be repeated.  [default: the configured one]",
    shell_complete=ADAPTERS,
)
@click.option(
    "--expires",
    "lifetime",
    default=LIFETIME,
    show_default=True,
    metavar="TIME",
    help="For how long it counts: hours, days or weeks such as 12h, 30d or 8w, or `never`.",
)
@by_option
@output_option
@click.pass_obj
def create(
    path: Path | None,
    name: str,
    role: str,
    adapters: tuple[str, ...],
    lifetime: str,
    by: str | None,
    output: str,
) -> None:
    """Make a token called NAME, and print its secret.

    The secret is printed once and kept nowhere: store it where secrets are kept. History and audit
    log say `token:NAME` of whoever sends it.

    \b
    Examples:
      nacre token create ci --role operator --adapter birds --expires 30d
      nacre token create dashboard --role viewer --adapter '*' --expires never
    """
    client = client_of(path, by=by)
    made = client.create_token(name, role=role, adapters=adapters, lifetime=lifetime)
    if output == "json":
        print_json(made)
        return
    say(made.token)
    until = when(made.expires) or "it is revoked"
    warn(f"token {name!r} is {_grants(made)} until {until}; it is not shown again")
    warn(*(_not_yet(client, adapter) for adapter in adapters))


@token.command("list", short_help="List the tokens.")
@output_option
@click.pass_obj
def list_(path: Path | None, output: str) -> None:
    """List the tokens, the oldest first, without their secrets.

    Tokens that have ended are listed for 90 days.

    \b
    Examples:
      nacre token list
      nacre token list --output json
    """
    tokens = client_of(path).tokens()
    if output == "json":
        print_json(tokens)
    else:
        _print_tokens(tokens)


@token.command(short_help="Let a token count no more.")
@click.argument("name", shell_complete=TOKENS)
@by_option
@output_option
@click.pass_obj
def revoke(path: Path | None, name: str, by: str | None, output: str) -> None:
    """Let the token called NAME count no more.

    Running systems know of it within 5 seconds.

    \b
    Examples:
      nacre token revoke ci
    """
    revoked = client_of(path, by=by).revoke_token(name)
    if output == "json":
        print_json(revoked)
    else:
        say(f"revoked: {name}")


@click.group(cls=NearestGroup, short_help="List and end logins in browsers.")
def session() -> None:
    """List and end the sessions that logins have left in browsers.

    \b
    Examples:
      nacre session list
      nacre session end oidc:8f3a1c
    """


@session.command("list", short_help="List the sessions.")
@output_option
@click.pass_obj
def list_sessions(path: Path | None, output: str) -> None:
    """List the sessions that count, the oldest first.

    \b
    Examples:
      nacre session list
      nacre session list --output json
    """
    sessions = client_of(path).sessions()
    if output == "json":
        print_json(sessions)
        return
    print_table(
        ("id", "who", "logged in", "expires"),
        [(each.id, each.who, when(each.created), when(each.expires)) for each in sessions],
        empty="nobody has logged in",
    )


@session.command(short_help="Let sessions count no more.")
@click.argument("name", shell_complete=SESSIONS)
@by_option
@output_option
@click.pass_obj
def end(path: Path | None, name: str, by: str | None, output: str) -> None:
    """Let the session with the id NAME count no more, or all sessions of the person called NAME.

    Running systems know of it within 5 seconds. Whoever still has a role can log in again.

    \b
    Examples:
      nacre session end 0f3a9c2b71d4e8a6
      nacre session end oidc:8f3a1c
    """
    ended = client_of(path, by=by).end_sessions(name)
    if output == "json":
        print_json(ended)
        return
    for each in ended:
        say(f"ended: {each.id} of {each.who}")


@click.command(short_help="List what was asked for, and by whom.")
@click.option("--adapter", help="Only of this adapter.", shell_complete=ADAPTERS)
@click.option("--who", help="Only of this requester, such as `token:ci`.")
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=AUDIT_DAYS,
    show_default=True,
    help="Today, and so many days in all.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Most calls to list; 0 lists all.",
)
@output_option
@click.pass_obj
def audit(
    path: Path | None, adapter: str | None, who: str | None, days: int, limit: int, output: str
) -> None:
    """List the calls that changed something, and those that were denied: who, how and when.

    The latest is first.

    \b
    Examples:
      nacre audit
      nacre audit --adapter birds --who token:ci --days 30 --output json
    """
    client = client_of(path)
    check_known(client, adapter)
    entries = client.audit(adapter=adapter, who=who, days=days, limit=limit)
    if output == "json":
        print_json(entries)
    else:
        _print_audit(entries)


VERBS = (token, session, audit)


def _not_yet(client: "AnyClient", adapter: str) -> str | None:
    """Return that there is no such adapter yet, where that is so: a token may be given before."""
    if adapter == EVERY_ADAPTER:
        return None
    try:
        check_known(client, adapter)
    except NotFoundError as error:
        near = error.fields.get("near", "")
        return f"there is no adapter {adapter!r} yet: its first task makes it{near}"
    except NacreError:  # the token is made, whatever else cannot be said now
        return None
    return None


def _grants(token: NamedTokenState) -> Grants:
    return Grants(roles={name: AccessRole(role) for name, role in token.roles.items()})


def _print_tokens(tokens: Sequence[NamedTokenState]) -> None:
    rows = [
        (
            token.name,
            token.state,
            _grants(token),
            token.created_by,
            when(token.created),
            when(token.expires) or "never",
            token.revoked_by,
        )
        for token in tokens
    ]
    print_table(
        ("name", "state", "role", "made by", "made", "expires", "revoked by"),
        rows,
        empty="no tokens; `nacre token create` makes one",
    )


def _print_audit(entries: Sequence[AuditedCall]) -> None:
    rows = [
        (
            when(entry.at),
            entry.who,
            entry.road,
            entry.verb,
            entry.adapter,
            entry.target,
            entry.outcome if entry.times == 1 else f"{entry.outcome} x{entry.times}",
            entry.reason,
        )
        for entry in entries
    ]
    print_table(
        ("when", "who", "road", "what", "adapter", "of what", "outcome", "why"),
        rows,
        empty="nothing was asked for in these days",
        prose=("why",),
    )
