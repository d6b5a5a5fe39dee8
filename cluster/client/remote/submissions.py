"""Calls for submissions: submit, look, cancel, retry, pause, resume."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from adapters.errors import UnavailableError
from cluster.client.remote.call import Call, change, look, path_to
from cluster.client.remote.inspection import PAGE, Inspected, with_page
from cluster.client.remote.part import CallPart
from cluster.client.remote.readings import Lines
from cluster.wire.health import Status
from cluster.wire.inspection import InspectedTask
from cluster.wire.lasting import LINES, LastingLine
from cluster.wire.tasks import (
    QueuePause,
    TaskAccepted,
    TaskEvent,
    TaskList,
    TaskOutcome,
    TaskState,
    WorkerLog,
)
from workers.progress_callbacks import ProgressCallback, StepCallback, unreported, unwatched
from workers.queue.ticket import ENDED, Stage

if TYPE_CHECKING:
    from cluster.client.remote.packing import TaskToSend
    from workers.intake.drafting import Draft

UPLOAD_S = 3600.0
"""So long it may take to send images, in seconds, where the service lets it."""
POLL_S, WATCHED_S = 0.25, 3600.0
"""How often whoever watches a submission looks, and how long."""
SENDING = "sending, in MiB"
Seen = TypeVar("Seen")


def until_ended(
    look: Callable[[], Seen],
    stage_of: Callable[[Seen], Stage | str],
    *,
    submission_id: str,
    timeout_s: float,
    poll_s: float,
) -> Iterator[Seen]:
    """Yield what `look` sees of a submission again and again until it has ended.

    Args:
        look: Says where it is.
        stage_of: Says of that which stage it is.
        submission_id: Which submission, for the error.
        timeout_s: Seconds in all.
        poll_s: Seconds between two looks.

    Raises:
        UnavailableError: it has not ended after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        seen = look()
        yield seen
        if stage_of(seen) in ENDED:
            return
        if time.monotonic() >= deadline:
            raise not_ended(submission_id, timeout_s)
        time.sleep(poll_s)


def state_of(line: LastingLine) -> TaskState | None:
    """Return where a submission is, as a line says it; None where it says something else."""
    return line.state if line.result is None else TaskState.model_validate(line.result)


def not_ended(submission_id: str, timeout_s: float) -> UnavailableError:
    """Return that somebody has watched a submission for too short a time."""
    return UnavailableError(
        f"submission {submission_id} has not ended after {timeout_s:.0f} s; it goes on, see "
        "`nacre status`",
        submission=submission_id,
    )


