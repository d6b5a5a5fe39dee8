"""The client's verbs for submissions: submit, look, cancel, retry, pause, resume."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.contract.nearest import did_you_mean
from adapters.errors import InputError, NotFoundError
from cluster.client.part import (
    ClientPart,
    check_adapter_or_all,
    configured_adapters,
    unknown_adapter,
)
from cluster.client.remote.submissions import POLL_S, WATCHED_S, until_ended
from cluster.client.requester import By, Requester
from cluster.wire.facts import cancelled, retried
from workers.access.audit import Outcome
from workers.housekeeping.leftovers import purged_of
from workers.logs.work_log import WorkLog, read_work_logs
from workers.progress_callbacks import ProgressCallback, StepCallback, unreported, unwatched
from workers.queue import inbox
from workers.queue.events import Cancel, Event, Pause, Resume, Retry
from workers.queue.journal import JournalEntry, read_journal
from workers.queue.leadership import read_leadership
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.progress import QueueState, State, find_state, read_queue, read_state
from workers.queue.ticket import ENDED, Stage, Ticket
from workers.tasks.submission import Submission, is_swept
from workers.traces.spans import span

if TYPE_CHECKING:
    from workers.inspection.inspecting import Inspection
    from workers.intake.drafting import Draft
    from workers.intake.intake import Intake
    from workers.tasks.task import Task

NOTE_TIMEOUT_S = 10.0
ENDINGS = {
    "done": (Outcome.DONE, ""),
    "asked": (Outcome.UNKNOWN, "asked for, and not carried out yet: the coordinator will"),
    "ended": (Outcome.FAILED, ""),
}
"""What the audit log says of a wish, by what has become of it."""


class SubmissionVerbs(ClientPart):
    """Submits tasks and follows them through the queue."""

    def submit(
        self,
        task: "Task | Draft | Path | str",
        *,
        adapter: str | None = None,
        by: By = None,
        on_progress: ProgressCallback = unwatched,
    ) -> "Intake":
        """Check a task, make it durable, and return its submission.

        Args:
            task: A task, the path of a task file, or a source of images without one.
            adapter: The adapter to grow, instead of the task file's.
            by: Who submits; also the author of the version that it becomes.
            on_progress: Called with images done and images in all.

        Raises:
            InputError: the task cannot be learnt as it is; nothing is stored.
        """
        # Loaded when it is needed: what reads images and sources is not, to look at the queue.
        from cluster.client.tasks import accept_task, loaded_task

        loaded = loaded_task(task, self.config, adapter=adapter)
        with (
            span("submit", task=loaded.name, adapter=loaded.adapter) as submitting,
            self._changing("submit", loaded.adapter, target=loaded.name, by=by) as author,
        ):
            intake = accept_task(
                loaded, self.config, self._store, author=author.who, on_progress=on_progress
            )
            submitting.note(submission=intake.submission.submission_id, is_new=intake.is_new)
            return intake

    def inspect(
        self,
        task: "Task | Draft | Path | str",
        *,
        adapter: str | None = None,
        features: bool = True,
        shown: int = 24,
        by: By = None,
        on_step: StepCallback = unreported,
    ) -> "Inspection":
        """Return what is known of a task before it is submitted, and what may be wrong with it.

        Nothing is submitted, and no image is stored. Features are kept, and a submission of the
        same images finds them.

        Args:
            task: A task, the path of a task file, or a source of images without one.
            adapter: The adapter to grow, instead of the task file's.
            features: Whether the encoder looks at the images, too.
            shown: So many findings of each kind are shown; all are counted.
            by: Who looks; they must be allowed to submit it.
            on_step: Called with what is being done, units of it done and units in all.

        Raises:
            InputError: the task cannot be read, or its adapter forbids it.
        """
        from cluster.client.tasks import inspect_task, loaded_task

        loaded, requester = loaded_task(task, self.config, adapter=adapter), self._requester(by)
        requester.check("inspect", loaded.adapter)
        return inspect_task(
            loaded,
            self.config,
            self._store,
            author=requester.name,
            features=features,
            shown=shown,
            on_step=on_step,
        )

    def queue(self, *, by: By = None) -> QueueState:
        """Return the queue: open submissions and those that ended lately, and who leads.

        Args:
            by: Who looks; submissions to adapters that they may not look at are left out.
        """
        found, requester = read_queue(self._store), self._requester(by)
        named = {state.ticket.adapter for state in found.states}
        seen = {adapter for adapter in named if requester.sees(adapter)}
        states = tuple(state for state in found.states if state.ticket.adapter in seen)
        return replace(found, states=states)

    def state(self, submission: Submission | str) -> State:
        """Return where a submission is.

        Raises:
            NotFoundError: there is no submission of that id.
        """
        if isinstance(submission, str):
            return find_state(self._store, submission)
        return read_state(self._store, submission)

    def find(self, name: str, *, by: By = None) -> State:
        """Return where the submission called `name` is, or the latest one of the task so called.

        Args:
            name: The id of a submission, or the name of a task.
            by: Who looks; what they may not look at is not found.

        Raises:
            NotFoundError: there is none.
        """
        with suppress(InputError):  # there is none, or none can be called so
            found = find_state(self._store, name)
            if self._requester(by).sees(found.ticket.adapter):
                return found
        queued = self.queue(by=by).states
        states = [state for state in queued if state.ticket.task == name]
        if not states:
            near = did_you_mean(name, (state.ticket.task for state in queued))
            raise NotFoundError(
                f"expected the id of a submission or the name of a task in the queue, found "
                f"{name!r}; `nacre status` lists them{near}",
                name=name,
            )
        # An open one goes before those that have ended.
        return max(states, key=lambda s: (s.ticket.stage not in ENDED, s.ticket.accepted_at))

    def cancel(self, name: str, *, by: By = None) -> State:
        """Take a submission back, given by its id or its task's name.

        One that is cancelled already stays so; one that has ended otherwise stays as it is.
        """
        return self._wish(name, Cancel, by=by)

    def retry(self, name: str, *, by: By = None) -> State:
        """Try a submission again that failed, was rejected or cancelled; at once where it waits.

        Raises:
            NotFoundError: there is none.
            InputError: it has ended, and its images were removed since.
            LimitError: whoever submitted it has as many open submissions as they may.
        """
        return self._wish(name, Retry, by=by)

    def pause(self, adapter: str, *, by: By = None) -> bool:
        """Let nothing new of an adapter be begun; `*` stands for all. Return whether it is done.

        Raises:
            NotFoundError: there is no such adapter.
        """
        return self._paused(Pause(adapter=check_adapter_or_all(adapter)), by=by)

    def resume(self, adapter: str, *, by: By = None) -> bool:
        """Let an adapter go on; `*` stands for all. Return whether it is done.

        Raises:
            NotFoundError: there is no such adapter.
        """
        return self._paused(Resume(adapter=check_adapter_or_all(adapter)), by=by)

    def journal(self, submission_id: str, *, after: float = 0.0) -> Iterator[JournalEntry]:
        """Yield what has happened to a submission later than `after`, oldest first.

        Raises:
            NotFoundError: there is no submission of that id.
        """
        self.state(submission_id)
        return read_journal(self._store, submission_id, after=after)

    def worker_logs(self, name: str, *, after: float = 0.0, by: By = None) -> list[WorkLog]:
        """Return what workers wrote while they worked on a submission, the oldest first.

        Of each process and attempt there is one; those that were stored later than `after`.

        Args:
            name: Its id, or the name of its task.
            after: Seconds since the epoch.
            by: Who asks; they must be allowed to submit to its adapter.

        Raises:
            NotFoundError: there is no such submission.
            ForbiddenError: they may not read them.
        """
        ticket = self.find(name, by=by).ticket
        self._requester(by).check("worker_logs", ticket.adapter)
        return read_work_logs(self._store, ticket.submission_id, after=after)

    def watch(
        self, submission: Submission | str, *, timeout_s: float = WATCHED_S, poll_s: float = POLL_S
    ) -> Iterator[State]:
        """Yield the state of a submission again and again until it has ended.

        Raises:
            UnavailableError: it has not ended after `timeout_s`.
        """
        return until_ended(
            lambda: self.state(submission),
            lambda state: state.ticket.stage,
            submission_id=submission if isinstance(submission, str) else submission.submission_id,
            timeout_s=timeout_s,
            poll_s=poll_s,
        )

    def _check_images(self, ticket: Ticket) -> None:
        """Raise InputError where the images of a submission that has ended were removed."""
        name = ticket.submission_id
        if name in purged_of(self._adapter(ticket.adapter)):
            why = f"were purged with task {ticket.task!r}"
        elif is_swept(self._store, name):
            why = "were removed some days after it had ended (`retention` in the configuration)"
        else:
            return
        raise InputError(
            f"the images of {name} {why}, so that it cannot be tried again: submit the task again",
            submission=name,
        )

    def _check_room(self, ticket: Ticket) -> None:
        """Raise LimitError where whoever submitted it may have no further open submission."""
        from cluster.client.tasks import room_for
        from workers.intake.room import use_of

        room = room_for(self.config, ticket.adapter, ticket.author)
        if room.is_limited:
            room.check_author(ticket.author, use_of(self._store, ticket.author).with_more(0))

    def _wish(self, name: str, kind: type[Cancel | Retry], *, by: By) -> State:
        verb = kind.__name__.lower()
        ticket = self._meant(verb, name, by=by)
        found = ticket.submission_id
        with self._asking(verb, ticket.adapter, target=found, by=by) as (requester, ending):
            if kind is Retry and ticket.stage in ENDED and ticket.stage is not Stage.PUBLISHED:
                self._check_images(ticket)
                self._check_room(ticket)
            self._asked(kind(submission_id=found), who=requester.name)
            state = self.state(found)
            outcome = (retried if kind is Retry else cancelled)(state).outcome
            ending.outcome, ending.reason = ENDINGS[outcome]
            if outcome == "ended":
                ending.reason = f"it was {state.ticket.stage} before, and stays so"
            return state

    def _paused(self, event: Pause | Resume, *, by: By) -> bool:
        verb = type(event).__name__.lower()
        with self._asking(verb, event.adapter, by=by) as (requester, ending):
            self._check_known(event.adapter, requester)
            done = self._asked(event, who=requester.name)
            ending.outcome, ending.reason = ENDINGS["done" if done else "asked"]
            return done

    def _check_known(self, adapter: str, requester: Requester) -> None:
        """Raise NotFoundError unless an adapter is configured, has versions or is about to grow."""
        known = configured_adapters(self.config) | {EVERY_ADAPTER}
        if adapter not in known:
            lead = read_leadership(self._store)
            known |= {*self._registry.adapters(), *(lead.paused if lead else ())}
        if adapter not in known:
            known |= {state.ticket.adapter for state in read_queue(self._store).states}
        if adapter not in known:
            seen = filter(requester.sees, known - {EVERY_ADAPTER})
            raise unknown_adapter(adapter, seen)

    def _meant(self, verb: str, name: str, *, by: By) -> Ticket:
        """Return the ticket of what is to be changed; the audit log says where there is none."""
        try:
            return self.find(name, by=by).ticket
        except NotFoundError:
            with self._in_vain(verb, name, by):
                raise

    def _asked(self, event: Event, *, who: str) -> bool:
        """Ask the coordinator, and wait until it has taken note, if there is one that could."""
        key = inbox.ask(self._store, event, who=who)
        deadline = time.monotonic() + NOTE_TIMEOUT_S
        while time.monotonic() < deadline:
            lead = read_leadership(self._store)
            if lead is None or not lead.lasts(now=time.time()):
                return False
            try:
                self._store.get_range(key, 0, 1)
            except NotFoundError:
                return True
            time.sleep(POLL_S)
        return False
