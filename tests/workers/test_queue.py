"""The queue's state machine, by example and over random sequences of events."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from workers.queue import (
    ENDED,
    LEARNING,
    Accepted,
    Broke,
    Encode,
    Event,
    Learn,
    Moved,
    Queue,
    Stage,
    Ticket,
)


def ticket(
    name: str, *, adapter: str = "main", accepted_at: float = 0, priority: int = 0
) -> Ticket:
    return Ticket(
        submission_id=name,
        task=name,
        adapter=adapter,
        accepted_at=accepted_at,
        priority=priority,
    )


def queue_of(*tickets: Ticket) -> Queue:
    queue = Queue()
    for entry in tickets:
        queue = queue.apply(Accepted(ticket=entry))
    return queue


def moved(queue: Queue, name: str, stage: Stage) -> Queue:
    return queue.apply(Moved(submission_id=name, stage=stage))


def test_the_first_of_two_is_learnt_although_the_second_was_embedded_before_it() -> None:
    queue = queue_of(ticket("first", accepted_at=1), ticket("second", accepted_at=2))
    queue = moved(moved(queue, "first", Stage.ENCODING), "second", Stage.WAITING)
    assert queue.decide() == ()
    assert moved(queue, "first", Stage.WAITING).decide() == (Learn(submission_id="first"),)


def test_a_higher_priority_goes_first() -> None:
    queue = queue_of(ticket("early", accepted_at=1), ticket("urgent", accepted_at=2, priority=1))
    assert queue.decide()[0] == Encode(submission_id="urgent")


def test_two_adapters_are_learnt_side_by_side() -> None:
    queue = queue_of(ticket("one", adapter="a"), ticket("two", adapter="b"))
    queue = moved(moved(queue, "one", Stage.WAITING), "two", Stage.WAITING)
    assert set(queue.decide()) == {Learn(submission_id="one"), Learn(submission_id="two")}


def test_what_breaks_while_learning_is_learnt_again_and_not_embedded_again() -> None:
    queue = moved(queue_of(ticket("task")), "task", Stage.TRAINING)
    queue = queue.apply(Broke(submission_id="task", error="worker died"))
    assert queue.decide() == (Learn(submission_id="task"),)


def test_a_poisonous_submission_is_set_aside_and_the_next_one_is_learnt() -> None:
    queue = queue_of(ticket("poison", accepted_at=1), ticket("next", accepted_at=2))
    queue = moved(moved(queue, "poison", Stage.WAITING), "next", Stage.WAITING)
    for _ in range(queue.max_attempts):
        queue = moved(queue, "poison", Stage.TRAINING)
        queue = queue.apply(Broke(submission_id="poison", error="NaN"))
    assert queue.tickets["poison"].stage is Stage.FAILED
    assert queue.tickets["poison"].error == "NaN"
    assert queue.decide() == (Learn(submission_id="next"),)


def test_an_error_of_the_input_is_final_at_once() -> None:
    queue = moved(queue_of(ticket("task")), "task", Stage.ENCODING)
    queue = queue.apply(Broke(submission_id="task", error="bad", final=True))
    assert queue.tickets["task"].stage is Stage.FAILED


def test_an_ended_submission_stays_ended() -> None:
    queue = moved(queue_of(ticket("task")), "task", Stage.PUBLISHED)
    assert moved(queue, "task", Stage.WAITING) == queue


NAMES = ["a", "b", "c", "d"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), st.booleans()), max_size=60))
def test_whatever_happens_nothing_is_lost_and_one_adapter_has_one_training(
    happenings: list[tuple[str, bool, bool]],
) -> None:
    """Play workers that finish or break in any order, starting only what the queue decides."""
    queue = queue_of(*(ticket(name, adapter="xy"[i % 2]) for i, name in enumerate(NAMES)))
    for name, breaks, final in happenings:
        queue = start_what_is_due(queue)
        queue = queue.apply(next_event(queue, name, breaks=breaks, final=final))
        training = [t.adapter for t in queue.tickets.values() if t.stage in LEARNING]
        assert max(Counter(training).values(), default=0) <= 1
    assert set(queue.tickets) == set(NAMES)
    for _ in range(6 * len(NAMES)):
        queue = start_what_is_due(queue)
        for name in NAMES:
            queue = queue.apply(next_event(queue, name, breaks=False, final=False))
    assert all(entry.stage in ENDED for entry in queue.tickets.values())


def start_what_is_due(queue: Queue) -> Queue:
    for decision in queue.decide():
        stage = Stage.ENCODING if isinstance(decision, Encode) else Stage.TRAINING
        queue = moved(queue, decision.submission_id, stage)
    return queue


def next_event(queue: Queue, name: str, *, breaks: bool, final: bool) -> Event:
    stage = queue.tickets[name].stage
    if stage in {Stage.ACCEPTED, Stage.WAITING}:
        return Moved(submission_id=name, stage=stage)
    if breaks:
        return Broke(submission_id=name, error="broke", final=final)
    after = {
        Stage.ENCODING: Stage.WAITING,
        Stage.TRAINING: Stage.COMPRESSING,
        Stage.COMPRESSING: Stage.CHECKING,
    }
    return Moved(submission_id=name, stage=after.get(stage, Stage.PUBLISHED))
