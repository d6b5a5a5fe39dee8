"""When something that failed is tried again, and when it is given up."""

import pytest

from tests.support.scenes.queue import ticket
from workers.queue.retry_policy import KEPT_FAILURES, RetryPolicy, after_failure, resumed_stage
from workers.queue.ticket import Cause, Failure, Stage, Ticket

POLICY = RetryPolicy(attempts=3, first_s=5, growth=4, longest_s=60, losses=4, lost_s=1)


def failure(cause: Cause, *, stage: Stage = Stage.TRAINING, at: float = 100.0) -> Failure:
    return Failure(stage=stage, cause=cause, error=f"{cause} at {at}", at=at)


def broken(*causes: Cause, stage: Stage = Stage.TRAINING, progressed: bool = False) -> Ticket:
    """Return a ticket whose attempts at `stage` ended with `causes`, a second after each other."""
    entry = ticket("task", stage=stage)
    for number, cause in enumerate(causes):
        found = failure(cause, stage=stage, at=100.0 + number)
        entry = after_failure(entry, found, retry_policy=POLICY, progressed=progressed)
    return entry


WAITS = [
    # the first wait, and each one four times as long as the one before
    (1, 5.0),
    (2, 20.0),
    # up to the longest
    (3, 60.0),
    # also where the power would be no number any more
    (100_000, 60.0),
]


@pytest.mark.parametrize(("attempts", "seconds"), WAITS)
def test_waits_grow_up_to_the_longest(attempts: int, seconds: float) -> None:
    assert POLICY.wait_s(attempts) == seconds


def test_an_outage_that_goes_on_is_tried_less_and_less_often() -> None:
    entry, waits = ticket("task", stage=Stage.TRAINING), []
    for number in range(7):
        found = failure(Cause.OUTAGE, at=100.0 * number)
        entry = after_failure(entry, found, retry_policy=POLICY, progressed=False)
        waits.append(entry.not_before - found.at)
    assert waits == [1, 2, 4, 8, 15, 15, 15]


AFTER = [
    # cause; where it goes on, attempts used, losses counted, seconds to wait
    (Cause.INPUT, Stage.FAILED, 1, 0, 5.0),
    (Cause.FAULT, Stage.WAITING, 1, 0, 5.0),
    (Cause.MISSING, Stage.ACCEPTED, 1, 0, 5.0),
    (Cause.LOSS, Stage.WAITING, 0, 1, 1.0),
    (Cause.OUTAGE, Stage.WAITING, 0, 0, 1.0),
    # as if nothing had happened
    (Cause.MOVED, Stage.WAITING, 0, 0, -100.0),
]


@pytest.mark.parametrize(("cause", "stage", "attempts", "losses", "wait_s"), AFTER)
def test_the_cause_decides_what_a_failure_costs(
    cause: Cause, stage: Stage, attempts: int, losses: int, wait_s: float
) -> None:
    after = broken(cause)
    found = (after.stage, after.attempts, after.losses, after.not_before)
    assert found == (stage, attempts, losses, 100.0 + wait_s)


FAILS = [
    ([Cause.FAULT] * 3, True),
    ([Cause.FAULT] * 2, False),
    # whatever a stage lacked or did wrong, it is an attempt
    ([Cause.FAULT, Cause.MISSING, Cause.FAULT], True),
    # what costs no attempt does not give one back either
    ([Cause.FAULT, Cause.LOSS, Cause.OUTAGE, Cause.MOVED, Cause.FAULT, Cause.FAULT], True),
    ([Cause.LOSS] * 4, True),
    ([Cause.LOSS] * 3, False),
    # an outage is not the task's doing, and no sign that it is harmless
    ([Cause.LOSS, Cause.LOSS, Cause.OUTAGE, Cause.LOSS, Cause.LOSS], True),
    # a failure of its own shows that its workers live
    ([Cause.LOSS, Cause.LOSS, Cause.FAULT, Cause.LOSS, Cause.LOSS], False),
    # it is learnt on something else: count anew
    ([Cause.LOSS] * 3 + [Cause.MOVED] + [Cause.LOSS] * 3, False),
    ([Cause.OUTAGE] * 99, False),
    ([Cause.MOVED] * 99, False),
]


@pytest.mark.parametrize(("causes", "failed"), FAILS)
def test_a_submission_fails_after_its_attempts_or_losses(causes: list[Cause], failed: bool) -> None:
    assert (broken(*causes).stage is Stage.FAILED) == failed


def test_losses_count_from_the_last_progress_on() -> None:
    assert broken(*[Cause.LOSS] * 9, progressed=True).losses == 1
    assert broken(*[Cause.LOSS] * 9, progressed=True).stage is Stage.WAITING


def test_a_lost_last_attempt_does_not_fail_it() -> None:
    entry = broken(Cause.FAULT, Cause.FAULT, Cause.OUTAGE)
    assert (entry.stage, entry.attempts) == (Stage.WAITING, 2)


RESUMED = [
    # features are kept: only what is not embedded yet is embedded
    (Stage.ACCEPTED, Stage.ACCEPTED),
    (Stage.ENCODING, Stage.ACCEPTED),
    (Stage.WAITING, Stage.WAITING),
    (Stage.TRAINING, Stage.WAITING),
    (Stage.COMPRESSING, Stage.WAITING),
    (Stage.CHECKING, Stage.WAITING),
]


@pytest.mark.parametrize(("stage", "goes_on"), RESUMED)
def test_what_was_broken_off_goes_on_where_its_stage_began(stage: Stage, goes_on: Stage) -> None:
    assert resumed_stage(stage) is goes_on
    assert broken(Cause.LOSS, stage=stage).stage is goes_on


def test_the_latest_reasons_are_kept() -> None:
    entry = ticket("task", stage=Stage.TRAINING)
    endless = RetryPolicy(attempts=1_000)
    for number in range(2 * KEPT_FAILURES):
        found = failure(Cause.FAULT, at=float(number))
        entry = after_failure(entry, found, retry_policy=endless, progressed=False)
    assert [kept.at for kept in entry.failures] == list(range(KEPT_FAILURES, 2 * KEPT_FAILURES))


MERGED = [
    # an outage that goes on stays one reason, as of its end
    ([Cause.OUTAGE] * 3, [(Cause.OUTAGE, 102.0)]),
    ([Cause.LOSS] * 2, [(Cause.LOSS, 101.0)]),
    # every failure of its own is a reason of its own
    ([Cause.FAULT] * 2, [(Cause.FAULT, 100.0), (Cause.FAULT, 101.0)]),
    # and what is between two outages keeps them apart
    (
        [Cause.OUTAGE, Cause.FAULT, Cause.OUTAGE],
        [(Cause.OUTAGE, 100.0), (Cause.FAULT, 101.0), (Cause.OUTAGE, 102.0)],
    ),
    ([Cause.OUTAGE, Cause.LOSS], [(Cause.OUTAGE, 100.0), (Cause.LOSS, 101.0)]),
]


@pytest.mark.parametrize(("causes", "kept"), MERGED)
def test_an_outage_that_goes_on_is_one_reason(
    causes: list[Cause], kept: list[tuple[Cause, float]]
) -> None:
    assert [(entry.cause, entry.at) for entry in broken(*causes).failures] == kept


def test_outages_of_two_stages_are_two_reasons() -> None:
    first = broken(Cause.OUTAGE, stage=Stage.TRAINING)
    second = failure(Cause.OUTAGE, stage=Stage.CHECKING)
    after = after_failure(first, second, retry_policy=POLICY, progressed=False)
    assert [entry.stage for entry in after.failures] == [Stage.TRAINING, Stage.CHECKING]
