"""Traces over coordinators: one that is killed leaves no hole, and a fault says where it was."""

from tests.support.drivers.keeping_spans import id_of, keeping_spans, trace_of, tree
from tests.support.drivers.running import Clock, play
from tests.support.fakes.crews import Hold, System
from tests.support.scenes.submissions import announced, submission
from workers.encoding.encoder import Encoder
from workers.queue.ticket import Stage
from workers.store import MemoryStore

BIRDS = submission("birds")
STAGES = {"accepted", "encoding", "waiting", "training", "compressing", "checking"}


def test_a_submission_is_one_trace_over_a_coordinator_that_was_killed(encoder: Encoder) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as before:
            hold = before.crew.holds["train", "birds"] = Hold()
            await before.until(hold.reached.is_set)
            await before.until_stage(BIRDS, Stage.TRAINING)
            await before.drop()
        async with System(store, encoder, clock=clock) as after:
            await after.until_stage(BIRDS, Stage.PUBLISHED)

    with keeping_spans() as spans:
        play(scene)
        (whole,) = spans.named("submission published")
        found = spans.of(trace_of(whole))
    assert tree(found)["submission published"] == STAGES
    broken_off, again = (each for each in found if each.name == "training")
    assert [broken_off.status.is_ok, again.status.is_ok] == [False, True]
    assert "its coordinator was lost" in str(broken_off.status.description)
    assert {id_of(whole)} == {
        f"{each.parent.span_id:016x}" for each in (broken_off, again) if each.parent
    }


def test_a_fault_is_told_in_the_stage_where_it_happened_and_each_attempt_is_there(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as anna:
            anna.crew.raises["train", "birds"] += [RuntimeError("singular")]
            await anna.until_stage(BIRDS, Stage.PUBLISHED)

    with keeping_spans() as spans:
        play(scene)
        first, second = spans.named("training")
    assert "singular" in str(first.status.description)
    assert second.status.is_ok
    assert id_of(first) != id_of(second)
