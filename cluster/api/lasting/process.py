"""Processes that carry out lasting verbs for the API, beside what answers.

Each is gone when nobody waits. It computes with threads of its own matrix library, and takes no
memory and no turn of a replica. It reads an order, which is JSON, from stdin, and prints the lines
of an answer in lines (`cluster.wire.lasting`).
"""

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Self, TypeVar

from pydantic import BaseModel, TypeAdapter

from adapters.errors import NacreError, WorkerLostError
from cluster.api.lasting.answers import PIECE_BYTES, Done, Watch, line
from cluster.client.attempts import named_error
from cluster.config import Config
from cluster.wire.lasting import LastingLine, LastingProgress
from cluster.wire.problems import error_document

_CONFIG = TypeAdapter(Config)


class Order(BaseModel):
    """What a process is to do.

    Attributes:
        config: Of the system, as JSON.
    """

    config: dict[str, object]

    @classmethod
    def of(cls, config: Config, **wishes: object) -> Self:
        """Return an order for a system of that configuration."""
        return cls.model_validate({"config": _CONFIG.dump_python(config, mode="json"), **wishes})

    @property
    def configuration(self) -> Config:
        """Of the system."""
        return _CONFIG.validate_python(self.config)


AnyOrder = TypeVar("AnyOrder", bound=Order)


class Said:
    """Says in lines what a process does.

    Args:
        lines: Where they go.
    """

    # Owns: nothing that changes.

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines

    def step(self, what: str, done: int, total: int) -> None:
        """Say how far it is."""
        self._lines.write(line("progress", LastingProgress(what=what, done=done, total=total)))
        self._lines.flush()

    def file(self, name: str, content: bytes) -> None:
        """Say a file that belongs to the answer."""
        for start in range(0, len(content), PIECE_BYTES):
            data = b64encode(content[start : start + PIECE_BYTES]).decode()
            self._lines.write(line("file", {"name": name, "data": data}))

    def result(self, document: object) -> None:
        """Say what came of it."""
        self._lines.write(line("result", document))

    def error(self, error: NacreError) -> None:
        """Say what kept it from that."""
        self._lines.write(line("error", error_document(error)))


def done_apart(
    module: str, order: Order, watch: Watch, *, environment: Mapping[str, str] | None = None
) -> Done:
    """Have a process carry out an order, and return what has come of it.

    Args:
        module: What the process runs; it calls `carry_out`.
        order: What is to be done.
        watch: Is told how far it is; where nobody waits, the process is ended.
        environment: What the process finds in its environment besides.

    Raises:
        WorkerLostError: the process has died.
        NacreError: what kept it from doing so.
    """
    with _started(module, order, environment or {}) as (process, said):
        watch.when_left(process.kill)
        files: dict[str, bytes] = {}
        for each in said:
            found = LastingLine.model_validate_json(each)
            if found.progress is not None:
                watch.step(found.progress.what, found.progress.done, found.progress.total)
            elif found.file is not None:
                files[found.file.name] = files.get(found.file.name, b"") + found.file.data
            elif found.error is not None:
                raise named_error(found.error.title, found.error.detail, found.error.status)
            else:
                return Done(document=found.result, files=files)
    watch.check()
    raise WorkerLostError("the process that did what was asked for has died; ask again")


@contextmanager
def _started(
    module: str, order: Order, environment: Mapping[str, str]
) -> "Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]":
    # It finds what this process finds, wherever that was started.
    found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **found, **environment},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with process.stdin as orders:
                orders.write(order.model_dump_json().encode())
            yield process, process.stdout
        finally:
            process.kill()


def carry_out(kind: type[AnyOrder], work: Callable[[AnyOrder, Said], Any]) -> None:
    """Carry out the order on stdin, as the process that was begun for it.

    Args:
        kind: Of the order.
        work: Carries it out, and returns the answer.
    """
    order = kind.model_validate_json(sys.stdin.buffer.read())
    # Whatever else is printed must not come between the lines.
    with os.fdopen(os.dup(1), "wb") as lines:
        os.dup2(2, 1)
        said = Said(lines)
        try:
            said.result(work(order, said))
        except NacreError as error:
            said.error(error)
