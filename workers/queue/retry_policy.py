"""Retry policy: how often and when something that failed is tried again; pure decisions."""

from dataclasses import dataclass, replace

from workers.queue.ticket import Cause, Failure, Stage, Ticket

KEPT_FAILURES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """When to try again, and when to give up.

    Attributes:
        attempts: A submission has failed after this number of failures of its own.
        first_s: Seconds until the second attempt; each further wait is `growth` times longer.
        growth: See `first_s`.
        longest_s: Longest wait between two attempts, in seconds.
        losses: A submission has failed when so many workers died under it in a row without
            progress: then it is probably what kills them.
        lost_s: Seconds until work is begun again whose worker was lost or could not be reached;
            with every further outage in a row it is twice as long.
        outage_s: Longest wait between two tries while something cannot be reached, in seconds.
    """

    attempts: int = 3
    first_s: float = 5.0
    growth: float = 4.0
    longest_s: float = 300.0
    losses: int = 8
    lost_s: float = 1.0
    outage_s: float = 15.0

    def wait_s(self, attempts: int) -> float:
        """Return how long to wait after failure number `attempts`, counted from 1."""
        return float(min(self.longest_s, self.first_s * self.growth ** min(attempts - 1, 30)))


def after_failure(
    ticket: Ticket, failure: Failure, *, retry_policy: RetryPolicy, progressed: bool
) -> Ticket:
    """Return `ticket` after `failure`: to be tried again, or failed for good.

    Args:
        ticket: As it was.
        failure: What happened.
        retry_policy: How often to try.
        progressed: Whether the work had come further than at its last loss.
    """
    if failure.cause is Cause.MOVED:
        return replace(ticket, stage=resumed_stage(ticket.stage), not_before=0.0, losses=0)
    counted = failure.cause in (Cause.FAULT, Cause.MISSING, Cause.INPUT)
    attempts = ticket.attempts + counted
    losses = 0 if progressed or counted else ticket.losses
    losses += failure.cause is Cause.LOSS
    gives_up = (
        failure.cause is Cause.INPUT
        or attempts >= retry_policy.attempts
        or losses >= retry_policy.losses
    )
    wait_s = (
        retry_policy.wait_s(attempts) if counted else _outage_wait_s(ticket, failure, retry_policy)
    )
    again = Stage.ACCEPTED if failure.cause is Cause.MISSING else resumed_stage(ticket.stage)
    return replace(
        ticket,
        stage=Stage.FAILED if gives_up else again,
        attempts=attempts,
        losses=losses,
        not_before=failure.at + wait_s,
        failures=_with(ticket.failures, failure),
    )


def _outage_wait_s(ticket: Ticket, failure: Failure, retry_policy: RetryPolicy) -> float:
    """Return how long to wait for what cannot be reached: twice as long as after the one before."""
    before = ticket.failures[-1] if ticket.failures else None
    if before is None or (before.cause, failure.cause) != (Cause.OUTAGE, Cause.OUTAGE):
        return retry_policy.lost_s
    waited_s = max(0.0, ticket.not_before - before.at)
    return max(retry_policy.lost_s, min(retry_policy.outage_s, 2 * waited_s))


def resumed_stage(stage: Stage) -> Stage:
    """Return where a submission goes on whose work at `stage` was broken off.

    Features are kept, so what broke while being learnt is learnt again and not embedded again.
    """
    return Stage.ACCEPTED if stage in (Stage.ACCEPTED, Stage.ENCODING) else Stage.WAITING


def _with(failures: tuple[Failure, ...], failure: Failure) -> tuple[Failure, ...]:
    """Return the latest failures; an outage that goes on stays one of them."""
    latest = failures[-1] if failures else None
    same = latest is not None and failure.cause in (Cause.LOSS, Cause.OUTAGE)
    if (
        same
        and latest is not None
        and (latest.stage, latest.cause) == (failure.stage, failure.cause)
    ):
        failures = failures[:-1]
    return (*failures, failure)[-KEPT_FAILURES:]
