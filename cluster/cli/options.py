"""Options that several commands share: --adapter, --by, --why."""

import click

from cluster.cli.terminal.completion import ADAPTERS

adapter_option = click.option(
    "--adapter",
    help="Which adapter.  [default: the configured one]",
    shell_complete=ADAPTERS,
)
by_option = click.option(
    "--by", metavar="NAME", help="Who asks, kept beside what is done.  [default: your user name]"
)
why_option = click.option("--why", default="", help="The reason, kept in the history.")
