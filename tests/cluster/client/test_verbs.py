"""One client for every face: each verb of the command line is a call of it."""

import inspect
from importlib import import_module

import click
import pytest

from cluster.cli.main import cli
from cluster.client.async_client import AsyncClient
from cluster.client.client import Client
from cluster.client.documents import DocumentClient
from cluster.client.remote_client import RemoteClient

METHODS = {
    # submissions
    "submit": "submit",
    "inspect": "inspect",
    "status": "queue",
    "watch": "watch",
    "logs": "journal",
    "cancel": "cancel",
    "retry": "retry",
    "pause": "pause",
    "resume": "resume",
    # versions
    "versions": "versions",
    "show": "show",
    "history": "history",
    "diff": "diff",
    "mistakes": "mistakes",
    "evaluate": "evaluate",
    # aliases
    "promote": "promote",
    "rollback": "rollback",
    "alias": "alias",
    "drop": "drop",
    "relearn": "relearn",
    # maintenance
    "export": "export",
    "import": "import_",  # a word of Python
    "verify": "verify",
    "purge": "purge",
    "settle": "settle",
    "gc": "gc",
    # access
    "token": "tokens",
    "session": "sessions",
    "audit": "audit",
    # the service
    "predict": "predict",
}
WEBHOOKS = {
    "add": "add_webhook",
    "list": "webhooks",
    "show": "webhook",
    "remove": "remove_webhook",
    "rotate": "rotate_webhook",
    "test": "test_webhook",
    "resume": "resume_webhook",
}
NO_CALLS = {
    "init": "writes a task file; no nacre is asked",
    "webhook": "is a group of verbs, with a call for each",
    "up": "starts what a client talks to",
    "config": "shows what a client is made with",
    "serve-config": "prints what `up` declares",
    "ready": "asks for a container whether anything answers; `Client.ready` says with what",
    "console": "starts pages, which talk to the client",
    "down": "stops it",
    "doctor": "looks at this machine and its Ray, with or without a nacre",
    "support-bundle": "gathers what is on this machine, with or without a nacre",
    "demo": "starts a nacre of its own, and is a script of calls",
    "bench": "measures methods on image sets; no nacre is asked",
    "advise": "reads tables that come with nacre; no nacre is asked",
}
CHANGING = (
    *("submit", "cancel", "retry", "pause", "resume"),
    *("promote", "rollback", "alias", "remove_alias", "drop", "import_", "purge", "settle"),
    *("gc", "create_token", "revoke_token", "end_sessions", "relearn"),
)
INSIDE = ("remove_alias", "create_token", "revoke_token", "end_sessions")
"""What a verb does by an option of its own, or by a word behind it."""
HISTORY = ("promote", "rollback", "alias", "remove_alias", "drop", "import_", "purge", "settle")


def test_every_verb_of_the_command_line_has_its_call() -> None:
    verbs = cli.list_commands(click.Context(cli))
    assert sorted((*METHODS, *NO_CALLS)) == verbs
    for method in METHODS.values():
        assert inspect.getdoc(getattr(Client, method)), method


def test_every_verb_of_webhooks_has_its_call() -> None:
    group = cli.get_command(click.Context(cli), "webhook")
    assert isinstance(group, click.Group)
    assert group.commands.keys() == WEBHOOKS.keys()
    for method in WEBHOOKS.values():
        assert inspect.getdoc(getattr(Client, method)), method


@pytest.mark.parametrize("method", CHANGING)
def test_what_changes_something_is_told_who_asks(method: str) -> None:
    by = inspect.signature(getattr(Client, method)).parameters["by"]
    assert by.kind is inspect.Parameter.KEYWORD_ONLY
    assert ("why" in inspect.signature(getattr(Client, method)).parameters) == (method in HISTORY)


def test_what_takes_an_author_on_the_command_line_takes_one_in_python() -> None:
    named = ("submission", "requests", "registry", "relearning", "maintenance")
    modules = [import_module(f"cluster.cli.{name}") for name in named]
    commands = [command for module in modules for command in module.VERBS]
    with_by = {
        METHODS[command.name]
        for command in commands
        if "--by" in {option for parameter in command.params for option in parameter.opts}
    }
    assert with_by == set(CHANGING) - set(INSIDE)


def test_every_call_has_one_home() -> None:
    """No part of the client takes the place of another's call."""
    parts = [part for part in Client.__mro__ if part.__module__.startswith("cluster.client.")]
    named = [name for part in parts for name in vars(part) if not name.startswith("_")]
    assert len(named) == len(set(named))


OF_THE_STORE = {
    "contradicted": "is said by `nacre up`, which starts a system",
    "not_served": "is a note of the answer of what moves `production`",
    "removals": "is part of `behind`",
    "running_config": "is compared with a configuration of here, which is not the remote system's",
}
"""Verbs of `Client` that the remote ones do not have, and why."""
NOT_SENT = {
    ("behind", "adapter"): "all adapters are looked at at once, and some of them picked",
    ("evaluate", "threads"): "a service has threads of its own",
    ("test_webhook", "timeout_s"): "the service knows how long it waits",
}
"""Parameters that the remote ones do not have, and why; of all verbs `by`, which the token says."""


def verbs_of(kind: type) -> dict[str, inspect.Signature]:
    """Return the public calls of a client by name."""
    found = [(name, value) for part in kind.__mro__[:-1] for name, value in vars(part).items()]
    return {
        name: inspect.signature(value)
        for name, value in found
        if inspect.isfunction(value) and not name.startswith("_")
    }


@pytest.mark.parametrize("kind", [RemoteClient, AsyncClient])
def test_a_remote_client_has_every_verb_or_a_reason_why_not(kind: type) -> None:
    remote = verbs_of(kind)
    closed = {"close"} if kind is AsyncClient else set()  # by the end of its block alone
    assert verbs_of(Client).keys() - remote.keys() == OF_THE_STORE.keys() | closed
    for name in remote.keys() - {"ask"}:
        assert inspect.getdoc(getattr(kind, name)), name


@pytest.mark.parametrize("kind", [RemoteClient, AsyncClient])
def test_a_verb_takes_over_http_what_it_takes_here(kind: type) -> None:
    remote, here = verbs_of(kind), verbs_of(Client)
    for name in remote.keys() & here.keys():
        takes = remote[name].parameters
        for parameter in here[name].parameters.values():
            if parameter.name == "by" or (name, parameter.name) in NOT_SENT:
                assert parameter.name not in takes, name
                continue
            found = takes[parameter.name]
            assert (found.kind, found.default) == (parameter.kind, parameter.default), name


def test_an_event_loop_has_the_verbs_of_callers_that_wait() -> None:
    blocking, awaited = verbs_of(RemoteClient), verbs_of(AsyncClient)
    assert blocking.keys() - awaited.keys() == {"close", "read_task"}
    assert awaited.keys() <= blocking.keys()
    for name in awaited.keys() - {"watch"}:
        assert awaited[name].parameters.keys() == blocking[name].parameters.keys()
        assert inspect.iscoroutinefunction(getattr(AsyncClient, name)), name


def test_what_the_command_line_works_with_answers_alike_over_both_roads() -> None:
    """What the types cannot say: that the calls of both are called with the same words."""
    remote, here = verbs_of(RemoteClient), verbs_of(DocumentClient)
    assert here.keys() - remote.keys() <= OF_THE_STORE.keys()
    for name, signature in here.items():
        if name in OF_THE_STORE:
            continue
        known = remote[name].parameters.keys()
        assert signature.parameters.keys() - known <= {"threads"}, name
