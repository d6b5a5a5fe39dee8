"""Accepting a task: facts of its adapter, the intake, and the request to the queue.

A submission is acknowledged when it is durable and the queue has been asked to learn it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from adapters.contract.class_entry import ClassEntry
from adapters.errors import (
    ClassNameError,
    InputError,
    LimitError,
    NotFoundError,
    SettingsError,
)
from adapters.methods import method_named
from workers.concurrency.bounded import pool_of
from workers.encoding.encoder_settings import EncoderSettings
from workers.encoding.prompts import PromptReader
from workers.encoding.task_features import class_entries
from workers.intake.intake import Intake, take_in
from workers.intake.naming import CutPrompts, KnownNames
from workers.intake.room import ENOUGH_ROOM, Room, use_among, use_of
from workers.progress_callbacks import ProgressCallback, unwatched
from workers.queue import inbox
from workers.queue.events import Accepted, Cancel
from workers.queue.progress import (
    SHOWN_IN_INBOX,
    QueueState,
    known_ticket,
    read_queue,
    ticket_of,
)
from workers.queue.ticket import ENDED, Ticket
from workers.registry import Manifest, Registry
from workers.store.base import ObjectStore
from workers.tasks.submission import Learning, Submission, find_submission
from workers.tasks.task import Task
from workers.traces.spans import here

READING_THREADS = 8
GIVES_WAY_S = 3.0
"""How long the first of two tasks of a new adapter waits for the other one to be taken back."""
POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the adapter that a task is submitted to has, learnt or on its way.

    Attributes:
        store: The object store.
        head: The version that the next task builds on; None where there is none yet.
        waiting: Open submissions.
        queue: All that the queue has, of all adapters, when it was looked at.
        submissions: Those of both that can be read.
    """

    store: ObjectStore
    head: Manifest | None
    waiting: tuple[Ticket, ...]
    queue: QueueState
    submissions: tuple[Submission, ...]

    @property
    def classes(self) -> list[ClassEntry]:
        """The classes of all tasks, learnt or on their way."""
        return [entry for each in self.submissions for entry in class_entries(each)]

    def is_ample(self, room: Room, author: str, size_bytes: int) -> bool:
        """Return whether a submission of so many bytes is far below its limits, without a look."""
        if not room.is_limited:
            return True
        if self.queue.unread > SHOWN_IN_INBOX:  # the others were not looked into
            return False
        use = use_among(author, (state.ticket for state in self.queue.states))
        return room.is_ample(use.with_more(size_bytes))

    def with_images_of(self, submission: Submission) -> dict[str, int]:
        """Return how many images of a submission each other task has too, of those that have any.

        It is no error: what a picture shows may be asked of it in two ways. It often is a mistake.
        """
        return self.with_images(frozenset(_digests(submission)), but_of=submission)

    def with_images(self, digests: frozenset[str], *, but_of: Submission | Task) -> dict[str, int]:
        """Return how many of some images each task has that is not that one, nor replaced by it."""
        own = (but_of.task if isinstance(but_of, Submission) else but_of.name, but_of.replaces)
        shared = {
            each.task: len(digests.intersection(_digests(each)))
            for each in self.submissions
            if each.task not in own
        }
        return {task: number for task, number in shared.items() if number}

    def still_counts(self, submission_id: str) -> bool:
        """Return whether a submission is open, or its task in `head`."""
        ticket = known_ticket(self.store, submission_id)
        if ticket is None or ticket.stage not in ENDED:
            return True
        # However it has ended: people may have moved `head` to a version that the gate refused.
        return bool(self.head and self.head.has_submission(submission_id))

    def check_learning(self, task: Task, learning: Learning) -> None:
        """Raise SettingsError where what the adapter has cannot go on by `learning`.

        What is published decides, and where nothing is yet the first task on its way.
        """
        known, place = self._learning_but_of(task.replaces)
        if known is None:
            return
        if known.method != learning.method:
            raise SettingsError(
                f"adapter {task.adapter!r} is learnt by {known.method!r} ({place}), and task "
                f"{task.name!r} was to be learnt by {learning.method!r}, as the configuration "
                f"here says; expected `adapters: {{{task.adapter}: {{method: {known.method}}}}}` "
                "in it. An adapter has one method: submit to another adapter to use another one",
                adapter=task.adapter,
                expected=known.method,
                found=learning.method,
            )
        method_named(known.method).check_follows(learning.settings, known.settings)

    def _learning_but_of(self, replaced: str | None) -> tuple[Learning | None, str]:
        """Return by what the adapter is learnt, not counting a task, and where that is said."""
        head = self.head
        if head and any(entry.task != replaced for entry in head.tasks):
            known = Learning(method=head.method, settings=head.settings)
            return known, f"version {head.number}"
        by_id = {found.submission_id: found for found in self.submissions}
        for ticket in sorted(self.waiting, key=lambda ticket: ticket.order):
            found = by_id.get(ticket.submission_id)
            if found and found.learning and found.task != replaced:
                return found.learning, f"its first task, {found.task!r}, is on its way"
        return None, ""

    def earlier_than(self, submission_id: str) -> "Surroundings":
        """Return the same without what was submitted after a submission, and without that."""
        arrived = sorted(self.waiting, key=lambda each: (each.accepted_at, each.submission_id))
        names = [each.submission_id for each in arrived]
        number = names.index(submission_id) if submission_id in names else len(names)
        return replace(self, waiting=tuple(arrived[:number]))

    def later_than(self, submission_id: str) -> "Iterator[Surroundings]":
        """Yield the same with each alone of what was submitted after a submission."""
        earlier = {each.submission_id for each in self.earlier_than(submission_id).waiting}
        for each in self.waiting:
            if each.submission_id not in earlier | {submission_id}:
                yield replace(self, waiting=(each,))

    def admit(self, task: Task, room: Room) -> None:
        """Raise an error where there is no room or no place for a new submission of `task`.

        Raises:
            UnavailableError: too many submissions of the adapter are open.
            ClassNameError: there is a task of this name.
            InputError: the task that it is to replace is neither learnt nor on its way.
        """
        room.check_adapter(task.adapter, len(self.waiting))
        learnt = {entry.task for entry in self.head.tasks} if self.head else set()
        on_their_way = {ticket.task: ticket.submission_id for ticket in self.waiting}
        if task.replaces and task.replaces not in learnt | on_their_way.keys():
            raise InputError(
                f"task {task.name!r} is to replace {task.replaces!r}, which adapter "
                f"{task.adapter!r} does not have (it has: {', '.join(sorted(learnt)) or 'none'})",
                task=task.name,
            )
        if task.name == task.replaces:
            return
        if task.name in learnt:
            raise ClassNameError(
                f"adapter {task.adapter!r} has a task {task.name!r} already, with other images or "
                f"settings; add `replaces: {task.name}` to put this one in its place, or give it "
                "another name",
                task=task.name,
            )
        if task.name in on_their_way:
            raise ClassNameError(
                f"a task {task.name!r} with other images or settings is on its way already "
                f"({on_their_way[task.name]}); cancel that one, or give this one another name",
                task=task.name,
            )


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What decides whether a task may be submitted, besides its images and its names.

    Attributes:
        task: The task.
        around: What its adapter has.
        author: Who submits.
        room: How much may be in the queue, of the adapter and of whoever submits.
        learning: By what it would be learnt; None where the system is to know.
    """

    task: Task
    around: Surroundings
    author: str
    room: Room
    learning: Learning | None

    @classmethod
    def to(
        cls,
        task: Task,
        store: ObjectStore,
        *,
        author: str,
        room: Room = ENOUGH_ROOM,
        method: str | None = None,
    ) -> Self:
        """Return what decides about `task` now; the arguments are those of `accept`.

        Raises:
            SettingsError: the method's settings, or what the adapter has, forbid it.
        """
        around = surroundings(store, task.adapter)
        learning = None if method is None else _checked(task, method, around)
        return cls(task=task, around=around, author=author, room=room, learning=learning)

    def known(self, cut: CutPrompts | None) -> KnownNames:
        """Return what the names of the task are compared with; for `cut` see `accept`."""
        cut = cut or PromptReader(EncoderSettings()).cut
        return KnownNames(classes=self.around.classes, cut=cut)

    def check(self, size_bytes: int) -> Learning | None:
        """Return by what a task of so many bytes is learnt; see `Admit`.

        Raises:
            InputError: as in `Surroundings.admit`; or whoever submits has as much as they may.
        """
        around, store = self.around, self.around.store
        if around.head is None and self.learning is not None:
            # All images have been read since: others may have begun the adapter meanwhile.
            surroundings(store, self.task.adapter).check_learning(self.task, self.learning)
        around.admit(self.task, self.room)
        if not around.is_ample(self.room, self.author, size_bytes):
            used = use_of(store, self.author).with_more(size_bytes)
            self.room.check_author(self.author, used)
        return self.learning


def accept(
    task: Task,
    store: ObjectStore,
    *,
    author: str,
    now: float | None = None,
    room: Room = ENOUGH_ROOM,
    method: str | None = None,
    cut: CutPrompts | None = None,
    on_progress: ProgressCallback = unwatched,
) -> Intake:
    """Check a task, make it durable, ask the queue to learn it, and return its submission.

    The same content, settings and adapter give the same submission, while that is open or its task
    is in `head`; afterwards they give a new one.

    Args:
        task: What is to be learnt.
        store: Where everything is kept.
        author: Who submits.
        now: Seconds since the epoch; the present where None.
        room: How much may be in the queue, of the adapter and of whoever submits.
        method: By which it is learnt, whatever the system says by then; None leaves it to that.
        cut: Knows the prompts of which the encoder does not read the end; None for the encoder that
            comes with nacre.
        on_progress: See `take_in`.

    Raises:
        InputError: the task cannot be learnt as it is, or not by that method; nothing is stored.
        UnavailableError: too many submissions are open, or the store cannot be reached.
        LimitError: whoever submits has as much in the queue as they may.
    """
    admission = Admission.to(task, store, author=author, room=room, method=method)
    around, learning = admission.around, admission.learning
    intake = take_in(
        task,
        store,
        now=time.time() if now is None else now,
        author=author,
        known=admission.known(cut),
        reusable=around.still_counts,
        admit=admission.check,
        on_progress=on_progress,
    )
    if known_ticket(store, intake.submission.submission_id) is None:
        inbox.ask(store, Accepted(ticket=_asked_for(intake.submission)), who=author)
        if not around.is_ample(room, author, ticket_of(intake.submission).size_bytes):
            _check_room(store, room, intake.submission.submission_id, author=author)
        if around.head is None and learning is not None:
            _check_first(task, store, intake.submission.submission_id, learning, author=author)
    return replace(intake, elsewhere=around.with_images_of(intake.submission))


def surroundings(store: ObjectStore, adapter: str) -> Surroundings:
    """Return what `adapter` has, learnt or on its way."""
    head = head_of(store, adapter)
    queue = read_queue(store)
    waiting = tuple(
        state.ticket
        for state in queue.states
        if state.ticket.adapter == adapter
        and state.ticket.stage not in ENDED
        # What grows a branch has the names of what `head` has already.
        and not state.ticket.branch
    )
    names = [
        *(task.submission for task in (head.tasks if head else ())),
        *(ticket.submission_id for ticket in waiting),
    ]
    return Surroundings(
        store=store,
        head=head,
        waiting=waiting,
        queue=queue,
        submissions=_readable(store, names),
    )


def _check_room(store: ObjectStore, room: Room, submission_id: str, *, author: str) -> None:
    """Take a submission back where others, submitted at the same moment, have left no room for it.

    When each of them looked, the others were not there. By now all are that could have been let in
    before, so that together they never go over the limit; at worst all of them are taken back.

    Raises:
        LimitError: it was taken back.
    """
    try:
        room.check_author(author, use_of(store, author))
    except LimitError as error:
        inbox.ask(store, Cancel(submission_id=submission_id), who=author)
        raise LimitError(
            f"{error.message}. Others were submitted at the same moment: {submission_id} has been "
            "taken back",
            **{**error.fields, "submission": submission_id},
        ) from error


def _check_first(
    task: Task, store: ObjectStore, submission_id: str, learning: Learning, *, author: str
) -> None:
    """Take a submission back where the adapter is begun with another method by another one.

    When both looked, neither was there. The later one by the time of its request gives way. But the
    earlier one may have been slow to write its request, and the later one has not seen it then: it
    gives way itself unless the later one is taken back.

    Raises:
        SettingsError: it was taken back.
    """
    around = surroundings(store, task.adapter)
    try:
        around.earlier_than(submission_id).check_learning(task, learning)
        for later in around.later_than(submission_id):
            _check_gives_way(later, task, learning)
    except SettingsError as error:
        inbox.ask(store, Cancel(submission_id=submission_id), who=author)
        raise SettingsError(
            f"{error.message}. Both were submitted at the same moment: {submission_id}, the later "
            "one, has been taken back",
            adapter=task.adapter,
            submission=submission_id,
        ) from error


def _check_gives_way(other: Surroundings, task: Task, learning: Learning) -> None:
    """Raise SettingsError where `task` cannot be learnt beside what stays in `other`."""
    try:
        other.check_learning(task, learning)
    except SettingsError:
        (ticket,) = other.waiting
        if not _is_taken_back(other.store, ticket.submission_id):
            raise


def _is_taken_back(store: ObjectStore, submission_id: str) -> bool:
    """Wait until a submission is taken back; False where that does not come to pass."""
    deadline = time.monotonic() + GIVES_WAY_S
    while time.monotonic() < deadline:
        ticket = known_ticket(store, submission_id)
        asked = inbox.read(store, inbox.waiting(store))
        if (ticket and ticket.stage in ENDED) or any(
            isinstance(request, inbox.QueueRequest)
            and request.event == Cancel(submission_id=submission_id)
            for request in asked
        ):
            return True
        time.sleep(POLL_S)
    return False


def _digests(submission: Submission) -> Iterator[str]:
    return (digest for shard in submission.shards for digest in shard.image_digests)


def _checked(task: Task, method: str, around: Surroundings) -> Learning:
    """Return by what a task is learnt; an error where its settings or its adapter forbid it."""
    settings = method_named(method).check_settings(task.settings)
    learning = Learning(method=method, settings=settings)
    around.check_learning(task, learning)
    return learning


def head_of(store: ObjectStore, adapter: str) -> Manifest | None:
    """Return the version that the next task of an adapter builds on; None where there is none."""
    handle = Registry(store).adapter(adapter)
    try:
        return handle.manifest("head")
    except NotFoundError:
        return None


def _readable(store: ObjectStore, names: Sequence[str]) -> tuple[Submission, ...]:
    """Return submissions; those of imported versions may not be there."""
    read = partial(find_submission, store)
    with pool_of(READING_THREADS) as threads:
        return tuple(found for found in threads.map(read, dict.fromkeys(names)) if found)


def _asked_for(submission: Submission) -> Ticket:
    """Return the ticket of a submission, with the span that it is submitted in."""
    return replace(ticket_of(submission), traceparent=str(here() or ""))
