"""The command `nacre`, passed on to a process that has loaded it already: `preloaded.py`.

    python -I -S tests/support/drivers/forwarded.py SOCKET ARGUMENT…

It loads next to nothing, so that it has begun after some hundredths of a second.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Sequence

FILES = 3
"""Standard input, output and error."""
LENGTH = 8
"""Bytes of the length before a message."""
POLL_S = 0.05


def call(address: str, arguments: Sequence[str]) -> int:
    """Run `nacre` by the process that listens at `address`, and return its exit code."""
    folder = os.getcwd()  # noqa: PTH109 - pathlib takes as long to load as all the rest
    said = {"arguments": list(arguments), "folder": folder, "environment": dict(os.environ)}
    message = json.dumps(said).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        _connect(connection, address)
        socket.send_fds(connection, [len(message).to_bytes(LENGTH, "big")], range(FILES))
        connection.sendall(message)
        return int(connection.makefile().read() or "1")


def _connect(connection: socket.socket, address: str) -> None:
    """Connect to a process that may still be loading."""
    while True:
        try:
            return connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(call(sys.argv[1], sys.argv[2:]))
