"""The queue's state machine by example; `test_queue_machine` plays random sequences."""

from dataclasses import replace

import pytest

from tests.support.scenes.queue import ONE_AT_A_TIME, Scene, ticket
from workers.queue.events import Accepted, Encode, Event, Learn, Moved, Pause, Resume, Retry, Stop
from workers.queue.machine import Limits
from workers.queue.ticket import ACTIVE, ENDED, LEARNING, Cause, Stage

SIDE_BY_SIDE = replace(ONE_AT_A_TIME, learning=3)


def test_what_was_accepted_first_is_embedded_and_learnt_first() -> None:
    scene = Scene(ticket("b", accepted_at=2), ticket("a", accepted_at=1))
    assert scene.encoded_next() == ["a", "b"]
    scene.move("a", Stage.WAITING)
    scene.move("b", Stage.WAITING)
    assert scene.learnt_next() == ["a"]


def test_a_higher_priority_goes_first_whenever_it_came() -> None:
    scene = Scene(ticket("early", accepted_at=1), ticket("urgent", accepted_at=2, priority=1))
    assert scene.due()[0] == Encode(submission_id="urgent")
    scene.move("early", Stage.WAITING)
    assert scene.learnt_next() == []
    scene.move("urgent", Stage.WAITING)
    assert scene.learnt_next() == ["urgent"]


def test_two_that_came_in_the_same_instant_go_by_their_names() -> None:
    scene = Scene(ticket("b"), ticket("a"))
    assert scene.encoded_next() == ["a", "b"]


def test_the_first_of_two_is_learnt_although_the_second_was_embedded_before_it() -> None:
    scene = Scene(ticket("first", accepted_at=1), ticket("second", accepted_at=2))
    scene.move("first", Stage.ENCODING)
    scene.move("second", Stage.WAITING)
    assert scene.due() == ()
    scene.move("first", Stage.WAITING)
    assert scene.due() == (Learn(submission_id="first"),)


def test_an_urgent_one_does_not_interrupt_what_is_being_learnt() -> None:
    scene = Scene(ticket("running", stage=Stage.TRAINING), limits=SIDE_BY_SIDE)
    scene.queue.apply(Accepted(ticket=ticket("urgent", priority=9)), now=scene.now)
    scene.move("urgent", Stage.WAITING)
    assert scene.due() == ()
    scene.publish("running")
    assert scene.learnt_next() == ["urgent"]


def test_one_adapter_learns_one_at_a_time_however_much_may_go_on() -> None:
    waiting = [ticket(name, stage=Stage.WAITING) for name in "abc"]
    scene = Scene(*waiting, limits=SIDE_BY_SIDE)
    assert scene.learnt_next() == ["a"]
    for stage in (Stage.TRAINING, Stage.COMPRESSING, Stage.CHECKING):
        scene.move("a", stage)
        assert scene.learnt_next() == []


def test_adapters_learn_side_by_side_up_to_the_limit() -> None:
    tickets = [ticket(name, adapter=name, stage=Stage.WAITING) for name in "abcd"]
    scene = Scene(*tickets, limits=replace(SIDE_BY_SIDE, learning=2))
    assert scene.learnt_next() == ["a", "b"]
    scene.move("a", Stage.TRAINING)
    assert scene.learnt_next() == ["b"]
    scene.move("b", Stage.TRAINING)
    assert scene.learnt_next() == []


def test_adapters_take_turns_for_the_one_trainer() -> None:
    scene = Scene(
        *(ticket(f"a{n}", adapter="a", accepted_at=n, stage=Stage.WAITING) for n in range(3)),
        *(ticket(f"b{n}", adapter="b", accepted_at=9, stage=Stage.WAITING) for n in range(2)),
    )
    order = []
    for _ in range(5):
        (name,) = scene.learnt_next()
        scene.move(name, Stage.TRAINING)
        scene.publish(name)
        order.append(name)
    assert order == ["a0", "b0", "a1", "b1", "a2"]


def test_an_adapter_whose_training_breaks_lets_the_other_one_go_first() -> None:
    scene = Scene(*(ticket(name, adapter=name, stage=Stage.WAITING) for name in "ab"))
    scene.move("a", Stage.TRAINING)
    scene.breaks("a", Cause.MOVED)
    assert scene.learnt_next() == ["b"]


