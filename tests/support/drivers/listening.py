"""Sockets that a running system listens on, the table of them in the documents, and its logs."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster.config import LOOPBACK

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"
FIRST_CHOSEN = 32_768
"""Linux gives whoever asks for any port this one or a higher one."""
ALL = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True)
class Socket:
    """A socket that somebody listens on.

    Attributes:
        process: The command of the process, with its arguments.
        host: The address it is bound to.
        port: Its port.
    """

    process: str
    host: str
    port: int


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        processes: Parts of commands.
        port: Which ports.
        interfaces: Where they are bound to.
    """

    processes: tuple[str, ...]
    port: str
    interfaces: str

    def has(self, socket: Socket, *, host: str, port: int) -> bool:
        """Return whether a socket of a system with this `serve: host:` and `port:` is in it."""
        if not any(process in socket.process for process in self.processes):
            return False
        if self.interfaces == "loopback":
            bound = socket.host in LOOPBACK
        else:
            bound = socket.host in ALL if self.interfaces == "all" else socket.host == host
        if self.port == "`serve: port:`":
            return bound and socket.port == port
        if self.port.startswith("from "):
            return bound and socket.port >= int(self.port.removeprefix("from "))
        if self.port.isdecimal():
            return bound and socket.port == int(self.port)
        # What the system chose: never the port that strangers are let in by.
        return bound and socket.port >= FIRST_CHOSEN and socket.port != port


def listening(home: Path) -> Iterator[Socket]:
    """Yield the sockets of all processes of the system whose files are in `home`."""
    for process in _processes(home):
        with suppress(psutil.Error):  # it may have ended meanwhile
            command = " ".join(process.cmdline())
            for found in process.net_connections(kind="inet"):
                if found.status == psutil.CONN_LISTEN:
                    yield Socket(command, found.laddr.ip, found.laddr.port)


def unix_sockets(home: Path) -> set[Path]:
    """Return the Unix sockets that processes of the system whose files are in `home` have bound."""
    found: set[Path] = set()
    for process in _processes(home):
        with suppress(psutil.Error):
            bound = (str(each.laddr) for each in process.net_connections(kind="unix") if each.laddr)
            found.update(map(Path, bound))
    return found


def logs(home: Path) -> set[Path]:
    """Return the logs that processes of the system whose files are in `home` are writing."""
    found: set[Path] = set()
    for process in _processes(home):
        with suppress(psutil.Error):
            files = (Path(file.path) for file in process.open_files())
            found.update(file for file in files if "logs" in file.parts)
    return found


def _processes(home: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it may have ended, or be somebody else's
            if process.environ().get("NACRE_HOME") == str(home):
                yield process


def table() -> list[Row]:
    """Return the table of the documents."""
    (section,) = re.findall(r"## What listens where\n(.*?)\n## ", PAGE.read_text(), re.DOTALL)
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [
        Row(tuple(re.findall(r"`(.+?)`", process)), port.strip(), interfaces.strip())
        for process, port, interfaces, *_ in lines
    ]


def untold(sockets: list[Socket], *, host: str, port: int) -> list[Socket]:
    """Return the sockets that the table does not have."""
    rows = table()
    return [
        socket
        for socket in sockets
        if not any(row.has(socket, host=host, port=port) for row in rows)
    ]
