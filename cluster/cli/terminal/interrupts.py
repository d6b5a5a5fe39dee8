"""Interrupts: a command that Ctrl-C ends says what goes on without it, and how to take it back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

EXIT_INTERRUPTED = 130
INTERRUPTED = "interrupted"


class Interrupted(click.ClickException):
    """A person has ended a command."""

    exit_code = EXIT_INTERRUPTED


@contextmanager
def interruptible(meanwhile: str | Callable[[], str]) -> Iterator[None]:
    """Say `meanwhile` where the block is interrupted: what goes on, and how to take it back.

    Args:
        meanwhile: A sentence, or what makes it when it is needed.

    Raises:
        Interrupted: it was.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        said = meanwhile if isinstance(meanwhile, str) else meanwhile()
        raise Interrupted(f"{INTERRUPTED}: {said}") from error