def test_no_priority_keeps_another_adapter_from_its_turn() -> None:
    urgent = ticket("urgent", adapter="b", priority=10**9, stage=Stage.WAITING)
    scene = Scene(ticket("plain", adapter="a", stage=Stage.WAITING), urgent)
    assert scene.learnt_next() == ["urgent"]  # neither has had a turn
    scene.move("urgent", Stage.TRAINING)
    scene.breaks("urgent", Cause.MOVED)
    assert scene.learnt_next() == ["plain"]


def test_no_priority_takes_the_encoders_from_another_adapter() -> None:
    scene = Scene(
        *(ticket(f"a{n}", adapter="a", accepted_at=n, priority=10**9) for n in range(4)),
        ticket("b0", adapter="b", accepted_at=99),
        limits=Limits(encoding=2, encoding_per_adapter=2),
    )
    assert scene.encoded_next() == ["a0", "b0"]


def test_with_one_encoder_who_came_first_goes_first_whatever_the_priorities() -> None:
    scene = Scene(
        ticket("b0", adapter="b", accepted_at=1),
        ticket("a0", adapter="a", accepted_at=2, priority=10**9),
        limits=Limits(encoding=1),
    )
    assert scene.encoded_next() == ["b0"]


def test_a_long_backlog_of_one_adapter_leaves_room_to_embed_for_another() -> None:
    scene = Scene(
        *(ticket(f"a{n}", adapter="a", accepted_at=n) for n in range(9)),
        *(ticket(f"b{n}", adapter="b", accepted_at=99 + n) for n in range(9)),
        limits=Limits(encoding=3, encoding_per_adapter=2),
    )
    assert scene.encoded_next() == ["a0", "b0", "a1"]
    scene.move("a0", Stage.ENCODING)
    scene.move("a1", Stage.ENCODING)
    assert scene.encoded_next() == ["b0"]


def test_an_adapter_alone_has_no_more_than_its_share_of_the_encoders() -> None:
    scene = Scene(
        *(ticket(f"a{n}", accepted_at=n) for n in range(9)),
        limits=Limits(encoding=4, encoding_per_adapter=2),
    )
    assert scene.encoded_next() == ["a0", "a1"]


def test_tasks_further_back_are_embedded_while_the_front_one_trains() -> None:
    scene = Scene(ticket("front", stage=Stage.TRAINING), ticket("next"), ticket("last"))
    assert scene.due() == (Encode(submission_id="last"), Encode(submission_id="next"))


def test_what_is_running_is_not_begun_again() -> None:
    scene = Scene(*(ticket(stage.value, adapter=stage, stage=stage) for stage in sorted(ACTIVE)))
    assert scene.due() == ()


def test_what_breaks_while_learning_is_learnt_again_and_not_embedded_again() -> None:
    for stage in sorted(LEARNING):
        scene = Scene(ticket("task", stage=stage))
        assert scene.breaks("task", Cause.LOSS).stage is Stage.WAITING
        scene.now += 60
        assert scene.due() == (Learn(submission_id="task"),)


def test_what_broke_holds_its_place_until_its_next_attempt_is_due() -> None:
    scene = Scene(ticket("first", accepted_at=1), ticket("second", accepted_at=2))
    scene.move("first", Stage.WAITING, Stage.TRAINING)
    scene.move("second", Stage.WAITING)
    scene.breaks("first")
    assert (scene.due(), scene.queue.wake_at(now=scene.now)) == ((), 105.0)
    scene.now = 105.0
    assert scene.due() == (Learn(submission_id="first"),)
    assert scene.queue.wake_at(now=scene.now) is None


def test_the_earliest_end_of_a_wait_is_told() -> None:
    scene = Scene(*(ticket(name, adapter=name, stage=Stage.TRAINING) for name in "abc"))
    for name in "abc":
        scene.breaks(name)
        scene.now += 1
    assert scene.queue.wake_at(now=scene.now) == 105.0
    scene.cancel("a")
    assert scene.queue.wake_at(now=scene.now) == 106.0
    scene.now = 106.0
    assert scene.queue.wake_at(now=scene.now) == 107.0


