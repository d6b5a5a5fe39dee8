"""Connections to permitted addresses: a name is resolved once, and what is connected to is checked.

Were the address looked at before, and resolved again by whoever connects, a name server could give
another answer the second time.
"""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress

import httpcore

from cluster.webhooks.permitted import Permitted

TRIED = 4
"""Most addresses of one name that are tried."""


class NotPermittedError(Exception):
    """A name leads to addresses that events may not be sent to."""


class UnknownNameError(Exception):
    """A name leads nowhere."""


class PermittedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to permitted addresses alone.

    Args:
        permitted: Says which they are.
    """

    # Owns: nothing.

    def __init__(self, permitted: Permitted) -> None:
        self._permitted = permitted
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to the first address that can be reached.

        Raises:
            UnknownNameError: the name cannot be resolved.
            NotPermittedError: none of its addresses is permitted.
            ConnectError: none of these can be reached.
        """
        addresses = await _resolved(host, port)
        allowed = [address for address in addresses if self._permitted.ip(address)]
        if not allowed:
            raise NotPermittedError(addresses[0])
        *firsts, last = allowed[:TRIED]
        for address in firsts:
            with suppress(httpcore.ConnectError):
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: events go over TCP alone."""
        raise NotPermittedError(path)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


async def _resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a name, each once."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownNameError(host) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
