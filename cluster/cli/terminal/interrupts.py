"""Interrupts: a command that Ctrl-C ends says what goes on without it, and how to take it back."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

EXIT_INTERRUPTED = 130
INTERRUPTED = "interrupted"


class Interrupted(click.ClickException):
    """A person has ended a command."""

    exit_code = EXIT_INTERRUPTED


@contextmanager
def interruptible(meanwhile: str) -> Iterator[None]:
    """Say `meanwhile` where the block is interrupted: what goes on, and how to take it back.

    Raises:
        Interrupted: it was.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"{INTERRUPTED}: {meanwhile}") from error