def test_what_waits_to_be_embedded_again_lets_others_be_embedded_meanwhile() -> None:
    scene = Scene(ticket("first", accepted_at=1), ticket("second", accepted_at=2))
    scene.move("first", Stage.ENCODING)
    assert scene.breaks("first").stage is Stage.ACCEPTED
    assert scene.due() == (Encode(submission_id="second"),)


def test_a_poisonous_submission_fails_and_the_next_one_is_learnt() -> None:
    scene = Scene(ticket("poison", accepted_at=1), ticket("next", accepted_at=2))
    scene.move("poison", Stage.WAITING)
    scene.move("next", Stage.WAITING)
    for attempt in (1, 2, 3):
        assert scene.learnt_next() == ["poison"]
        scene.move("poison", Stage.TRAINING)
        assert scene.breaks("poison", error=f"NaN {attempt}").attempts == attempt
        scene.now += 1_000
    poison = scene["poison"]
    assert (poison.stage, poison.error) == (Stage.FAILED, "NaN 3")
    assert [failure.error for failure in poison.failures] == ["NaN 1", "NaN 2", "NaN 3"]
    assert scene.due() == (Learn(submission_id="next"),)


def test_an_error_of_the_input_is_final_at_once() -> None:
    scene = Scene(ticket("task", stage=Stage.ENCODING))
    assert scene.breaks("task", Cause.INPUT, error="bad").stage is Stage.FAILED
    assert scene["task"].error == "bad"


def test_workers_that_die_without_progress_fail_a_submission_in_the_end() -> None:
    scene = Scene(ticket("killer", stage=Stage.WAITING))
    for _ in range(scene.queue.limits.retry_policy.losses):
        scene.move("killer", Stage.TRAINING)
        scene.breaks("killer", Cause.LOSS)
    assert (scene["killer"].stage, scene["killer"].attempts) == (Stage.FAILED, 0)


@pytest.mark.parametrize("stage", [Stage.COMPRESSING, Stage.CHECKING])
def test_to_come_as_far_as_the_stage_that_kills_is_no_progress(stage: Stage) -> None:
    scene = Scene(ticket("killer", stage=Stage.WAITING))
    way = [Stage.TRAINING, Stage.COMPRESSING, Stage.CHECKING]
    for _ in range(scene.queue.limits.retry_policy.losses):
        scene.move("killer", *way[: way.index(stage) + 1])
        scene.breaks("killer", Cause.LOSS)
    assert scene["killer"].stage is Stage.FAILED


def test_workers_that_die_while_the_work_gets_on_cost_nothing() -> None:
    scene = Scene(ticket("long", stage=Stage.WAITING))
    for _ in range(3 * scene.queue.limits.retry_policy.losses):
        scene.move("long", Stage.TRAINING)
        scene.breaks("long", Cause.LOSS, progressed=True)
    assert (scene["long"].stage, scene["long"].attempts) == (Stage.WAITING, 0)
    assert scene["long"].losses == 1


def test_losses_while_embedding_are_not_counted_against_learning() -> None:
    scene = Scene(ticket("task"))
    for _ in range(scene.queue.limits.retry_policy.losses - 1):
        scene.move("task", Stage.ENCODING)
        scene.breaks("task", Cause.LOSS)
    scene.move("task", Stage.ENCODING, Stage.WAITING)
    assert scene["task"].losses == 0


def test_an_outage_is_waited_for_however_often_it_is_met() -> None:
    scene = Scene(ticket("task", stage=Stage.WAITING))
    for _ in range(100):
        scene.move("task", Stage.TRAINING)
        scene.breaks("task", Cause.OUTAGE)
    assert (scene["task"].stage, scene["task"].attempts) == (Stage.WAITING, 0)
    assert len(scene["task"].failures) == 1
    assert scene.queue.wake_at(now=scene.now) == scene.now + 15


def test_when_head_has_moved_the_task_is_learnt_again_at_once_and_at_no_cost() -> None:
    scene = Scene(ticket("task", stage=Stage.CHECKING), ticket("next", stage=Stage.WAITING))
    after = scene.breaks("task", Cause.MOVED)
    assert (after.stage, after.attempts, after.failures) == (Stage.WAITING, 0, ())
    assert scene.queue.wake_at(now=scene.now) is None
    assert scene.due() == (Learn(submission_id="next"),)  # by name, of two that came together


