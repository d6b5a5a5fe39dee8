"""A process that inspects a task for the API.

python -m cluster.api.lasting.inspection_process    reads an order, prints lines
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.api.lasting.answers import Done, Watch
from cluster.api.lasting.process import Order, Said, carry_out, done_apart

if TYPE_CHECKING:
    from cluster.wire.inspection import InspectedTask

MODULE = "cluster.api.lasting.inspection_process"


class InspectionOrder(Order):
    """What is to be looked at.

    Attributes:
        config: Of the system, as JSON.
        folder: Where the task file and its images are.
        adapter: The adapter to grow, instead of the task file's.
        author: Who would submit it.
        features: Whether the encoder looks, too.
        shown: So many findings of each kind are shown.
        report: Whether a page of it is written.
        pictures: Whether small pictures of the images that are shown belong to the answer: files
            that are named by digests and hold addresses.
    """

    folder: str
    adapter: str | None = None
    author: str
    features: bool
    shown: int
    report: bool = False
    pictures: bool = False


def inspected_apart(order: InspectionOrder, watch: Watch) -> Done:
    """Have a process inspect a task, and return what it has found; see `done_apart`."""
    return done_apart(MODULE, order, watch)


def _inspected(order: InspectionOrder, said: Said) -> "InspectedTask":
    """Look at what was ordered."""
    from cluster.api.task_uploads import task_in
    from cluster.client.client import Client
    from cluster.client.inspections import inspected
    from cluster.wire.inspection import shown_digests
    from harness.pages.inspection_page import InspectedPictures, write_inspection

    config = order.configuration
    task = task_in(Path(order.folder), config, environment=dict(os.environ), adapter=order.adapter)
    with Client(config) as client:
        found = client.inspect(
            task,
            adapter=order.adapter,
            features=order.features,
            shown=order.shown,
            by=order.author,
            on_step=said.step,
        )
    written: str | None = None
    if order.report:
        with tempfile.TemporaryDirectory(prefix="nacre-report-") as name:
            page = write_inspection(found, Path(name))
            written = page.name
            said.file(page.name, page.read_bytes())
    document = inspected(found, report=written).document
    if order.pictures:
        picture = InspectedPictures(found)
        for digest in dict.fromkeys(shown_digests(document)):
            said.file(digest, picture(digest).encode())
    return document


if __name__ == "__main__":
    carry_out(InspectionOrder, _inspected)
