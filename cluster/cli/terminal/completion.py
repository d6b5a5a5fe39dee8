"""Completion in a shell: names of tasks, adapters, versions and aliases, as the system has them.

It is silent where the store, or a remote system, does not answer within a moment.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import closing, redirect_stderr, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cluster.client.road import AnyClient
    from cluster.wire.versions import PublishedVersion

NEWEST = 100
"""Of more versions only these are offered by their numbers; every alias is."""
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


Read = Callable[["AnyClient", Typed], Iterable[str]]


def _completing(read: Read) -> Complete:
    """Return how click asks for what `read` finds in a store."""

    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        return [name for name in _found(read, context) if name.startswith(begun)]

    return complete


def _found(read: Read, context: click.Context) -> list[str]:
    said = context.find_root().params
    adapter, version = (context.params.get(name) for name in ("adapter", "version"))
    typed = Typed(adapter=adapter, version=version)
    found: Future[list[str]] = Future()
    # A daemon: a store that does not answer must not keep the process.
    Thread(target=_look, args=(read, said, typed, found), daemon=True).start()
    with suppress(Exception):
        return found.result(timeout=WAIT_S)
    return []


def _look(read: Read, said: Mapping[str, Any], typed: Typed, found: "Future[list[str]]") -> None:
    from cluster.client.joined import configured
    from cluster.client.road import chosen_client

    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            config = configured(said.get("config"))
            with closing(chosen_client(config, **remote_options(said))) as client:
                names = list(read(client, typed))
            found.set_result(sorted(set(names)))
    except Exception as error:  # noqa: BLE001 - nobody reads it while a line is typed
        found.set_exception(error)


def remote_options(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the words before a verb say of a remote system."""
    return {name: said[name] for name in ("url", "token_file", "insecure") if said.get(name)}


def _submissions(are: Callable[[str], bool]) -> Read:
    """Return what reads the submissions of some stages, and the names of their tasks."""

    def read(client: "AnyClient", _typed: Typed) -> Iterable[str]:
        for state in client.queue().submissions:
            if are(state.stage):
                yield state.task
                yield state.submission_id

    return read


def _is_open(stage: str) -> bool:
    from workers.queue.ticket import ENDED

    return stage not in ENDED


def _in_head(client: "AnyClient", typed: Typed) -> Iterable[str]:
    return (task.task for task in client.show("head", adapter=typed.adapter).tasks)


def _answered(client: "AnyClient", typed: Typed) -> Iterable[str]:
    version = client.show(typed.version or "production", adapter=typed.adapter)
    return (task.task for task in version.tasks)


def _held(client: "AnyClient", typed: Typed) -> Iterable[str]:
    for version in client.versions(typed.adapter):
        yield from {task.task for task in version.tasks} - set(version.purged)


def _adapters(client: "AnyClient", _typed: Typed) -> Iterable[str]:
    return client.adapters()


def _versions(client: "AnyClient", typed: Typed) -> Iterable[str]:
    return chain(
        client.aliases(typed.adapter), _named(client.versions(typed.adapter, limit=NEWEST))
    )


def _servable(client: "AnyClient", typed: Typed) -> Iterable[str]:
    newest = client.versions(typed.adapter, limit=NEWEST)
    served = _named(version for version in newest if not version.purged)
    return chain(client.aliases(typed.adapter), served)  # no alias points to what was purged


def _named(versions: Iterable["PublishedVersion"]) -> Iterable[str]:
    for version in versions:
        yield str(version.number)
        yield from version.aliases


def _movable(client: "AnyClient", typed: Typed) -> Iterable[str]:
    return client.aliases(typed.adapter).keys() - {"head"}


def _tokens(client: "AnyClient", _typed: Typed) -> Iterable[str]:
    return (token.name for token in client.tokens())


def _sessions(client: "AnyClient", _typed: Typed) -> Iterable[str]:
    found = client.sessions()
    return dict.fromkeys((*(each.who for each in found), *(each.id for each in found)))


def _webhooks(client: "AnyClient", _typed: Typed) -> Iterable[str]:
    return (webhook.name for webhook in client.webhooks())


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
SESSIONS = _completing(_sessions)
TOKENS = _completing(_tokens)
WEBHOOKS = _completing(_webhooks)
