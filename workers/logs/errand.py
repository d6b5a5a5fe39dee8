"""Errand: what a call of the coordinator is for, known to everything that is done for it.

It travels with a call to whoever carries it out, and is there in all of its threads, so that what
is written meanwhile can be kept with the submission and bear its ids.
"""

from contextvars import ContextVar, Token
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """What something is done for.

    Attributes:
        submission_id: The submission.
        stage: The stage that it is in.
        round: How often somebody has asked for it.
        attempt: Which attempt of the round it is, from 1 on.
        traceparent: The span that the work belongs to; empty where nobody traces it.
    """

    submission_id: str
    stage: str
    round: int = 1
    attempt: int = 1
    traceparent: str = ""


_current: ContextVar[Errand | None] = ContextVar("errand", default=None)


def current_errand() -> Errand | None:
    """Return what is being done here; None where it is for no submission."""
    return _current.get()


def begin_errand(errand: Errand | None) -> Token[Errand | None]:
    """Let everything from here on, in this task or thread and those that it starts, be for that."""
    return _current.set(errand)
