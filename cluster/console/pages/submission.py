"""Submission: what has become of a task, how long each stage took, and what it was made of."""

import time
from contextlib import suppress

import yaml

from adapters.errors import InputError, NacreError, NotFoundError
from cluster.console.known.snapshot import KnownAdapter
from cluster.console.shown.charts import Span, spans
from cluster.console.shown.look import Act, Button, Done, Download, Look, Page, Shown
from cluster.wire.facts import worker_log_document
from cluster.wire.tasks import WorkerLog
from cluster.wire.versions import PublishedVersion
from workers.queue.journal import JournalEntry
from workers.queue.progress import State
from workers.queue.ticket import ENDED, Stage, Ticket
from workers.tasks.submission import Submission

MOST_CLASSES = 60
MOST_LOGS = 12


def submission(look: Look) -> Shown:
    """Show one submission."""
    state = state_of(look)
    ticket, sources = state.ticket, look.sources
    made: Submission | None = None
    with suppress(NotFoundError):
        made = sources.pictures.submission(ticket.submission_id)
    if look.asked("file") == "task.yaml" and made is not None:
        return _task_file(made)
    journal = sources.journals.of(ticket)
    version = _version_of(look, state)
    return Page(
        template="submission.html.j2",
        title=ticket.task,
        content={
            "state": state,
            "ticket": ticket,
            "made": made,
            "classes": sources.pictures.classes(made)[:MOST_CLASSES] if made else [],
            "more_classes": max(0, len(made.classes) - MOST_CLASSES) if made else 0,
            "journal": [(entry, sources.places.said(entry.message)) for entry in journal],
            "logs": _logs_of(look, ticket),
            "spans": _spans(state, journal),
            "failures": [
                (failure, sources.places.said(failure.error)) for failure in ticket.failures
            ],
            "note": ticket.note and sources.places.said(ticket.note),
            "version": version,
            "is_open": ticket.stage not in ENDED,
            "can_retry": ticket.stage in (Stage.FAILED, Stage.REJECTED, Stage.CANCELLED),
            "may_change": look.may("cancel", ticket.adapter),
            "may_promote": look.may("promote", ticket.adapter),
        },
    )


def change(act: Act) -> Done:
    """Cancel a submission, try it again, or serve the version that the gate refused."""
    look, asked = act.look, act.field("do")
    state, client = state_of(look), look.sources.client
    ticket, by = state.ticket, look.requester
    if asked == "promote" and ticket.version is not None:
        number = client.promote(ticket.version, adapter=ticket.adapter, by=by, why=act.reason())
        return Done(said=f"Version {number} of {ticket.adapter} is in production.", onto=look.path)
    if asked not in ("cancel", "retry"):
        raise InputError(f"expected to cancel, retry or promote, found {asked[:40]!r}")
    before = ticket.stage
    after = (client.cancel if asked == "cancel" else client.retry)(ticket.submission_id, by=by)
    inverse = "retry" if asked == "cancel" else "cancel"
    said = "Cancelled." if after.ticket.stage is Stage.CANCELLED else "Asked to cancel it."
    if asked == "retry":
        said = "It is tried again." if after.ticket.stage is not before else "Asked to try again."
    undo = Button(label="Undo", path=look.path, fields={"do": inverse})
    return Done(said=said, onto=look.path, undo=undo)


def state_of(look: Look) -> State:
    """Return where the submission is that the path names.

    Raises:
        NotFoundError: there is none, as far as they may look.
    """
    name = look.named["submission"]
    found = next(
        (each for each in look.known.queue.states if each.ticket.submission_id == name), None
    )
    if found is None:
        found = look.sources.client.state(name)
    if not look.requester.sees(found.ticket.adapter):
        raise NotFoundError(f"there is no submission {name[:80]!r}")
    return found


def _version_of(look: Look, state: State) -> PublishedVersion | None:
    adapter: KnownAdapter | None = look.known.adapters.get(state.ticket.adapter)
    if state.ticket.version is None or adapter is None:
        return None
    with suppress(NacreError):
        return look.version(adapter, state.ticket.version)
    return None


def _logs_of(look: Look, ticket: Ticket) -> list[WorkerLog]:
    """Return what workers wrote, the latest first, as far as they may read it."""
    if not look.may("worker_logs", ticket.adapter):
        return []
    logs = look.sources.journals.logs_of(ticket)
    found = [worker_log_document(log) for log in logs[: -MOST_LOGS - 1 : -1]]
    for each in found:
        each.text = look.sources.places.said(each.text)
    return found


def _spans(state: State, journal: tuple[JournalEntry, ...]) -> list[Span]:
    stages: list[tuple[str, float, float]] = []
    name, begin = "accepted", state.ticket.accepted_at
    for entry in journal:
        if entry.stage != name:
            stages.append((name, begin, entry.at))
            name, begin = entry.stage, entry.at
    if state.ticket.stage not in ENDED:
        stages.append((name, begin, max(begin, time.time())))
    return spans(stages)


def _task_file(made: Submission) -> Download:
    fields: dict[str, object] = {
        "name": made.task,
        "images": "train",
        "prompt": made.prompt,
        "classes": {entry.key: entry.name for entry in made.classes},
        "adapter": made.adapter,
        "augmentation": made.augmentation,
        "seed": made.seed,
        "priority": made.priority,
    }
    if not made.set_aside and made.images("held_out"):
        fields["held_out"] = "test"
    if made.settings:
        fields["settings"] = dict(made.settings)
    if made.replaces:
        fields["replaces"] = made.replaces
    content = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    return Download(name="task.yaml", kind="text/yaml; charset=utf-8", content=content.encode())
