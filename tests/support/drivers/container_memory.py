"""How much memory containers use, as the kernel counts it, and how much each process had."""

import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.drivers.containers import Containers
from tests.support.drivers.ray_nodes import tree

CGROUPS = Path("/sys/fs/cgroup")
ROOTS = {"memory": (CGROUPS / "memory",), "": (CGROUPS, CGROUPS / "unified")}
"""Where groups lie, by what a line of /proc/PID/cgroup says is controlled."""
KILLED = {"memory.events": "oom_kill", "memory.oom_control": "oom_kill"}
"""Where the kernel says how many processes a limit has killed, in both forms."""
EVERY_S = 0.5
_SERVE = re.compile(r"^ray::ServeReplica:nacre-(?P<role>[a-z_]+):")
_PEAK = re.compile(r"^VmHWM:\s+(?P<kb>\d+) kB$", re.MULTILINE)


def group_of(pid: int) -> Path:
    """Return the folder in which the kernel counts the memory of a process.

    Raises:
        RuntimeError: it counts none.
    """
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for where in ROOTS.get(controllers, ()):
            folder = where / path.lstrip("/")
            if (folder / "memory.stat").is_file():
                return folder
    raise RuntimeError(f"expected a group that counts the memory of process {pid}, found none")


def used(group: Path) -> int:
    """Return the bytes that cannot be given back: of processes, and of files that are in memory.

    What was read from a disk and lies in memory because there is room is not among them.
    """
    said = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    # The first form of these groups counts those below beside itself, and calls that total.
    first = ("total_rss", "total_shmem") if "total_rss" in said else ("anon", "shmem")
    return sum(int(said.get(name, 0)) for name in first)


def killed(group: Path) -> int:
    """Return how many processes of a group were killed because it was at its limit."""
    for file, name in KILLED.items():
        with suppress(OSError):
            for line in (group / file).read_text().splitlines():
                word, _, count = line.partition(" ")
                if word == name:
                    return int(count)
    return 0


@dataclass(kw_only=True)
class Watched:
    """The most that each container has used while somebody looked.

    Attributes:
        groups: Where the kernel counts, by container.
        most: Bytes, by container.
    """

    groups: Mapping[str, Path]
    most: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Look once at all of them; one that has ended keeps what it had."""
        for name, group in self.groups.items():
            with suppress(OSError, ValueError):
                self.most[name] = max(self.most.get(name, 0), used(group))


@contextmanager
def watched(own: Containers, names: Sequence[str]) -> Iterator[Watched]:
    """Look at running containers twice a second."""
    found = Watched(groups={name: group_of(own.pid(name)) for name in names})
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(EVERY_S):
            found.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def peaks(pid: int) -> dict[str, int]:
    """Return the most bytes that a process of each role ever had, of those that run below `pid`.

    Libraries count in each, though processes share them. What is none of nacre's roles is called
    by its program.
    """
    found: dict[str, int] = defaultdict(int)
    for process in tree(pid):
        with suppress(psutil.Error, OSError):
            name = _named(process)
            said = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text())
            found[name] = max(found[name], int(said["kb"]) * 1024 if said else 0)
    return dict(found)


def _named(process: psutil.Process) -> str:
    title = (process.cmdline() or [""])[0]
    if said := _SERVE.match(title):
        return said["role"]
    return title if title.startswith("ray::") else Path(title).name
