"""Completion in a shell: names of tasks, adapters, versions and aliases, as the store has them.

It is silent where the store does not answer within a moment, or there is none.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import redirect_stderr, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cluster.client.client import Client

WAIT_S = 1.0
"""A person who presses a key waits no longer for the store, in seconds."""

Read = Callable[["Client", str | None], Iterable[str]]
Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _completing(read: Read) -> Complete:
    """Return how click asks for what `read` finds in a store."""

    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        return [name for name in _found(read, context) if name.startswith(begun)]

    return complete


def _found(read: Read, context: click.Context) -> list[str]:
    config = context.find_root().params.get("config")
    adapter = context.params.get("adapter")
    named = adapter if isinstance(adapter, str) else None
    found: Future[list[str]] = Future()
    # A daemon: a store that does not answer must not keep the process.
    Thread(target=_look, args=(read, config, named, found), daemon=True).start()
    with suppress(Exception):
        return found.result(timeout=WAIT_S)
    return []


def _look(read: Read, config: Path | None, adapter: str | None, found: "Future[list[str]]") -> None:
    from cluster.client.client import Client
    from cluster.client.joined import configured

    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            names = read(Client(configured(config)), adapter)
            found.set_result(sorted(set(names)))
    except Exception as error:  # noqa: BLE001 - nobody reads it while a line is typed
        found.set_exception(error)


def _tasks(client: "Client", _adapter: str | None) -> Iterable[str]:
    for state in client.queue().states:
        yield state.ticket.task
        yield state.ticket.submission_id


def _learnt(client: "Client", adapter: str | None) -> Iterable[str]:
    for version in client.versions(adapter):
        yield from (task.task for task in version.manifest.tasks)


def _adapters(client: "Client", _adapter: str | None) -> Iterable[str]:
    return client.adapters()


def _versions(client: "Client", adapter: str | None) -> Iterable[str]:
    for version in client.versions(adapter):
        yield str(version.manifest.number)
        yield from version.aliases


def _aliases(client: "Client", adapter: str | None) -> Iterable[str]:
    return client.aliases(adapter)


def _webhooks(client: "Client", _adapter: str | None) -> Iterable[str]:
    return (webhook.name for webhook, _ in client.webhooks())


TASKS = _completing(_tasks)
"""Tasks and submissions in the queue."""
LEARNT = _completing(_learnt)
"""Tasks that some version has learnt."""
ADAPTERS = _completing(_adapters)
VERSIONS = _completing(_versions)
"""Numbers and aliases."""
ALIASES = _completing(_aliases)
WEBHOOKS = _completing(_webhooks)
