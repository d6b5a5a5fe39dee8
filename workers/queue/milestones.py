"""Milestones of submissions: what a change of a ticket is to webhooks, if anything."""

from workers.queue.ticket import Stage, Ticket
from workers.webhooks.milestone import LONGEST_REASON, Kind, Milestone, id_of

_KINDS = {
    Stage.ACCEPTED: Kind.ACCEPTED,
    Stage.FAILED: Kind.FAILED,
    Stage.CANCELLED: Kind.CANCELLED,
}
"""That a version was published or rejected stands in the history of its adapter."""


def milestone_of(
    before: Ticket | None, after: Ticket, *, now: float, order: tuple[int, int], who: str = ""
) -> Milestone | None:
    """Return what webhooks are told of a ticket that has changed; None for nothing.

    Args:
        before: As it was; None where it is new.
        after: As it is.
        now: Seconds since the epoch.
        order: The epoch of the lead, and the number of this one under it.
        who: Who has asked for it, where somebody has.
    """
    anew = before is None or before.round != after.round
    if after.stage is Stage.ACCEPTED:
        happened = anew
    else:
        happened = before is not None and before.stage is not after.stage
    if not happened or after.stage not in _KINDS:
        return None
    kind = _KINDS[after.stage]
    return Milestone(
        id=id_of(kind, after.submission_id, after.round),
        kind=kind,
        adapter=after.adapter,
        at=now,
        who=who,
        submission=after.submission_id,
        task=after.task,
        round=after.round,
        reason=(after.error or "")[:LONGEST_REASON] if kind is Kind.FAILED else "",
        order=order,
    )
