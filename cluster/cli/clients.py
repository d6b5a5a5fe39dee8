"""The client of a command: of the configured system, and asked over the command line."""

from pathlib import Path

from cluster.client.client import Client
from cluster.client.joined import configured
from cluster.client.requester import CLI


def client_of(path: Path | None) -> Client:
    """Return the client that a command works with.

    Args:
        path: The configuration file; looked for as `load_config` says where None.

    Raises:
        NotFoundError: the named file does not exist.
        SettingsError: a key is unknown or has the wrong type.
    """
    return Client(configured(path), road=CLI)
