"""Handlers of the task routes: the client's own calls, and their results as documents."""

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import BinaryIO, TypeVar

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from adapters.errors import InputError, UnavailableError
from cluster.api.forms import received_form
from cluster.api.limits import is_form
from cluster.api.places import Places
from cluster.api.task_uploads import uploaded_task
from cluster.client.client import Client
from cluster.client.documents import accepted_document
from cluster.client.requester import Requester
from cluster.wire.facts import (
    cancelled,
    entry_document,
    lead_document,
    retried,
    state_document,
    worker_log_document,
)
from cluster.wire.tasks import (
    TaskAccepted,
    TaskEvent,
    TaskList,
    TaskOutcome,
    TaskState,
    WorkerLog,
)
from cluster.wire.versions import HistoryEntry
from workers.formats.tar_headers import compression_of
from workers.formats.yaml_scalars import cut
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.progress import State

MAX_TASK_BYTES = 2**20
Answer = TypeVar("Answer", bound=TaskState)


class TaskHandlers:
    """Takes tasks in, and says where they are.

    Args:
        client: Of the system, opened once for all requests.
        places: What stands for the service's own places in what is said of tasks.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client, places: Places) -> None:
        self._client = client
        self._places = places

    def submit(
        self,
        content: bytes,
        archive: BinaryIO | None,
        *,
        by: Requester,
        adapter: str | None = None,
        left: threading.Event | None = None,
    ) -> TaskAccepted:
        """Check a task, make it durable, and return its submission.

        Args:
            content: The task file.
            archive: A tar of its folder, if there is one.
            by: Who submits.
            adapter: The adapter to grow, instead of the task file's.
            left: Is set when nobody waits for it any more; then no more of its images are read.

        Raises:
            UnavailableError: nobody waits for it any more; nothing was accepted.
        """
        environment = dict(os.environ)
        client = in_effect(self._client)

        def awaited(*_: int) -> None:
            if left is not None and left.is_set():
                raise UnavailableError("whoever sent the task has left; nothing was accepted")

        with uploaded_task(
            content,
            archive,
            client.config,
            environment=environment,
            adapter=adapter,
            on_seen=awaited,
        ) as (task, places):
            sender = replace(by, said=places.said)
            intake = client.submit(task, adapter=adapter, by=sender, on_progress=awaited)
        accepted = accepted_document(self._client, intake)
        self._cleared(accepted.submission)
        return accepted

    def tasks(self, *, by: Requester) -> TaskList:
        """Return the queue, as far as somebody may look at its adapters."""
        queue = self._client.queue(by=by)
        lead = lead_document(queue.lead)
        paused = queue.lead.paused if queue.lead else ()
        return TaskList(
            coordinated=lead is not None and lead.alive,
            coordinator=lead,
            paused=[name for name in paused if name == EVERY_ADAPTER or by.sees(name)],
            unread_requests=queue.unread,
            refusals=[
                self._refusal(entry_document(entry)) for entry in self._client.refusals(by=by)
            ],
            submissions=[self._document(state) for state in queue.states],
        )

    def task(self, name: str, *, by: Requester) -> TaskState:
        """Return where a submission is, given by its id or its task's name."""
        return self._document(self._client.find(name, by=by))

    def events(self, name: str, *, by: Requester, after: float = 0.0) -> list[TaskEvent]:
        """Return what has happened to a submission later than `after`, oldest first."""
        found = self._client.find(name, by=by).ticket.submission_id
        journal = self._client.journal(found, after=after)
        events = [TaskEvent.model_validate(asdict(entry)) for entry in journal]
        for event in events:
            event.message = self._places.said(event.message)
        return events

    def worker_logs(self, name: str, *, by: Requester, after: float = 0.0) -> list[WorkerLog]:
        """Return what workers wrote for a submission."""
        logs = self._client.worker_logs(name, after=after, by=by)
        documents = list(map(worker_log_document, logs))
        for each in documents:
            each.text = self._places.said(each.text)
        return documents

    def cancel(self, name: str, *, by: Requester) -> TaskOutcome:
        """Take a submission back."""
        return self._cleared(cancelled(self._client.cancel(name, by=by)))

    def retry(self, name: str, *, by: Requester) -> TaskOutcome:
        """Try a submission again."""
        return self._cleared(retried(self._client.retry(name, by=by)))

    def _document(self, state: State) -> TaskState:
        return self._cleared(state_document(state))

    def _cleared(self, document: Answer) -> Answer:
        """Return where a submission is without places of the service's own."""
        document.error = document.error and self._places.said(document.error)
        document.note = document.note and self._places.said(document.note)
        for failure in document.failures:
            failure.error = self._places.said(failure.error)
        return document

    def _refusal(self, entry: HistoryEntry) -> HistoryEntry:
        entry.why = self._places.said(entry.why)
        return entry


def in_effect(client: Client) -> Client:
    """Return a client under what the coordinator has been told since this process started."""
    running = client.running_config()
    if running is None or not running.differing(client.config):
        return client
    return Client(running.in_effect(client.config), store=client.store)


@asynccontextmanager
async def received_task(request: Request) -> AsyncIterator[tuple[bytes, BinaryIO | None]]:
    """Give the task file in a request, and its archive if there is one.

    Raises:
        InputError: there is no task, it is too large, or the archive is no file.
    """
    if not is_form(request.headers.get("content-type", "")):
        yield _checked(await request.body()), None
        return
    async with received_form(
        request, max_files=2, max_fields=2, max_part_size=MAX_TASK_BYTES
    ) as form:
        _check_parts(form)
        task, archive = form.get("task"), form.get("archive")
        content = (
            await task.read(MAX_TASK_BYTES + 1)
            if isinstance(task, UploadFile)
            else (task or "").encode()
        )
        yield _checked(content), archive.file if isinstance(archive, UploadFile) else None


_HOW = "`curl -F task=@task.yaml -F archive=@images.tar` sends both"


def _check_parts(form: FormData) -> None:
    """Raise InputError unless a form has the part `task`, and perhaps the file `archive`."""
    names = [cut(name) for name, _ in form.multi_items()]
    unknown = [name for name in names if name not in ("task", "archive")]
    if unknown or len(set(names)) < len(names) or "task" not in names:
        raise InputError(
            "expected the form's parts `task`, the task file, and perhaps `archive`, a tar of its "
            f"folder, each once; found {', '.join(map(repr, names)) or 'none'}; {_HOW}"
        )
    if isinstance(form.get("archive"), str):
        raise InputError(f"expected a file as `archive`, found a part without a file name; {_HOW}")


def _checked(content: bytes) -> bytes:
    found = compression_of(content[:8]) or ("tar" if content[257:262] == b"ustar" else None)
    if found is not None:
        raise InputError(
            f"expected a task file, found an archive ({found}); send it as the form's file "
            f"`archive`, beside `task`: {_HOW}"
        )
    if not content or len(content) > MAX_TASK_BYTES:
        raise InputError(
            f"expected a task file of at most {MAX_TASK_BYTES} bytes (the body, or the form's part "
            f"called `task`), found {len(content)} bytes"
        )
    return content
