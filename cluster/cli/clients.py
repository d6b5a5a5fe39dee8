"""The client of a command: of the configured system, or of a remote one over HTTP."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.errors import InputError
from cluster.cli.terminal.completion import remote_options
from cluster.cli.terminal.output import Notes, warn
from cluster.client.documents import DocumentClient
from cluster.client.joined import configured
from cluster.client.remote.address import remote_address
from cluster.client.requester import CLI
from cluster.client.road import chosen_client
from cluster.config import Config
from cluster.running_config import RunningConfig
from cluster.traces.tracing import begin_tracing

if TYPE_CHECKING:
    from cluster.client.road import AnyClient


def client_of(path: Path | None, *, by: str | None = None) -> "AnyClient":
    """Return the client that a command works with.

    Args:
        path: The configuration file; looked for as `load_config` says where None.
        by: In whose name; the user of this process where None, or the token's over HTTP.

    Raises:
        NotFoundError: the named file does not exist.
        SettingsError: a key is unknown or has the wrong type; or the address or the token of a
            remote system cannot be used.
        InputError: a name is given where the token says it.
    """
    context = click.get_current_context()
    said = remote_options(context.find_root().params)
    config = configured(path)
    begin_tracing(config.traces, "nacre-cli")
    client = chosen_client(config, by=by, road=CLI, **said)
    context.call_on_close(client.close)
    context.call_on_close(_noting())
    warn(client.address.warning)
    return client


def running_beside(client: "AnyClient") -> RunningConfig | None:
    """Return what the system that coordinates was configured with, to be compared with this one.

    None where none coordinates, and over HTTP, where a configuration of here says nothing.
    """
    return client.client.running_config() if isinstance(client, DocumentClient) else None


def _noting() -> Callable[[], None]:
    """Have what the client logs said as notes, and return what ends that."""
    logger, notes = logging.getLogger("nacre.client"), Notes()
    logger.addHandler(notes)
    return partial(logger.removeHandler, notes)


def here_alone(config: Config) -> Config:
    """Return the configuration of a command that works on this machine alone.

    Raises:
        InputError: a remote system is named.
    """
    context = click.get_current_context()
    remote = remote_address(config, **remote_options(context.find_root().params))
    if remote is not None:
        raise InputError(
            f"`{context.command_path}` works on this machine alone, found the remote system "
            f"{remote.url}; leave `--url`, NACRE_URL and `remote: url` of the configuration out"
        )
    return config