class SubmissionCalls(CallPart):
    """Submits tasks and follows them through the queue."""

    def submit(
        self,
        task: "Draft | Path | str",
        *,
        adapter: str | None = None,
        on_progress: ProgressCallback = unwatched,
    ) -> Call[TaskAccepted]:
        """Send a task with its images, have it made durable, and return its submission.

        Sent again, the same task finds its submission.

        Args:
            task: The path of a task file, or a source of images without one; images of this
                machine are sent along.
            adapter: The adapter to grow, instead of the task file's.
            on_progress: Called with mebibytes sent and mebibytes in all.

        Raises:
            InputError: the task cannot be learnt as it is; nothing is stored.
        """
        return self.sending(self.read_task(task, adapter=adapter), on_progress=on_progress)

    def read_task(self, task: "Draft | Path | str", *, adapter: str | None = None) -> "TaskToSend":
        """Return what a task file or a bare source describes, ready to be sent."""
        # Loaded when it is needed: what looks at images loads NumPy and Pillow.
        from cluster.client.remote.packing import task_to_send

        return task_to_send(task, adapter=adapter, default=self._default)

    def sending(
        self, task: "TaskToSend", *, on_progress: ProgressCallback = unwatched
    ) -> Call[TaskAccepted]:
        """Return the call that sends what was read."""
        return Call(
            kind=TaskAccepted,
            verb="POST",
            path=path_to("tasks"),
            opened=partial(task.packed, on_progress),
            timeout_s=UPLOAD_S,
            changes=True,
        )

    def inspect(
        self,
        task: "Draft | Path | str",
        *,
        adapter: str | None = None,
        features: bool = True,
        shown: int = 24,
        report: Path | None = None,
        on_step: StepCallback = unreported,
    ) -> Call[Inspected]:
        """Send a task with its images, and return what may be wrong with it.

        Nothing is submitted, and no image is kept. The system's encoder looks at them; its features
        are kept, and a submission of the same images finds them.

        Args:
            task: The path of a task file, or a source of images without one; images of this
                machine are sent along.
            adapter: The adapter to grow, instead of the task file's.
            features: Whether the encoder looks at the images, too.
            shown: So many findings of each kind are shown; all are counted.
            report: Folder for a page of it, made where it is missing; None for none.
            on_step: Called with what is being done, units of it done and units in all.

        Raises:
            InputError: the task cannot be read, or its adapter forbids it.
        """
        sent = self.read_task(task, adapter=adapter)
        files: dict[str, bytes] = {}

        def reading(_: Mapping[str, str]) -> Lines:
            files.clear()
            return Lines(InspectedTask, on_step=on_step, files=files)

        def said_here(found: InspectedTask) -> Inspected:
            document, page = sent.said_here(found, files.get(PAGE, b"").decode())
            return Inspected.of(document if report is None else with_page(document, report, page))

        return Call(
            kind=InspectedTask,
            verb="POST",
            path=path_to("tasks", "inspect"),
            accepts=LINES,
            arguments={
                "params": {
                    "features": features,
                    "shown": shown,
                    "report": report is not None,
                }
            },
            opened=partial(sent.packed, partial(on_step, SENDING)),
            reads=reading,
            becomes=said_here,
            timeout_s=UPLOAD_S,
        )

    def queue(self) -> Call[TaskList]:
        """Return the queue: open submissions and those that ended lately, and who leads."""
        return look(TaskList, path_to("tasks"))

    def state(self, submission: str) -> Call[TaskState]:
        """Return where a submission is, given by its id.

        Raises:
            NotFoundError: there is no submission of that id.
        """
        return look(TaskState, path_to("tasks", submission))

    def following(self, submission: str) -> Call[TaskState]:
        """Return the call whose lines say where a submission is whenever that has changed."""
        return Call(
            kind=TaskState, verb="GET", path=path_to("tasks", submission, "watch"), accepts=LINES
        )

    def find(self, name: str) -> Call[TaskState]:
        """Return where the submission called `name` is, or the latest one of the task so called.

        Raises:
            NotFoundError: there is none.
        """
        return look(TaskState, path_to("tasks", name))

    def cancel(self, name: str) -> Call[TaskOutcome]:
        """Take a submission back, given by its id or its task's name.

        One that is cancelled already stays so; one that has ended otherwise stays as it is.
        """
        return change(TaskOutcome, path_to("tasks", name, "cancel"))

    def retry(self, name: str) -> Call[TaskOutcome]:
        """Try a submission again that failed, was rejected or cancelled; at once where it waits.

        Raises:
            NotFoundError: there is none.
            InputError: it has ended, and its images were removed since.
        """
        return change(TaskOutcome, path_to("tasks", name, "retry"))

    def pause(self, adapter: str) -> Call[QueuePause]:
        """Let nothing new of an adapter be begun; `*` stands for all. Return whether it is done."""
        return change(QueuePause, self._of(adapter, "pause"))

    def resume(self, adapter: str) -> Call[QueuePause]:
        """Let an adapter go on; `*` stands for all. Return whether it is done."""
        return change(QueuePause, self._of(adapter, "resume"))

    def journal(self, submission_id: str, *, after: float = 0.0) -> Call[list[TaskEvent]]:
        """Return what has happened to a submission later than `after`, oldest first.

        Raises:
            NotFoundError: there is no submission of that id.
        """
        return look(list[TaskEvent], path_to("tasks", submission_id, "events"), after=after)

    def worker_logs(self, name: str, *, after: float = 0.0) -> Call[list[WorkerLog]]:
        """Return what workers wrote while they worked on a submission, the oldest first.

        Of each process and attempt there is one; those that were stored later than `after`.

        Raises:
            NotFoundError: there is no submission or task of that name.
        """
        return look(list[WorkerLog], path_to("tasks", name, "logs"), after=after)

    def status(self) -> Call[Status]:
        """Return what the replica that answers says of itself, and of the system around it."""
        return Call(kind=Status, verb="GET", path=path_to("status"), patient=False)
