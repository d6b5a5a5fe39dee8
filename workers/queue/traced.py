"""Traced submissions: the spans that changes of a ticket are, derived from what is durable.

Which span a stage is follows from the ticket alone, so that a coordinator that comes after one that
was killed ends what that had begun, and what workers did under it stays in its place.
"""

from dataclasses import replace

from workers.queue.ticket import ENDED, Stage, Ticket
from workers.traces.spans import here, is_traced, record, span
from workers.traces.traceparent import Traceparent


def traced(ticket: Ticket) -> Ticket:
    """Return a ticket with the span that its trace begins with, where it came without one."""
    if ticket.traceparent or not is_traced():
        return ticket
    with span("accept", alone=True, submission=ticket.submission_id, task=ticket.task):
        return replace(ticket, traceparent=str(here() or ""))


def submission_span(ticket: Ticket) -> Traceparent | None:
    """Return the span of a round of a submission; None where nobody traces it."""
    came_with = Traceparent.read(ticket.traceparent) if ticket.traceparent else None
    return came_with and came_with.part(ticket.submission_id, ticket.round)


def stage_span(ticket: Ticket) -> Traceparent | None:
    """Return the span of the stage that a submission is in; None where nobody traces it."""
    whole = submission_span(ticket)
    return whole and whole.part(ticket.stage.value, ticket.since, ticket.attempts)


def record_stage(before: Ticket, after: Ticket, *, now: float) -> None:
    """Keep the spans that have ended with a change of a ticket."""
    if not is_traced() or not after.traceparent or before.stage is after.stage:
        return
    failed = after.failures != before.failures
    error = (after.error or "") if failed else ""
    if before.stage not in ENDED:
        _record(before, before.stage.value, before.since, now, stage_span(before), error)
    if after.stage in ENDED:
        whole = Traceparent.read(after.traceparent)
        record(
            f"submission {after.stage.value}",
            begun_at=after.accepted_at,
            ended_at=now,
            parent=whole,
            place=submission_span(after),
            error=(after.error or "") if after.stage is Stage.FAILED else "",
            submission=after.submission_id,
            task=after.task,
            adapter=after.adapter,
            images=after.images,
            round=after.round,
            version=after.version or 0,
        )


def record_broken_off(ticket: Ticket, *, now: float) -> None:
    """Keep the span of a stage that was under way when its coordinator was lost."""
    if is_traced() and ticket.traceparent:
        error = "its coordinator was lost; it is begun again"
        _record(ticket, ticket.stage.value, ticket.since, now, stage_span(ticket), error)


def _record(
    ticket: Ticket,
    name: str,
    begun_at: float,
    ended_at: float,
    place: Traceparent | None,
    error: str,
) -> None:
    record(
        name,
        begun_at=begun_at,
        ended_at=ended_at,
        parent=submission_span(ticket),
        place=place,
        error=error,
        submission=ticket.submission_id,
        attempt=ticket.attempts + 1,
        round=ticket.round,
    )