def test_what_has_lost_its_features_is_embedded_again() -> None:
    scene = Scene(ticket("task", stage=Stage.TRAINING))
    after = scene.breaks("task", Cause.MISSING)
    assert (after.stage, after.attempts) == (Stage.ACCEPTED, 1)
    scene.now = after.not_before
    assert scene.due() == (Encode(submission_id="task"),)


@pytest.mark.parametrize("stage", sorted(set(Stage) - ENDED - {Stage.CHECKING}))
def test_a_submission_can_be_taken_back_at_any_time(stage: Stage) -> None:
    scene = Scene(ticket("task", accepted_at=1, stage=stage), ticket("next", accepted_at=2))
    stops = scene.cancel("task")
    assert scene["task"].stage is Stage.CANCELLED
    assert stops == ((Stop(submission_id="task"),) if stage in ACTIVE else ())
    scene.move("next", Stage.WAITING)
    assert scene.learnt_next() == ["next"]


def test_what_is_being_published_is_not_interrupted() -> None:
    scene = Scene(ticket("task", stage=Stage.CHECKING))
    assert scene.cancel("task") == ()
    assert scene["task"].stage is Stage.CHECKING
    assert scene["task"].note == "asked to be cancelled while it was being published"
    scene.publish("task", version=4)
    assert (scene["task"].stage, scene["task"].version) == (Stage.PUBLISHED, 4)


@pytest.mark.parametrize("stage", sorted(ENDED))
def test_what_has_ended_cannot_be_taken_back(stage: Stage) -> None:
    scene = Scene(ticket("task", stage=stage))
    assert scene.cancel("task") == ()
    assert scene["task"].stage is stage


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.CANCELLED, Stage.REJECTED])
def test_what_ended_unpublished_is_begun_anew_when_somebody_asks(stage: Stage) -> None:
    scene = Scene(ticket("task", stage=Stage.TRAINING))
    scene.breaks("task", Cause.FAULT)
    scene.move("task", stage)
    again = scene.retry("task")
    assert (again.stage, again.round, again.attempts, again.not_before) == (
        Stage.ACCEPTED,
        2,
        0,
        0.0,
    )
    assert again.error == "why"  # the reasons are kept
    assert scene.due() == (Encode(submission_id="task"),)


def test_what_was_refused_forgets_its_version_when_it_is_begun_anew() -> None:
    scene = Scene(ticket("task", stage=Stage.CHECKING))
    refused = Moved(submission_id="task", stage=Stage.REJECTED, version=7, note="forgets too much")
    scene.queue.apply(refused, now=scene.now)
    again = scene.retry("task")
    assert (again.version, again.note, again.earlier) == (None, None, 7)
    scene.cancel("task")
    assert scene.retry("task").earlier == 7


SINCE = [
    # parent, what an earlier round published; what this round published is later than
    (None, 0, None),
    (0, 0, 0),
    (3, 0, 3),
    # refused as version 7, which was learnt on version 3, as this round is
    (3, 7, 7),
    # head went on meanwhile
    (9, 7, 9),
]


@pytest.mark.parametrize(("parent", "earlier", "since"), SINCE)
def test_what_this_round_has_published_is_told_from_what_an_earlier_one_has(
    parent: int | None, earlier: int, since: int | None
) -> None:
    assert replace(ticket("task"), parent=parent, earlier=earlier).since_version == since


def test_what_was_published_stays_published() -> None:
    scene = Scene(ticket("task", stage=Stage.CHECKING))
    scene.publish("task", version=3)
    before = scene["task"]
    assert scene.retry("task") == before
    scene.move("task", Stage.WAITING)
    scene.breaks("task")
    assert scene["task"] == before


def test_retry_ends_the_wait_of_what_is_open_and_forgives_nothing() -> None:
    scene = Scene(ticket("task", stage=Stage.TRAINING))
    scene.breaks("task")
    assert scene.due() == ()
    again = scene.retry("task")
    assert (again.stage, again.round, again.attempts) == (Stage.WAITING, 1, 1)
    assert scene.due() == (Learn(submission_id="task"),)


