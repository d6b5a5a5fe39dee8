"""Errors as they are shown: a sentence for people, a problem document for machines; on stderr.

What was printed on stdout before stays a result: with `--output json` nothing but results is there.
"""

import sys
from collections.abc import Sequence
from itertools import pairwise

import click

from adapters.errors import NacreError
from adapters.guidance import help_of
from cluster.cli.terminal.output import print_json_error, stderr

INTERRUPTED_STATUS = 499
"""As servers log a request whose client has gone away."""
USAGE_STATUS = 400


def show_error(error: NacreError) -> None:
    """Show one of nacre's own errors."""
    if wants_json(sys.argv):
        from cluster.wire.problems import error_document  # Pydantic takes a while to load

        print_json_error(error_document(error))
    else:
        more = help_of(error)
        see = f" (see {more})" if more else ""
        stderr().print(f"error: {error.message}{see}")


def show_usage_error(error: click.ClickException) -> None:
    """Show what is wrong with the words of a command."""
    if wants_json(sys.argv):
        _print_problem(USAGE_STATUS, type(error).__name__, error.format_message())
    else:
        error.show()


def show_interrupt(sentence: str) -> None:
    """Show that a person has ended the command."""
    if wants_json(sys.argv):
        _print_problem(INTERRUPTED_STATUS, "Interrupted", sentence)
    else:
        stderr().print(sentence)


def _print_problem(status: int, title: str, detail: str) -> None:
    from cluster.wire.problems import problem_document

    print_json_error(problem_document(status, title, detail))


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for JSON, also one that cannot be understood."""
    pairs = pairwise(arguments)
    return "--output=json" in arguments or ("--output", "json") in pairs
