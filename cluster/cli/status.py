"""Status of the whole system on the command line: `status`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.contract.counts import counted
from adapters.errors import UnavailableError
from cluster.cli.clients import client_of, running_beside
from cluster.cli.known import check_known
from cluster.cli.progress import clock
from cluster.cli.running import Running
from cluster.cli.terminal.completion import ADAPTERS, SUBMISSIONS
from cluster.cli.terminal.output import (
    output_option,
    print_json,
    say,
    stderr,
    stdout,
    warn,
)
from cluster.cli.terminal.queue_table import print_states
from cluster.cli.trouble import Service, all_wrong, asked, running_here, wrong_of
from cluster.client.documents import DocumentClient
from cluster.wire.health import Status
from cluster.wire.outputs.submissions import SystemStatus, SystemTrouble, Unanswered
from cluster.wire.tasks import TaskList
from cluster.wire.versions import AdapterBehind, ServedBehind
from workers.queue.machine import EVERY_ADAPTER

if TYPE_CHECKING:
    from cluster.client.road import AnyClient


@click.command(short_help="Show submissions, and what is wrong.")
@click.argument("names", nargs=-1, shell_complete=SUBMISSIONS)
@click.option("--adapter", help="Only the submissions of this adapter.", shell_complete=ADAPTERS)
@click.option("--all", "everything", is_flag=True, help="List all submissions, however many.")
@output_option
@click.pass_obj
def status(
    path: Path | None,
    names: tuple[str, ...],
    adapter: str | None,
    output: str,
    *,
    everything: bool,
) -> None:
    """Show where every submission is, and what is wrong.

    The list has the open submissions and those that ended within the last day. With NAMES it has
    only these; NAMES are ids of submissions or names of tasks.

    A very long list is cut: it has the first open submissions and says how many there are in all.
    Below it, one line says that all is well, or one line per trouble says what is wrong, for how
    long, and how often nacre has tried. The exit code is 0 where all is well or nothing runs, 4
    where something is wrong.


    \b
    Examples:
      nacre status
      nacre status fashion
      nacre status --adapter main --output json
    """
    client = client_of(path)
    try:
        check_known(client, adapter)
        queue = client.queue()
        listed = [client.find(name) for name in names] or queue.submissions
        states = [state for state in listed if adapter in (None, state.adapter)]
        wanted = {adapter or client.config.adapter, *(state.adapter for state in states)}
        standing = _standing_of(client, wanted)
    except UnavailableError:
        _print_service_alone(client)
        raise
    running = _running_here(client)
    asks = running is not None or queue.coordinated or not isinstance(client, DocumentClient)
    service = asked(client) if asks else None
    wrong = all_wrong(queue, service, behind=standing, running=running)
    running_config = running_beside(client)
    behind = [_without_move(each) for each in standing if each.newest and each.adapter in wanted]
    if output == "json":
        compared = running_config.compared_with(client.config) if running_config else None
        print_json(
            SystemStatus(
                **{**dict(queue), "submissions": states},
                configuration=compared,
                behind=behind,
                service=_as_document(service),
                troubles=[SystemTrouble(**asdict(entry)) for entry in wrong],
            )
        )
    else:
        print_states(states, everything=everything)
        way = _way_to_start(client)
        stdout().print(_standing(queue, service, way=way, well=not wrong))
        gone = {each.adapter for each in standing if each.removed is not None}
        for entry in behind:
            if entry.adapter not in gone:  # that is told as a trouble
                say(_said_behind(entry))
        for trouble in wrong:
            stdout().print(str(trouble))
        warn(running_config.unlike(client.config) if running_config else None)
    if wrong:
        told = counted(len(wrong), "trouble")
        raise UnavailableError(f"not all is well: {told}, the first with {wrong[0].what}")


def _running_here(client: "AnyClient") -> Running | None:
    """Return the `nacre up` of this home folder, where it is what the client works with."""
    return running_here(client.config) if isinstance(client, DocumentClient) else None


def _standing_of(client: "AnyClient", wanted: set[str]) -> list[ServedBehind]:
    """Return how far production is behind, of some adapters and of all that are served."""
    if isinstance(client, DocumentClient):
        return client.behind(*sorted(wanted.union(client.config.served)))
    return client.behind()


def _without_move(found: ServedBehind) -> AdapterBehind:
    return AdapterBehind(adapter=found.adapter, production=found.production, newest=found.newest)


def _said_behind(found: AdapterBehind) -> str:
    newest, adapter = found.newest, f"--adapter {found.adapter}"
    ways = (
        f"`nacre show {newest} {adapter}` says what was measured of it, and "
        f"`nacre promote {newest} {adapter}` would serve it"
    )
    if found.production is None:
        return f"no version of {found.adapter} is in production, the newest is {newest}: {ways}"
    return (
        f"production of {found.adapter} is version {found.production}, the newest is {newest}: "
        f"`nacre history {adapter}` says who moved it, {ways}"
    )


def _way_to_start(client: "AnyClient") -> str:
    """Return how what a client works with is started, where nobody coordinates."""
    if client.address.is_here:
        return "start the system with `nacre up`"
    return f"whoever runs the system at {client.address.url} can start it"


def _standing(queue: TaskList, service: Service | None, *, way: str, well: bool) -> str:
    """Return who coordinates and who answers, in one line, and that all is well where it is."""
    said = _coordination(queue, way=way)
    if service is None:
        return said
    if service.status is None:
        return f"{said}; the API was not asked: {service.error.message if service.error else ''}"
    answers = [str(state.version) for state in service.status.adapters.values() if state.version]
    said += f"; answered by {', '.join(answers) or 'nothing yet'}{_named(service.status)}"
    return f"all is well: {said}" if well else said


def _named(status: Status) -> str:
    """Return which replica has answered, by its machine and as metrics call it."""
    if not status.replica:
        return ""
    also = f", `{status.in_metrics}` in metrics" if status.in_metrics else ""
    return f" (replica {status.replica}{also})"


def _coordination(queue: TaskList, *, way: str) -> str:
    lead = queue.coordinator
    if lead is None or not queue.coordinated:
        waiting = f", {_waiting(queue.unread_requests)}" if queue.unread_requests else ""
        return f"nobody coordinates{waiting}: {way}"
    paused = ", ".join("everything" if name == EVERY_ADAPTER else name for name in queue.paused)
    said = f"coordinated from {lead.host} since {clock(lead.since)}"
    return f"{said}; paused: {paused}" if paused else said


def _waiting(requests: int) -> str:
    return "1 request waits" if requests == 1 else f"{requests} requests wait"


def _print_service_alone(client: "AnyClient") -> None:
    """Say what the system of this home folder knows, where the store cannot be asked."""
    if _running_here(client) is not None and (status := asked(client).status) is not None:
        for entry in wrong_of(status):
            stderr().print(str(entry))


def _as_document(service: Service | None) -> Status | Unanswered | None:
    if service is None:
        return None
    if service.status is not None:
        return service.status
    return Unanswered(error=service.error.message) if service.error else None


VERBS = (status,)
