"""One client for every face: each verb of the command line is a call of it."""

import inspect
from importlib import import_module

import click
import pytest

from cluster.cli.main import cli
from cluster.client.client import Client

METHODS = {
    # submissions
    "submit": "submit",
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
    "evaluate": "evaluate",
    # aliases
    "promote": "promote",
    "rollback": "rollback",
    "alias": "alias",
    "drop": "drop",
    # maintenance
    "export": "export",
    "import": "import_",  # a word of Python
    "verify": "verify",
    "purge": "purge",
    "settle": "settle",
    "gc": "gc",
    # access
    "token": "tokens",
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
    "webhook": "is a group of verbs, with a call for each",
    "up": "starts what a client talks to",
    "down": "stops it",
    "doctor": "looks at this machine and its Ray, with or without a nacre",
    "demo": "starts a nacre of its own, and is a script of calls",
    "bench": "measures methods on image sets; no nacre is asked",
}
CHANGING = (
    *("submit", "cancel", "retry", "pause", "resume"),
    *("promote", "rollback", "alias", "remove_alias", "drop", "import_", "purge", "settle"),
    *("gc", "create_token", "revoke_token"),
)
INSIDE = ("remove_alias", "create_token", "revoke_token")
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
    named = ("submission", "requests", "registry", "maintenance")
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
