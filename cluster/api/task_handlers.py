"""Handlers of the task routes: the client's own calls, and their results as documents."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import BinaryIO

from fastapi import Request
from starlette.datastructures import UploadFile

from adapters.errors import InputError
from cluster.api.task_uploads import MAX_ARCHIVE_BYTES, uploaded_task
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.wire.documents import SourceCount, TaskAccepted, TaskEvent, TaskList, TaskState
from workers.queue.progress import State

MAX_TASK_BYTES = 2**20


class TaskHandlers:
    """Takes tasks in, and says where they are.

    Args:
        client: Of the system, opened once for all requests.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, content: bytes, archive: BinaryIO | None, *, by: Requester) -> TaskAccepted:
        """Check a task, make it durable, and return its submission."""
        environment = dict(os.environ)
        config = self._client.config
        with uploaded_task(content, archive, config, environment=environment) as task:
            intake = self._client.submit(task, by=by)
        return TaskAccepted(
            submission=_document(self._client.state(intake.submission)),
            is_new=intake.is_new,
            notes=list(intake.notes()),
            sources={
                key: SourceCount.model_validate(count) for key, count in intake.sources().items()
            },
        )

    def tasks(self) -> TaskList:
        """Return the queue."""
        queue = self._client.queue()
        lead = queue.lead
        return TaskList(
            coordinated=lead is not None and lead.expires > time.time(),
            paused=list(lead.paused) if lead else [],
            submissions=[_document(state) for state in queue.states],
        )

    def task(self, name: str) -> TaskState:
        """Return where a submission is, given by its id or its task's name."""
        return _document(self._client.find(name))

    def events(self, name: str) -> list[TaskEvent]:
        """Return what has happened to a submission, oldest first."""
        found = self._client.find(name).ticket.submission_id
        return [TaskEvent.model_validate(asdict(entry)) for entry in self._client.journal(found)]

    def cancel(self, name: str, *, by: Requester) -> TaskState:
        """Take a submission back."""
        return _document(self._client.cancel(name, by=by))

    def retry(self, name: str, *, by: Requester) -> TaskState:
        """Try a submission again."""
        return _document(self._client.retry(name, by=by))


@asynccontextmanager
async def received_task(request: Request) -> AsyncIterator[tuple[bytes, BinaryIO | None]]:
    """Give the task file in a request, and its archive if there is one.

    Raises:
        InputError: there is no task, or it is too large.
    """
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MAX_ARCHIVE_BYTES:
        raise InputError(
            f"expected a Content-Length of at most {MAX_ARCHIVE_BYTES} bytes, found "
            f"{length or 'none'}; put large sets of images into the object store"
        )
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        yield _checked(await request.body()), None
        return
    async with request.form(max_files=2) as form:
        task, archive = form.get("task"), form.get("archive")
        content = await task.read() if isinstance(task, UploadFile) else str(task or "").encode()
        yield _checked(content), archive.file if isinstance(archive, UploadFile) else None


def _checked(content: bytes) -> bytes:
    if not content or len(content) > MAX_TASK_BYTES:
        raise InputError(
            f"expected a task file of at most {MAX_TASK_BYTES} bytes (the body, or the form's part "
            f"called `task`), found {len(content)} bytes"
        )
    return content


def _document(state: State) -> TaskState:
    return TaskState.model_validate(state.to_json())
