"""Completion in a shell: names of tasks, adapters, versions and aliases, as the store has them.

It is silent where the store does not answer within a moment, or there is none.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cluster.client.client import Client
    from workers.queue.ticket import Stage
    from workers.registry import Version

WAIT_S = 1.0
"""A person who presses a key waits no longer for the store, in seconds."""

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Typed:
    """What the line that is completed has said so far.

    Attributes:
        adapter: Which adapter; None for the configured one.
        version: The version that is pinned; None for none.
    """

    adapter: str | None
    version: str | None


Read = Callable[["Client", Typed], Iterable[str]]


def _completing(read: Read) -> Complete:
    """Return how click asks for what `read` finds in a store."""

    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        return [name for name in _found(read, context) if name.startswith(begun)]

    return complete


def _found(read: Read, context: click.Context) -> list[str]:
    config = context.find_root().params.get("config")
    adapter, version = (context.params.get(name) for name in ("adapter", "version"))
    typed = Typed(adapter=adapter, version=version)
    found: Future[list[str]] = Future()
    # A daemon: a store that does not answer must not keep the process.
    Thread(target=_look, args=(read, config, typed, found), daemon=True).start()
    with suppress(Exception):
        return found.result(timeout=WAIT_S)
    return []


def _look(read: Read, config: Path | None, typed: Typed, found: "Future[list[str]]") -> None:
    from cluster.client.client import Client
    from cluster.client.joined import configured

    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            names = read(Client(configured(config)), typed)
            found.set_result(sorted(set(names)))
    except Exception as error:  # noqa: BLE001 - nobody reads it while a line is typed
        found.set_exception(error)


def _submissions(are: Callable[["Stage"], bool]) -> Read:
    """Return what reads the submissions of some stages, and the names of their tasks."""

    def read(client: "Client", _typed: Typed) -> Iterable[str]:
        for ticket in (state.ticket for state in client.queue().states):
            if are(ticket.stage):
                yield ticket.task
                yield ticket.submission_id

    return read


def _is_open(stage: "Stage") -> bool:
    from workers.queue.ticket import ENDED

    return stage not in ENDED


def _in_head(client: "Client", typed: Typed) -> Iterable[str]:
    return (task.task for task in client.show("head", adapter=typed.adapter).manifest.tasks)


def _answered(client: "Client", typed: Typed) -> Iterable[str]:
    version = client.show(typed.version or "production", adapter=typed.adapter)
    return (task.task for task in version.manifest.tasks)


def _held(client: "Client", typed: Typed) -> Iterable[str]:
    for version in client.versions(typed.adapter):
        yield from {task.task for task in version.manifest.tasks} - set(version.purged)


def _adapters(client: "Client", _typed: Typed) -> Iterable[str]:
    return client.adapters()


def _versions(client: "Client", typed: Typed) -> Iterable[str]:
    return _named(client.versions(typed.adapter))


def _servable(client: "Client", typed: Typed) -> Iterable[str]:
    return _named(version for version in client.versions(typed.adapter) if not version.purged)


def _named(versions: Iterable["Version"]) -> Iterable[str]:
    for version in versions:
        yield str(version.manifest.number)
        yield from version.aliases


def _movable(client: "Client", typed: Typed) -> Iterable[str]:
    return client.aliases(typed.adapter).keys() - {"head"}


SUBMISSIONS = _completing(_submissions(lambda _stage: True))
"""All in the queue, by id and by the name of the task."""
OPEN = _completing(_submissions(_is_open))
"""Those that have not ended."""
UNPUBLISHED = _completing(_submissions(lambda stage: stage != "published"))
"""Those that may be tried again."""
IN_HEAD = _completing(_in_head)
"""Tasks that can be dropped."""
ANSWERED = _completing(_answered)
"""Tasks of the version that answers."""
HELD = _completing(_held)
"""Tasks that some version holds and nobody has purged of it."""
ADAPTERS = _completing(_adapters)
VERSIONS = _completing(_versions)
"""Numbers and aliases."""
SERVABLE = _completing(_servable)
"""The same of versions of which nothing was purged."""
ALIASES = _completing(_movable)
"""Aliases that people move: all but `head`."""
