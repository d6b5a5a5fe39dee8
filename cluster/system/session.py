"""Session of a Ray that is started on this machine: how it begins, and the end of its folder."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray

from adapters.errors import UnavailableError, reason_of
from cluster.config import LOCAL

LATEST = "session_latest"
"""Ray's link to the folder of the session that was begun last."""


def begun_here(**options: Any) -> Path:
    """Start a Ray on this machine, join it, and return the folder of its session.

    Raises:
        UnavailableError: it does not start.
    """
    try:
        with signals_kept():
            context = ray.init(address=LOCAL, **options)
    except Exception as error:  # Ray raises errors of all kinds, bare ones among them
        raise UnavailableError(
            f"expected a Ray to start on this machine, and it did not ({reason_of(error)}); look "
            f"at the logs in {_temporary() / LATEST / 'logs'}, and call `nacre up` again when "
            "the machine has cores and memory free"
        ) from error
    return Path(str(context.address_info["session_dir"]))


@contextmanager
def signals_kept() -> Iterator[None]:
    """Put this process's own handlers of signals back over those that Ray has put before them.

    Ray's print a trace and end the process at once, with all that it has started left behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # others may not set any
        return
    own = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in own.items():
            if handler is not None:  # one that was not set from Python
                signal.signal(number, handler)


def remove_session(folder: Path) -> None:
    """Remove the folder of a session that this process has begun and ended.

    Others have folders of their own beside it; Ray's link goes where it leads to this one.
    """
    shutil.rmtree(folder, ignore_errors=True)
    link = folder.parent / LATEST
    with suppress(OSError):  # others may be faster, with a session of theirs
        if os.path.realpath(link) == os.path.realpath(folder):
            link.unlink()


def _temporary() -> Path:
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"
