"""Files that are sent, and how far that is."""

import os
from typing import IO

from workers.progress_callbacks import ProgressCallback

UNIT = 2**20
"""Of what is sent, as progress is told: a mebibyte."""


class Watched:
    """A file whose reader is told how far it is.

    Args:
        file: The file; whoever has opened it closes it.
        on_progress: Called with mebibytes read and mebibytes in all.
    """

    # Owns: nothing. Read by one thread.

    def __init__(self, file: IO[bytes], on_progress: ProgressCallback) -> None:
        self._file, self._on_progress = file, on_progress
        self._total = file.seek(0, os.SEEK_END)
        file.seek(0)

    def fileno(self) -> int:
        """Return the descriptor, which says how long the file is."""
        return self._file.fileno()

    def seek(self, offset: int) -> int:
        """Read from there on."""
        return self._file.seek(offset)

    def read(self, size: int = -1) -> bytes:
        """Return what is read next."""
        content = self._file.read(size)
        self._on_progress(-(-self._file.tell() // UNIT), max(1, -(-self._total // UNIT)))
        return content
