"""Readings of answers over HTTP: a document, lines that end with one, or a file."""

import json
from typing import Any, Protocol

from pydantic import TypeAdapter

from cluster.wire.lasting import LastingLine
from cluster.wire.problems import Problem
from workers.progress_callbacks import StepCallback, unreported

SHOWN = 80
"""So many characters of what is no answer are shown."""


class Reading(Protocol):
    """Reads one answer, piece by piece."""

    @property
    def begun(self) -> str:
        """How the answer begins, for the error where it is none."""

    def take(self, piece: bytes) -> None:
        """Read what comes next."""

    def answer(self) -> Any:
        """Return what was answered.

        Raises:
            ValueError: it is nothing that nacre answers.
            EOFError: it has broken off.
        """


class Ended(Exception):  # noqa: N818 - it is no error of whoever reads
    """A line says that what took long has ended with an error.

    Args:
        problem: The error.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem


class Document:
    """An answer that is one document.

    Args:
        kind: What it is; None for an answer without content.
    """

    # Owns: what has come of it.

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._content = bytearray()

    @property
    def begun(self) -> str:
        """See `Reading`."""
        return self._content[:SHOWN].decode(errors="replace")

    def take(self, piece: bytes) -> None:
        """See `Reading`."""
        self._content += piece

    def answer(self) -> Any:
        """See `Reading`."""
        if self._kind is None:
            return None
        return TypeAdapter(self._kind).validate_json(bytes(self._content))


class Lines:
    """An answer in lines: how far what takes long is, its files, and at last what came of it.

    Args:
        kind: What that is.
        on_step: Is told how far it is.
        files: Its files are added to these, by name.
    """

    # Owns: the line that is not whole yet, and what came of it.

    def __init__(
        self,
        kind: Any,
        *,
        on_step: StepCallback = unreported,
        files: dict[str, bytes] | None = None,
    ) -> None:
        self._kind, self._on_step = TypeAdapter(kind), on_step
        self._files: dict[str, bytes] = {} if files is None else files
        self._rest = b""
        self._answers: list[Any] = []

    @property
    def begun(self) -> str:
        """See `Reading`."""
        return self._rest[:SHOWN].decode(errors="replace")

    def take(self, piece: bytes) -> None:
        """See `Reading`."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._take(line)

    def answer(self) -> Any:
        """See `Reading`."""
        if not self._answers:
            raise EOFError
        return self._answers[-1]

    def _take(self, content: bytes) -> None:
        line = LastingLine.model_validate_json(content)
        if line.error is not None:
            raise Ended(line.error)
        if line.progress is not None:
            self._on_step(line.progress.what, line.progress.done, line.progress.total)
        if line.file is not None:
            name = line.file.name
            self._files[name] = self._files.get(name, b"") + line.file.data
        if "result" in json.loads(content):
            self._answers.append(self._kind.validate_python(line.result))
