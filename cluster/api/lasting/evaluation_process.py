"""A process that measures versions for the API.

python -m cluster.api.lasting.evaluation_process    reads an order, prints lines
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.api.lasting.answers import Done, Watch
from cluster.api.lasting.process import Order, Said, carry_out, done_apart

if TYPE_CHECKING:
    from cluster.wire.outputs.measured import MeasuredAdapters

MODULE = "cluster.api.lasting.evaluation_process"


class EvaluationOrder(Order):
    """What is to be measured.

    Attributes:
        config: Of the system, as JSON.
        adapter: Whose versions.
        versions: Which of them.
        tasks: Ids of submissions that are measured besides.
        sets: Addresses of images by the name of their set.
        reject: A rate of false alarms at which images are rejected; None for not.
        report: Whether a page of it is written.
        endpoint: The server on which the sets are; empty where there are none.
    """

    adapter: str
    versions: str
    tasks: list[str]
    sets: dict[str, str]
    report: bool
    reject: float | None = None
    endpoint: str = ""


def measured_apart(order: EvaluationOrder, watch: Watch) -> Done:
    """Have a process measure, and return what it has found; see `done_apart`."""
    environment = {"NACRE_S3_ENDPOINT": order.endpoint} if order.endpoint else {}
    return done_apart(MODULE, order, watch, environment=environment)


def _measured(order: EvaluationOrder, said: Said) -> "MeasuredAdapters":
    """Measure what was ordered."""
    from cluster.client.client import Client
    from cluster.evaluation.documents import measured_document
    from harness.pages.versions_page import write_evaluation

    with Client(order.configuration) as client:
        found = client.evaluate(
            adapter=order.adapter,
            versions=order.versions,
            tasks=order.tasks,
            sets=order.sets,
            reject=order.reject,
            threads=1,
            on_step=said.step,
        )
    written: list[str] = []
    if order.report:
        with tempfile.TemporaryDirectory(prefix="nacre-report-") as name:
            page = write_evaluation(found, Path(name))
            written = [page.name]
            for path in sorted(Path(name).iterdir()):
                said.file(path.name, path.read_bytes())
    return measured_document([found], reports=written)


if __name__ == "__main__":
    carry_out(EvaluationOrder, _measured)
