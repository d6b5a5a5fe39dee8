"""Status of the whole system on the command line: `status`."""

import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from adapters.contract.counts import counted
from adapters.errors import NacreError, UnavailableError
from cluster.cli.clients import client_of
from cluster.cli.known import check_known
from cluster.cli.progress import clock
from cluster.cli.queue_table import print_states
from cluster.cli.terminal.completion import ADAPTERS, SUBMISSIONS
from cluster.cli.terminal.output import (
    output_option,
    print_json,
    say,
    stderr,
    stdout,
    warn,
)
from cluster.cli.trouble import Service, all_wrong, asked, is_coordinated, running_here, wrong_of
from cluster.client.client import Client
from cluster.client.joined import configured
from cluster.config import Config
from cluster.running_config import RunningConfig
from cluster.wire.facts import entry_document, lead_document, state_document
from cluster.wire.versions import AdapterBehind
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.progress import QueueState


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
    config = configured(path)
    try:
        client = client_of(path)
        check_known(client, adapter)
        queue, refusals, removals = client.queue(), client.refusals(), client.removals()
        named = [client.find(name) for name in names]
    except UnavailableError:
        _print_service_alone(config)
        raise
    states = [state for state in named or queue.states if adapter in (None, state.ticket.adapter)]
    running = running_here(config)
    asks = running is not None or is_coordinated(queue, now=time.time())
    service = asked(config) if asks else None
    wrong = all_wrong(queue, refusals, service, removals=removals, running=running)
    running_config = RunningConfig.of(queue.lead, now=time.time())
    adapters = {adapter or config.adapter, *(state.ticket.adapter for state in states)}
    behind = [found for name in sorted(adapters) if (found := _behind(client, name)) is not None]
    if output == "json":
        print_json(
            {
                "coordinated": is_coordinated(queue, now=time.time()),
                "coordinator": lead_document(queue.lead),
                "configuration": running_config.compared_with(config) if running_config else None,
                "paused": list(queue.lead.paused) if queue.lead else [],
                "unread_requests": queue.unread,
                "refusals": [entry_document(entry) for entry in refusals],
                "submissions": [state_document(state) for state in states],
                "behind": behind,
                "service": _service_as_json(service),
                "troubles": [asdict(entry) for entry in wrong],
            }
        )
    else:
        print_states(states, everything=everything)
        stdout().print(_standing(queue, service, well=not wrong), markup=False)
        for entry in behind:
            if entry.adapter not in removals:  # that is told as a trouble
                say(_said_behind(entry))
        for trouble in wrong:
            stdout().print(str(trouble), markup=False)
        warn(running_config.unlike(config) if running_config else None)
    if wrong:
        told = counted(len(wrong), "trouble")
        raise UnavailableError(f"not all is well: {told}, the first with {wrong[0].what}")


def _said_behind(found: AdapterBehind) -> str:
    newest, adapter = found.newest, f"--adapter {found.adapter}"
    ways = (
        f"`nacre show {newest} {adapter}` says what the gate said, and `nacre promote {newest} "
        f"{adapter}` would serve it"
    )
    if found.production is None:
        return f"no version of {found.adapter} is in production, the newest is {newest}: {ways}"
    return (
        f"production of {found.adapter} is version {found.production}, the newest is {newest}: "
        f"`nacre history {adapter}` says who moved it, {ways}"
    )


def _behind(client: Client, adapter: str) -> AdapterBehind | None:
    """Return how far production is behind the newest version; None where it is not."""
    with suppress(NacreError):  # what is wrong with the registry is told by other verbs
        if (found := client.behind(adapter)) is not None:
            return AdapterBehind(adapter=adapter, production=found[0], newest=found[1])
    return None


def _standing(queue: QueueState, service: Service | None, *, well: bool) -> str:
    """Return who coordinates and who answers, in one line, and that all is well where it is."""
    said = _coordination(queue)
    if service is None:
        return said
    if service.status is None:
        return f"{said}; the API was not asked: {service.error.message if service.error else ''}"
    answers = [str(state.version) for state in service.status.adapters.values() if state.version]
    said += f"; answered by {', '.join(answers) or 'nothing yet'}"
    return f"all is well: {said}" if well else said


def _coordination(queue: QueueState) -> str:
    lead = queue.lead
    if lead is None or not lead.lasts(now=time.time()):
        waiting = f", {_waiting(queue.unread)}" if queue.unread else ""
        return f"nobody coordinates{waiting}: start the system with `nacre up`"
    paused = ", ".join("everything" if name == EVERY_ADAPTER else name for name in lead.paused)
    said = f"coordinated from {lead.host} since {clock(lead.since)}"
    return f"{said}; paused: {paused}" if paused else said


def _waiting(requests: int) -> str:
    return "1 request waits" if requests == 1 else f"{requests} requests wait"


def _print_service_alone(config: Config) -> None:
    """Say what the system of this home folder knows, where the store cannot be asked."""
    if running_here(config) is not None and (status := asked(config).status) is not None:
        for entry in wrong_of(status):
            stderr().print(str(entry), markup=False)


def _service_as_json(service: Service | None) -> dict[str, object] | None:
    if service is None or service.status is None:
        error = service.error if service else None
        return {"error": error.message} if error else None
    return dict(service.status.model_dump())


VERBS = (status,)
