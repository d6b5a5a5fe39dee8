"""Attempts to tell a webhook something: what each changes of its state, as pure decisions."""

import random
from dataclasses import replace

from workers.webhooks.deliveries import MOST_ASIDE, Deliveries, Delivery, Failing, SetAside
from workers.webhooks.milestone import Milestone
from workers.webhooks.sender import Answer, WebhookSetup

LEAST = 0.5
"""Of each wait, at least this part is waited."""
LONGEST_WAIT_S = 3600.0
"""No receiver is left alone for longer because it says so."""


def after_attempt(
    state: Deliveries,
    milestone: Milestone,
    sequence: int,
    answer: Answer,
    *,
    began: float,
    ended: float,
    setup: WebhookSetup,
) -> Deliveries:
    """Return the state after a milestone was told, or could not be.

    Args:
        state: As it was.
        milestone: What was told.
        sequence: Which one of its adapter's.
        answer: What came of it.
        began: When, in seconds since the epoch.
        ended: When there was an answer.
        setup: How long is waited.
    """
    adapter = milestone.adapter
    before = state.failing.get(adapter)
    attempts = before.attempts + 1 if before else 1
    noted = state.noted(
        _delivery(milestone, sequence, answer, began=began, ended=ended, attempts=attempts)
    )
    others = {name: failing for name, failing in state.failing.items() if name != adapter}
    taking = {name: since for name, since in state.refusing.items() if name != adapter}
    if answer.delivered:
        following = {**state.next, adapter: sequence + 1}
        return replace(noted, failing=others, refusing=taking, next=following)
    since = before.since if before else began
    refused = (before.refused if before else 0) + answer.refused
    nothing_since = state.refusing.get(adapter, since)
    after = replace(noted, stopped=_stopped(answer, ended - nothing_since, setup))
    if refused >= setup.most_refusals:
        refusing = {**state.refusing, adapter: nothing_since}
        return _set_aside(replace(after, failing=others, refusing=refusing), adapter, sequence)
    until = ended + _wait_s(setup, attempts, answer)
    failing = Failing(since=since, attempts=attempts, until=until, refused=refused)
    return replace(after, failing={**others, adapter: failing})


def after_another(
    state: Deliveries,
    tried: SetAside,
    milestone: Milestone,
    answer: Answer,
    *,
    began: float,
    ended: float,
) -> Deliveries:
    """Return the state after something that was set aside was tried once more.

    Args:
        state: As it was.
        tried: What was tried.
        milestone: The same.
        answer: What came of it.
        began: When, in seconds since the epoch.
        ended: When there was an answer.
    """
    delivery = _delivery(milestone, tried.sequence, answer, began=began, ended=ended, attempts=1)
    if answer.delivered:
        left = tuple(each for each in state.aside if each != tried)
        return replace(state.noted(delivery), aside=left)
    noted = state.noted(replace(delivery, outcome="set_aside"))
    left = tuple(replace(each, due=each.due and each != tried) for each in state.aside)
    return replace(noted, aside=left)


def after_test(
    state: Deliveries,
    milestone: Milestone,
    answer: Answer,
    *,
    test: str,
    began: float,
    ended: float,
) -> Deliveries:
    """Return the state after a test; nothing but that it was made changes."""
    delivery = _delivery(milestone, None, answer, began=began, ended=ended, attempts=1)
    return replace(state.noted(delivery), tested=test)


def after_loss(
    state: Deliveries, adapter: str, sequence: int, following: int, *, now: float, why: str
) -> Deliveries:
    """Return the state after milestones were found to be damaged or gone, which is said of them.

    Args:
        state: As it was.
        adapter: Whose they were.
        sequence: The first of them.
        following: What comes behind them.
        now: Seconds since the epoch.
        why: A sentence.
    """
    noted = state.noted(_lost(adapter, sequence, following, now=now, why=why))
    return replace(noted, next={**state.next, adapter: following})


def after_other_loss(state: Deliveries, tried: SetAside, *, now: float) -> Deliveries:
    """Return the state after something that was set aside was found to be kept no longer."""
    why = "it was set aside, and is kept no longer"
    lost = _lost(tried.adapter, tried.sequence, tried.sequence + 1, now=now, why=why)
    left = tuple(each for each in state.aside if each != tried)
    return replace(state.noted(lost), aside=left)


def after_resumption(state: Deliveries, resumed: int) -> Deliveries:
    """Return the state after somebody has resumed the webhook: everything is tried at once."""
    aside = tuple(replace(each, due=True) for each in state.aside)
    return replace(state, resumed=resumed, stopped="", failing={}, refusing={}, aside=aside)


def _set_aside(state: Deliveries, adapter: str, sequence: int) -> Deliveries:
    """Return the state after a milestone was refused too often: the next one is told at once."""
    *earlier, last = state.latest
    return replace(
        state,
        latest=(*earlier, replace(last, outcome="set_aside")),
        aside=(*state.aside, SetAside(adapter=adapter, sequence=sequence))[-MOST_ASIDE:],
        next={**state.next, adapter: sequence + 1},
    )


def _lost(adapter: str, sequence: int, following: int, *, now: float, why: str) -> Delivery:
    return Delivery(
        id=f"lost-{adapter}-{sequence}",
        kind="",
        adapter=adapter,
        sequence=sequence,
        at=now,
        took_s=0.0,
        attempts=0,
        status=None,
        outcome="lost",
        said=f"events {sequence} to {following - 1}: {why}",
    )


def _delivery(
    milestone: Milestone,
    sequence: int | None,
    answer: Answer,
    *,
    began: float,
    ended: float,
    attempts: int,
) -> Delivery:
    return Delivery(
        id=milestone.id,
        kind=milestone.kind,
        adapter=milestone.adapter,
        sequence=sequence,
        at=began,
        took_s=max(0.0, ended - began),
        attempts=attempts,
        status=answer.status,
        outcome="delivered" if answer.delivered else "failed",
        said=answer.said,
    )


def _wait_s(setup: WebhookSetup, attempts: int, answer: Answer) -> float:
    jittered = setup.backoff.wait_s(attempts) * _part(setup.rng)
    return max(jittered, min(answer.wait_s, LONGEST_WAIT_S))


def _part(rng: random.Random) -> float:
    return rng.uniform(LEAST, 1.0)


def _stopped(answer: Answer, failing_s: float, setup: WebhookSetup) -> str:
    if answer.gone:
        return answer.said
    if failing_s >= setup.patience_s:
        return f"nothing could be delivered for {failing_s / 86_400:.0f} days: {answer.said}"
    return ""
