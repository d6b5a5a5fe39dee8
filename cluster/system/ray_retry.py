"""Another try in a new process, where Ray has given a node up: it gives each half a minute.

That is not enough on a machine which is busy, and cannot be set. A process that has lost a node
keeps parts of it and of Ray's state, so that the next try has to be made by a new one. That takes
the place of this one under the same process id: whoever waits for it or ends it does not notice.
"""

import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from adapters.errors import UnavailableError

TIMED_OUT = "timed out during startup"
"""What Ray says of a node that it has given up."""
UNREACHED = "Failed to connect to Ray cluster at "
"""What Ray says, before the address, of a head that did not answer in time, or is not there."""
LISTENS_S = 5.0
TRIES = 3
TRIED = "_NACRE_STARTS_TRIED"
"""The variable by which a process knows of the tries before it."""

_log = logging.getLogger(__name__)


@contextmanager
def started_again() -> Iterator[None]:
    """Begin the program anew where Ray gives up a node, or a head that listens, in this.

    At most so many times.

    Raises:
        UnavailableError: Ray has given up again and again; or of another reason.
    """
    try:
        yield
    except UnavailableError as error:
        tried = 1 + int(os.environ.get(TRIED, "0"))
        if not _is_given_up(error) or tried >= TRIES:
            raise
        _log.warning(
            "Ray has given up to start or to join a node, as on a machine that is busy; trying "
            "again (%d of %d)",
            tried + 1,
            TRIES,
        )
        os.environ[TRIED] = str(tried)
        _end_children()
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _is_given_up(error: UnavailableError) -> bool:
    said = str(error.__cause__)
    unreached = re.search(UNREACHED + r"\[?([^\s\]]+)\]?:(\d+)", said)
    return TIMED_OUT in said or (unreached is not None and _listens(*unreached.groups()))


def _listens(host: str, port: str) -> bool:
    """Return whether a head is there, which then was too busy to answer."""
    try:
        with socket.create_connection((host, int(port)), LISTENS_S):
            return True
    except (OSError, OverflowError):
        return False


def _end_children() -> None:
    """End what Ray has started: the new process would know nothing of it."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=10.0)
