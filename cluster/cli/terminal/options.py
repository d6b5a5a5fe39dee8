"""Options that several commands share: --adapter, --by, --why, --relearn."""

from collections.abc import Callable
from typing import Any

import click

from cluster.cli.terminal.completion import ADAPTERS

adapter_option = click.option(
    "--adapter",
    help="Which adapter.  [default: the configured one]",
    shell_complete=ADAPTERS,
)
by_option = click.option(
    "--by", metavar="NAME", help="Who asks; kept with the change.  [default: your user name]"
)
why_option = click.option("--why", default="", help="The reason, kept in the history.")


def relearn_option(does: str) -> Callable[[Any], Any]:
    """Return the option --relearn, whose help says what it `does`."""
    return click.option("--relearn", is_flag=True, help=does)
