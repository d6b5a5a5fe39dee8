"""Standard output and error of a command: where they cannot be written, that is a sentence.

A full disk behind a redirection ends a command with one; a reader that has gone away, as `head`
does, ends it quietly, which click and rich see to. Notes and bars may be lost. Where a command was
started without one of them (`>&-`), what is printed there goes nowhere.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

from adapters.errors import NacreError


class GuardedStream:
    """Passes everything on to a stream, and what keeps it from being written to `failed`.

    Args:
        stream: Where text goes.
        failed: Is told of an error of the operating system; may raise another one.
    """

    # Owns: nothing; the stream stays whoever's it was.

    def __init__(self, stream: TextIO, failed: Callable[[TextIO, OSError], None]) -> None:
        self._stream = stream
        self._failed = failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`; the number of its characters is returned."""
        if text == "":  # how click finds out what kind of stream it has
            return 0
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._failed(self._stream, error)
            return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._failed(self._stream, error)


@contextmanager
def written_streams() -> Iterator[None]:
    """Guard the standard streams of this process as long as the block lasts."""
    with ExitStack() as opened:
        streams: list[TextIO | None] = [sys.stdout, sys.stderr]
        out, err = (
            opened.enter_context(Path(os.devnull).open("w")) if stream is None else stream
            for stream in streams
        )
        guarded: Any = GuardedStream(out, _say)
        with redirect_stdout(guarded), redirect_stderr(GuardedStream(err, _forget)):
            yield


def _say(stream: TextIO, error: OSError) -> None:
    _forget(stream, error)
    raise NacreError(
        f"the output cannot be written ({error.strerror}); make room or print elsewhere, and "
        "check whether the command has done its work before you repeat it"
    ) from error


def _forget(stream: TextIO, _error: OSError) -> None:
    """Let what is still in the buffer go nowhere, or the interpreter fails on it at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
