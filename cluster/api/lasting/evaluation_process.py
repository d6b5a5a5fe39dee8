"""A process that measures versions for the API: beside what answers, and gone when nobody waits.

It measures with threads of its own matrix library, and takes no memory and no turn of a replica.

    python -m cluster.api.lasting.evaluation_process    reads an order, prints lines

An order is JSON on stdin, the lines are those of an answer in lines (`cluster.wire.lasting`).
"""

import os
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from pydantic import BaseModel, TypeAdapter

from adapters.errors import NacreError, WorkerLostError
from cluster.api.lasting.answers import PIECE_BYTES, Done, Watch, line
from cluster.client.attempts import named_error
from cluster.config import Config
from cluster.wire.lasting import LastingLine, LastingProgress
from cluster.wire.problems import error_document

MODULE = "cluster.api.lasting.evaluation_process"
LEAVING_S = 10.0
_CONFIG = TypeAdapter(Config)


class EvaluationOrder(BaseModel):
    """What is to be measured.

    Attributes:
        config: Of the system, as JSON.
        adapter: Whose versions.
        versions: Which of them.
        tasks: Ids of submissions that are measured besides.
        sets: Addresses of images by the name of their set.
        report: Whether a page of it is written.
        endpoint: The server on which the sets are; empty where there are none.
    """

    config: dict[str, object]
    adapter: str
    versions: str
    tasks: list[str]
    sets: dict[str, str]
    report: bool
    endpoint: str = ""

    @classmethod
    def of(cls, config: Config, **wishes: object) -> "EvaluationOrder":
        """Return an order for a system of that configuration."""
        return cls.model_validate({"config": _CONFIG.dump_python(config, mode="json"), **wishes})


def measured_apart(order: EvaluationOrder, watch: Watch) -> Done:
    """Have a process measure, and return what it has found.

    Args:
        order: What.
        watch: Is told how far it is; where nobody waits, the process is ended.

    Raises:
        WorkerLostError: the process has died.
        NacreError: what kept it from measuring.
    """
    with _started(order) as (process, said):
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
    raise WorkerLostError("the process that measured has died; ask again")


@contextmanager
def _started(order: EvaluationOrder) -> "Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]":
    # It finds what this process finds, wherever that was started.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if order.endpoint:
        environment["NACRE_S3_ENDPOINT"] = order.endpoint
    with subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with process.stdin as orders:
                orders.write(order.model_dump_json().encode())
            yield process, process.stdout
        finally:
            process.kill()


def _measured(order: EvaluationOrder, said: BinaryIO) -> None:
    """Measure what was ordered, and say so in lines."""
    from cluster.client.client import Client
    from cluster.evaluation.documents import measured_document
    from harness.pages.versions_page import write_evaluation

    def step(what: str, done: int, total: int) -> None:
        said.write(line("progress", LastingProgress(what=what, done=done, total=total)))
        said.flush()

    with Client(_CONFIG.validate_python(order.config)) as client:
        found = client.evaluate(
            adapter=order.adapter,
            versions=order.versions,
            tasks=order.tasks,
            sets=order.sets,
            threads=1,
            on_step=step,
        )
    written: list[str] = []
    if order.report:
        with tempfile.TemporaryDirectory(prefix="nacre-report-") as name:
            page = write_evaluation(found, Path(name))
            written = [page.name]
            for path in sorted(Path(name).iterdir()):
                _say_file(path, said)
    said.write(line("result", measured_document([found], reports=written)))


def _say_file(path: Path, said: BinaryIO) -> None:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            data = b64encode(piece).decode()
            said.write(line("file", {"name": path.name, "data": data}))


def main() -> None:
    """Carry out the order on stdin."""
    order = EvaluationOrder.model_validate_json(sys.stdin.buffer.read())
    # Whatever else is printed must not come between the lines.
    with os.fdopen(os.dup(1), "wb") as said:
        os.dup2(2, 1)
        try:
            _measured(order, said)
        except NacreError as error:
            said.write(line("error", error_document(error)))


if __name__ == "__main__":
    main()
