"""A process that has loaded what `nacre` loads, and runs each command in a fork of itself.

A command gets the arguments, the folder, the environment and the open files of whoever calls it,
and ends as it would in an interpreter of its own. Only what takes a second each time is done once:
loading. Ray reads its variables when it is loaded, so that `nacre up` is not called this way.
"""

import atexit
import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from cluster.cli.main import MODULES, main
from tests.support.drivers.forwarded import FILES, LENGTH

LOADED_BY_VERBS = (
    *("cluster.client.http_api", "cluster.client.remote.questions", "cluster.client.tasks"),
    *("cluster.evaluation.benching", "cluster.evaluation.evaluating", "cluster.wire.problems"),
)
PROGRAM = "import sys; from tests.support.drivers.preloaded import serve; serve(sys.argv[1])"
"""Not `-m`: a command is told the name of the module then, and takes it for its own."""


def started(
    address: Path, *, root: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start the process, which listens at `address` once it has loaded everything."""
    command = [sys.executable, "-c", PROGRAM, str(address)]
    return subprocess.Popen(command, cwd=root, env=environment)


def serve(address: str) -> None:
    """Run what is asked for at `address`, until this process is ended."""
    ending = _Ending()
    atexit.register(ending)  # before all others, so that it is called after them
    for name in MODULES:
        import_module(f"cluster.cli.{name}")
    for name in LOADED_BY_VERBS:
        import_module(name)
    gc.freeze()  # or each fork copies all of it when it ends
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        while True:
            connection, _ = listening.accept()
            _forget_the_ended()
            if os.fork() == 0:
                break
            connection.close()
    _attend(connection, ending)


def _attend(connection: socket.socket, ending: "_Ending") -> None:
    """Run one command in a process of its own, and tell whoever asked how it has ended."""
    head, files, _, _ = socket.recv_fds(connection, LENGTH, FILES)
    message = connection.makefile("rb").read(int.from_bytes(head, "big"))
    command = os.fork()
    if command == 0:
        connection.close()
        _run(files, ending, **json.loads(message))
    _, status = os.waitpid(command, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
    os._exit(0)


def _run(
    files: Sequence[int],
    ending: "_Ending",
    *,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["nacre", *arguments]
    try:
        main()
    except SystemExit as ended:
        ending.code = int(ended.code or 0)
        raise


class _Ending:
    """Ends a command as an interpreter does, but that nothing loaded is taken apart.

    Attributes:
        code: Its exit code; 1 where it ends by an error that nobody catches.
    """

    def __init__(self) -> None:
        self.code = 1

    def __call__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.code)


def _forget_the_ended() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
