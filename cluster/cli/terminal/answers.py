"""Answers of people: a question before something is done that is not easily undone."""

import sys

import click

from adapters.errors import InputError


def agreed(question: str, *, unanswered: str) -> bool:
    """Ask a question and return whether the answer is yes.

    Args:
        question: Printed on stderr.
        unanswered: What has come of it where nobody answers, as in a script, and what to do.

    Raises:
        InputError: nobody answers.
    """
    if sys.stdin is None or sys.stdin.closed:  # as Python has it where it was closed before
        raise InputError(f"expected an answer on standard input, found it closed: {unanswered}")
    try:
        return click.confirm(question, err=True)
    except click.Abort as abort:
        if sys.stdin.isatty():  # somebody has interrupted it
            raise
        raise InputError(
            f"expected an answer on standard input, found its end: {unanswered}"
        ) from abort
