"""Road of a client: over the store of a configuration, or to a remote system over HTTP."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapters.errors import InputError
from cluster.client.documents import DocumentClient
from cluster.client.remote.address import remote_address
from cluster.client.requester import PYTHON
from cluster.config import Config

if TYPE_CHECKING:
    from cluster.client.remote_client import RemoteClient

    AnyClient = DocumentClient | RemoteClient


def chosen_client(
    config: Config,
    *,
    url: str | None = None,
    token_file: Path | None = None,
    insecure: bool = False,
    by: str | None = None,
    road: str = PYTHON,
) -> "AnyClient":
    """Return the client of a remote system, where one is named, or else that of the store.

    Args:
        config: Says where both are.
        url: See `RemoteClient`.
        token_file: See `RemoteClient`.
        insecure: See `RemoteClient`.
        by: In whose name; the user of this process where None, and the token's over HTTP.
        road: How what is asked of it has come in, as the audit log of the store says.

    Raises:
        SettingsError: the address or the token of a remote system cannot be used.
        NotFoundError: there is no file with a token.
        InputError: a name is given where the token says it.
    """
    if remote_address(config, url=url, token_file=token_file, insecure=insecure) is None:
        from cluster.client.client import Client

        return DocumentClient(Client(config, road=road), by=by)
    if by is not None:
        raise InputError(
            f"over HTTP the token says who asks, found --by {by!r} too; leave it out", by=by
        )
    from cluster.client.remote_client import RemoteClient  # httpx takes a while to load

    return RemoteClient(config, url=url, token_file=token_file, insecure=insecure)
