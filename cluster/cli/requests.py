"""Commands that ask the coordinator for something: cancel, retry, pause, resume."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.contract.counts import agreeing, counted
from adapters.errors import ConflictError, InputError, NacreError
from cluster.cli.clients import client_of
from cluster.cli.known import check_known
from cluster.cli.terminal.answers import agreed
from cluster.cli.terminal.completion import ADAPTERS, OPEN, UNPUBLISHED
from cluster.cli.terminal.options import by_option
from cluster.cli.terminal.output import output_option, print_json, say
from cluster.wire.tasks import QueuePause, TaskOutcome
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.ticket import Stage
from workers.registry.documents.layout import HEAD

if TYPE_CHECKING:
    from cluster.client.road import AnyClient

all_option = click.option("--all", "everything", is_flag=True, help="All adapters.")


@click.command(short_help="Take submissions back.")
@click.argument("names", nargs=-1, required=True, shell_complete=OPEN)
@by_option
@output_option
@click.pass_obj
def cancel(path: Path | None, names: tuple[str, ...], by: str | None, output: str) -> None:
    """Take submissions back.

    NAMES are ids of submissions or names of tasks.

    A submission that is cancelled already stays so, and the command exits with 0. One that was
    published or rejected or has failed cannot be cancelled: the command exits with 3. To take a
    published task out of the adapter, use `nacre drop`.

    \b
    Examples:
      nacre cancel fashion
    """
    client = client_of(path, by=by)
    outcomes = [client.cancel(name) for name in names]
    _print_outcomes(outcomes, output, said=partial(_said, client, done="cancelled"))


@click.command(short_help="Try submissions again, or at once.")
@click.argument("names", nargs=-1, required=True, shell_complete=UNPUBLISHED)
@by_option
@output_option
@click.pass_obj
def retry(path: Path | None, names: tuple[str, ...], by: str | None, output: str) -> None:
    """Try submissions again.

    Submissions that failed, were rejected or were cancelled begin anew. Submissions that wait for
    their next attempt begin it now. NAMES are ids of submissions or names of tasks.

    A published task cannot be retried: the command exits with 3.

    \b
    Examples:
      nacre retry fashion
    """
    client = client_of(path, by=by)
    outcomes = [client.retry(name) for name in names]
    _print_outcomes(outcomes, output, said=partial(_said, client, done="tried again"))


@click.command(short_help="Begin no new work of an adapter.")
@click.argument("adapter", required=False, shell_complete=ADAPTERS)
@all_option
@by_option
@output_option
@click.pass_obj
def pause(
    path: Path | None, adapter: str | None, by: str | None, output: str, *, everything: bool
) -> None:
    """Begin no new work of ADAPTER. What is under way goes on.

    With --all, all adapters are paused, and those that are new. With neither, the command asks
    whether all are meant; where nobody can answer, it exits with 2.

    \b
    Examples:
      nacre pause medical
      nacre pause --all
    """
    client = client_of(path, by=by)
    names = _meant(client, "Pause", adapter, everything=everything)
    _print_pause(client.pause(adapter or EVERY_ADAPTER), names, output, word="paused")


@click.command(short_help="Go on with what was paused.")
@click.argument("adapter", required=False, shell_complete=ADAPTERS)
@all_option
@by_option
@output_option
@click.pass_obj
def resume(
    path: Path | None, adapter: str | None, by: str | None, output: str, *, everything: bool
) -> None:
    """Go on after `nacre pause`.

    With --all, all adapters go on. With neither, the command asks whether all are meant; where
    nobody can answer, it exits with 2.

    \b
    Examples:
      nacre resume medical
      nacre resume --all
    """
    client = client_of(path, by=by)
    names = _meant(client, "Resume", adapter, everything=everything)
    _print_pause(client.resume(adapter or EVERY_ADAPTER), names, output, word="resumed")


VERBS = (cancel, retry, pause, resume)


def _print_outcomes(
    outcomes: Sequence[TaskOutcome], output: str, *, said: Callable[[TaskOutcome], str]
) -> None:
    """Print what became of each wish.

    Raises:
        ConflictError: some submissions have ended otherwise, and stay so.
    """
    if output == "json":
        print_json(outcomes)
    else:
        for outcome in outcomes:
            say(said(outcome))
    ended = [outcome.submission_id for outcome in outcomes if outcome.outcome == "ended"]
    if ended:
        of = f"{len(ended)} of {counted(len(outcomes), 'submission')} had ended before: "
        raise ConflictError(
            f"{of if len(outcomes) > 1 else ''}{', '.join(ended)} {agreeing(len(ended), 'was')} "
            "not changed",
            submission=ended[0],
        )


def _said(client: "AnyClient", found: TaskOutcome, *, done: str) -> str:
    """Return what became of a wish, in one line.

    Args:
        client: Knows whether what was published is still there.
        found: What became of it.
        done: What is said of one that has come true.
    """
    if found.outcome == "done":
        return f"{done}: {found.submission_id}"
    why = f" ({found.note or found.error})" if found.note or found.error else ""
    if found.outcome == "asked":
        return f"asked for: {found.submission_id} is {found.stage}{why}; see `nacre status`"
    if found.stage == Stage.PUBLISHED:
        stays = f"published as {found.adapter}@{found.version} and stays{_way_out(client, found)}"
    else:
        stays = f"{found.stage} already{why}"
    return f"not changed: {found.submission_id} is {stays}"


def _way_out(client: "AnyClient", found: TaskOutcome) -> str:
    """Return how what was published is dropped; nothing where `head` does not hold it any more."""
    with suppress(NacreError):
        tasks = client.show(HEAD, adapter=found.adapter).tasks
        if any(each.submission == found.submission_id for each in tasks):
            where = "" if found.adapter == client.config.adapter else f" --adapter {found.adapter}"
            return f"; `nacre drop {found.task}{where}` publishes a version without it"
    return ""


def _meant(client: "AnyClient", verb: str, adapter: str | None, *, everything: bool) -> list[str]:
    """Return the adapters that there are where all are meant; nothing where one is.

    Raises:
        NotFoundError: there is no such adapter.
        InputError: it is not said which are meant.
        NacreError: somebody has said no.
    """
    if adapter is not None and adapter != EVERY_ADAPTER:
        if everything:
            raise InputError(f"expected an adapter or `--all`, found {adapter!r} and `--all`")
        check_known(client, adapter)
        return []
    names = client.adapters()
    listed = f"all adapters ({', '.join(names) or 'none yet'})"
    if not everything and adapter is None:
        which = f"name an adapter, or say `--all` for {listed}"
        if not agreed(f"{verb} {listed}?", unanswered=f"nothing was changed; {which}"):
            raise NacreError(f"nothing was changed: {which}")
    return names


def _print_pause(found: QueuePause, names: Sequence[str], output: str, *, word: str) -> None:
    if output == "json":
        print_json(found)
        return
    listed = f" ({', '.join(names)})" if names else ""
    is_all = found.adapter == EVERY_ADAPTER
    what = f"everything{listed}" if is_all else f"adapter {found.adapter}"
    done = found.outcome == "done"
    say(f"{word}: {what}" if done else f"{what} will be {word} as soon as a system runs")
