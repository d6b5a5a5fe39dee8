"""Real Ray clusters of several nodes on loopback, each a process group that can be killed.

Every node is a `ray start --block` in a session of its own. Nothing here touches another cluster of
the machine: processes are killed by their ids, and those are found below the node's own raylet.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from tests.support.drivers.s3_server import free_port

RAY = str(Path(sys.executable).parent / "ray")
START_TIMEOUT_S = 300.0
STARTED = "Ray runtime started"
"""What `ray start` says as soon as the node is whole; the processes are there before."""
TRIES = 3


@dataclass
class RayNode:
    """One node.

    Attributes:
        head: Port of the control store, on 127.0.0.1.
        is_head: Whether it is the head.
        cpus: CPUs that it declares.
        gpus: GPUs that it declares; there need not be any.
        dashboard: Port of the dashboard, which jobs are submitted to; None for none.
        environment: Added to the environment of everything that it runs.
        folder: Where a head keeps its sockets and logs; short, because sockets' paths must be.
    """

    head: int
    is_head: bool = True
    cpus: int = 4
    gpus: int = 0
    dashboard: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="nacre-ray-")))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What others join."""
        return f"127.0.0.1:{self.head}"

    def start(self) -> Self:
        """Start the node and wait until it is whole.

        Where the machine is so busy that Ray gives it up, it is started again.

        Raises:
            RuntimeError: It has ended each time, or is not whole in time.
        """
        for _ in range(TRIES):
            if self._started():
                return self
            self.die()
        raise RuntimeError((self.folder / "node.log").read_text()[-2000:])

    def ended(self) -> bool:
        """Return whether it was started and has ended of itself."""
        return self._process is not None and self._process.poll() is not None

    def _started(self) -> bool:
        where = (
            ["--head", f"--port={self.head}", "--temp-dir", str(self.folder), *self._dashboard()]
            if self.is_head
            else [f"--address={self.address}"]
        )
        log = self.folder / "node.log"
        with log.open("ab") as written:
            said_before = written.tell()
            self._process = subprocess.Popen(
                [
                    RAY,
                    "start",
                    *where,
                    f"--num-cpus={self.cpus}",
                    f"--num-gpus={self.gpus}",
                    # Two Rays on one machine must not share the port: jobs need the agent on it.
                    f"--dashboard-agent-listen-port={free_port()}",
                    "--disable-usage-stats",
                    "--block",
                ],
                env={**os.environ, **self.environment},
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while STARTED.encode() not in log.read_bytes()[said_before:]:
            if self.ended() or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def pids(self, title: str) -> list[int]:
        """Return the processes of this node whose title begins with `title`, oldest first."""
        return [process.pid for process in named(self._process.pid, title)] if self._process else []

    def kill(self, title: str) -> int | None:
        """Kill the youngest process of that title without warning, and return its id."""
        return kill_youngest(self._process.pid, title) if self._process else None

    def die(self) -> None:
        """Kill everything that runs on this node at once, as when a machine loses its power."""
        process, self._process = self._process, None
        if process is None:
            return
        for child in tree(process.pid):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait()

    def _dashboard(self) -> list[str]:
        if self.dashboard is None:
            return ["--include-dashboard=false"]
        return ["--include-dashboard=true", f"--dashboard-port={self.dashboard}"]


def kill_youngest(root: int, title: str) -> int | None:
    """Kill the youngest process below `root` of that title without warning, and return its id."""
    for process in reversed(named(root, title)):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
            return process.pid
    return None


def named(root: int, title: str) -> list[psutil.Process]:
    """Return `root` and the processes below it whose title begins with `title`, oldest first."""
    found = []
    for process in tree(root):
        with suppress(psutil.NoSuchProcess):
            command = process.cmdline() or [""]
            if command[0].startswith(title) or Path(command[0]).name == title:
                found.append(process)
    return sorted(found, key=lambda process: process.create_time())


def tree(root: int) -> list[psutil.Process]:
    """Return the processes below `root`, and itself; none where it has ended."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        return [*process.children(recursive=True), process]
    return []


def new_head(
    environment: Mapping[str, str], *, cpus: int = 4, dashboard: int | None = None
) -> RayNode:
    """Return a head that is not started yet, on a free port."""
    always = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    return RayNode(
        head=free_port(), cpus=cpus, dashboard=dashboard, environment={**always, **environment}
    )


def new_worker(head: RayNode, *, cpus: int = 1, gpus: int = 0) -> RayNode:
    """Return a node that is to join `head`, not started yet."""
    return RayNode(
        head=head.head, is_head=False, cpus=cpus, gpus=gpus, environment=head.environment
    )