def test_a_retried_submission_takes_its_old_place() -> None:
    scene = Scene(ticket("first", accepted_at=1), ticket("second", accepted_at=2))
    scene.cancel("first")
    scene.move("second", Stage.WAITING)
    assert scene.learnt_next() == ["second"]
    scene.retry("first")
    assert scene.due() == (Encode(submission_id="first"),)


def test_a_paused_adapter_begins_nothing_and_ends_what_is_running() -> None:
    scene = Scene(
        ticket("running", adapter="a", stage=Stage.TRAINING),
        ticket("behind", adapter="a"),
        ticket("other", adapter="b"),
    )
    assert scene.queue.apply(Pause(adapter="a"), now=scene.now) == ()
    assert scene.due() == (Encode(submission_id="other"),)
    scene.publish("running")
    assert scene["running"].stage is Stage.PUBLISHED
    scene.move("behind", Stage.WAITING)
    assert scene.learnt_next() == []
    scene.queue.apply(Resume(adapter="a"), now=scene.now)
    assert scene.learnt_next() == ["behind"]


PAUSES: list[tuple[list[Event], set[str]]] = [
    # which adapters begin something after that
    ([], {"a", "b"}),
    ([Pause(adapter="a")], {"b"}),
    ([Pause(adapter="*")], set()),
    ([Pause(adapter="a"), Pause(adapter="a"), Resume(adapter="a")], {"a", "b"}),
    # all of them were paused: one alone does not go on
    ([Pause(adapter="*"), Resume(adapter="a")], set()),
    ([Pause(adapter="a"), Pause(adapter="*"), Resume(adapter="*")], {"a", "b"}),
    ([Resume(adapter="b")], {"a", "b"}),
]


@pytest.mark.parametrize(("events", "going_on"), PAUSES)
def test_adapters_are_paused_one_by_one_or_all_together(
    events: list[Event], going_on: set[str]
) -> None:
    scene = Scene(ticket("a", adapter="a"), ticket("b", adapter="b"))
    for event in events:
        scene.queue.apply(event, now=scene.now)
    assert set(scene.encoded_next()) == going_on


def test_what_has_ended_can_be_forgotten_and_what_is_open_cannot() -> None:
    scene = Scene(ticket("open"), ticket("ended", stage=Stage.FAILED))
    scene.queue.forget("open")
    scene.queue.forget("ended")
    assert list(scene.queue.tickets) == ["open"]
    scene.queue.apply(Accepted(ticket=ticket("ended")), now=scene.now)
    assert scene.encoded_next() == ["ended", "open"]


def test_accepting_twice_is_accepting_once() -> None:
    scene = Scene(ticket("task", stage=Stage.TRAINING))
    scene.queue.apply(Accepted(ticket=ticket("task")), now=scene.now)
    assert scene["task"].stage is Stage.TRAINING


def test_an_event_of_an_unknown_submission_changes_nothing() -> None:
    scene = Scene()
    for event in (Moved(submission_id="x", stage=Stage.WAITING), Retry(submission_id="x")):
        assert scene.queue.apply(event, now=scene.now) == ()
    assert scene.cancel("x") == ()
    assert not scene.queue.tickets


def test_a_ticket_knows_since_when_it_is_where_it_is() -> None:
    scene = Scene(ticket("task"))
    scene.move("task", Stage.ENCODING)
    scene.now += 10
    scene.move("task", Stage.ENCODING)
    assert scene["task"].since == 100.0
    scene.move("task", Stage.WAITING)
    assert scene["task"].since == 110.0


def test_the_version_that_it_is_learnt_on_is_remembered() -> None:
    scene = Scene(ticket("task", stage=Stage.WAITING))
    scene.move("task", Stage.TRAINING)
    assert scene["task"].parent is None
    scene.move("task", Stage.TRAINING, parent=0)
    scene.move("task", Stage.COMPRESSING, Stage.CHECKING)
    scene.breaks("task", Cause.LOSS)
    scene.move("task", Stage.TRAINING)
    assert scene["task"].parent == 0
