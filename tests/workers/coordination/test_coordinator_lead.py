"""Two systems on one store: one coordinates, the other says so and waits."""

from dataclasses import replace
from functools import partial

import pytest

from adapters.errors import ConflictError
from tests.support.drivers.running import Clock, play
from tests.support.fakes.crews import PACE, Hold, System
from tests.support.fakes.faulty import MortalStore
from tests.support.scenes.submissions import announced, submission
from workers.coordination.coordinator import STARTING, Waiting
from workers.encoding.encoder import Encoder
from workers.queue import inbox
from workers.queue.events import Cancel
from workers.queue.inbox import ask
from workers.queue.leadership import KEY, Leadership, read_leadership, take_leadership
from workers.queue.ledger import Ledger
from workers.queue.ticket import ENDED, Stage
from workers.registry import Registry
from workers.store import MemoryStore
from workers.store.testing import Fault, FaultyStore

BIRDS, BOATS = submission("birds"), submission("boats")
LEAD_S = 1_000.0


def published(store: MemoryStore) -> list[str]:
    return [task.task for task in Registry(store).adapter("main").manifest("head").tasks]


def contents(store: MemoryStore) -> dict[str, bytes]:
    return {entry.key: store.get(entry.key).data for entry in store.list("")}


async def learning(system: System) -> Hold:
    """Return when the system is learning birds."""
    hold = system.crew.hold("train", "birds")
    await hold.reached.wait()
    await system.until_stage(BIRDS, Stage.TRAINING)
    return hold


def test_one_system_works_and_the_other_says_who_leads(encoder: Encoder) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as anna:
            await learning(anna)
            async with System(store, encoder, owner="ben", clock=clock) as ben:
                await ben.until(lambda: ben.coordinator.waits_for not in (None, STARTING))
                assert 'the system on "anna\'s host"' in str(ben.coordinator.waits_for)
                assert ben.crew.calls == []
            assert anna.coordinator.waits_for is None
            await anna.drop()

    play(scene)


def test_when_the_one_has_died_the_other_takes_over_and_nothing_is_lost(encoder: Encoder) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as anna:
            await learning(anna)
            async with System(store, encoder, owner="ben", clock=clock) as ben:
                await ben.until(lambda: ben.coordinator.waits_for not in (None, STARTING))
                await anna.drop()
                announced(store, BOATS)
                await ben.until_looks_at(KEY, 3)
                assert ben.crew.calls == []
                clock.advance(LEAD_S)
                await ben.until_stage(BOATS, *ENDED)
                assert ben.coordinator.waits_for is None
        assert published(store) == ["birds", "boats"]
        lead = read_leadership(store)
        assert lead is not None
        assert (lead.owner, lead.epoch) == ("ben", 2)

    play(scene)


def test_when_the_one_stops_in_order_the_other_takes_over_at_once(encoder: Encoder) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as anna:
            await learning(anna)
            async with System(store, encoder, owner="ben", clock=clock) as ben:
                await ben.until(lambda: ben.coordinator.waits_for not in (None, STARTING))
                await anna.stop()
                await ben.until_stage(BIRDS, *ENDED)
        assert published(store) == ["birds"]

    play(scene)


def test_the_same_system_started_again_does_not_wait(encoder: Encoder) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as before:
            await learning(before)
            await before.drop()
        async with System(store, encoder, clock=clock) as after:
            await after.until_stage(BIRDS, *ENDED)
        assert published(store) == ["birds"]

    play(scene)


def test_while_one_coordinator_of_a_system_replaces_the_other_they_do_not_take_turns(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as before:
            await learning(before)
            async with System(store, encoder, clock=clock) as after:
                hold = await learning(after)
                clock.advance(LEAD_S / 2)  # both are to renew the lead that they believe to have
                await before.until(lambda: "waits" in str(before.coordinator.waits_for))
                lead = read_leadership(store)
                assert lead is not None
                assert (lead.epoch, after.coordinator.waits_for) == (2, None)
                await before.stop()
                hold.let_go()
                await after.until_stage(BIRDS, *ENDED)
        assert published(store) == ["birds"]

    play(scene)


def test_who_was_deposed_stops_its_jobs_changes_nothing_and_says_who_leads(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as anna:
            await learning(anna)
            await anna.until_quiet()
            clock.advance(2 * LEAD_S)
            taken = take_leadership(store, owner="ben", host="b", ttl_s=LEAD_S, now=clock())
            before = contents(store)
            await anna.until(lambda: bool(anna.crew.interrupted))
            await anna.until(lambda: "'b'" in str(anna.coordinator.waits_for))
            assert contents(store) == before
            assert read_leadership(store) == taken

    play(scene)


def test_who_was_deposed_without_knowing_it_writes_no_ticket(encoder: Encoder) -> None:
    """Its clock is slow: by that its lead has not run out."""

    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as anna:
            hold = await learning(anna)
            lead = take_leadership(store, owner="ben", host="b", ttl_s=LEAD_S, now=3 * LEAD_S)
            Ledger(store, lead)
            hold.let_go()
            await anna.until(lambda: "'b'" in str(anna.coordinator.waits_for))
            assert anna.ticket(BIRDS).stage is Stage.TRAINING
            assert "publish" not in anna.crew.made("birds")

    play(scene)


def test_who_was_deposed_without_knowing_it_takes_no_request_away(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        async with System(store, encoder) as anna:
            await anna.until_looks(1)
            take_leadership(store, owner="ben", host="b", ttl_s=LEAD_S, now=3 * LEAD_S)
            ask(store, Cancel(submission_id="known-to-ben"), who="carl")
            await anna.until(lambda: anna.coordinator.waits_for is not None)
            assert len(inbox.waiting(store)) == 1

    play(scene)


def test_what_a_deposed_one_has_learnt_it_cannot_publish(encoder: Encoder) -> None:
    """A thread cannot be interrupted: it may come to its commit whenever it likes."""

    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as anna:
            await learning(anna)
            take_leadership(store, owner="ben", host="b", ttl_s=LEAD_S, now=3 * LEAD_S)
            async with System(store, encoder, owner="ben", clock=clock) as ben:
                hold = await learning(ben)
                with pytest.raises(ConflictError, match="another trainer is at work"):
                    anna.crew.commit(anna.crew.assignments[0])
                hold.let_go()
                await ben.until_stage(BIRDS, *ENDED)
        assert published(store) == ["birds"]
        assert Registry(store).adapter("main").refs().next_version == 2

    play(scene)


def test_a_damaged_lead_is_said_and_when_it_is_restored_the_queue_goes_on(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        take_leadership(store, owner="anna", host="a", ttl_s=1.0, now=1.0)
        kept = store.get(KEY).data
        store.put(KEY, b"")
        announced(store, BIRDS)
        async with System(store, encoder) as anna:
            await anna.until(lambda: "is damaged" in str(anna.coordinator.waits_for))
            assert store.get(KEY).data == b""
            store.put(KEY, kept)
            await anna.until_stage(BIRDS, *ENDED)

    play(scene)


def test_a_lead_is_renewed_long_before_it_runs_out(encoder: Encoder) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock(step_s=0.01)
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock, intervals=replace(PACE, lead_s=3.0)) as anna:
            await learning(anna)
            for beat in range(1, 6):
                await anna.until(partial(was_renewed, store, clock, beat))

    play(scene)


def test_when_a_clock_that_was_ahead_is_put_right_the_lead_is_renewed_and_work_goes_on(
    encoder: Encoder,
) -> None:
    years_s = 1e8

    async def scene() -> None:
        store, clock = MemoryStore(), Clock()

        def lead() -> Leadership:
            found = read_leadership(store)
            assert found is not None
            return found

        clock.advance(years_s)
        async with System(store, encoder, clock=clock) as anna:
            await anna.until_looks(1)
            assert lead().expires > years_s
            clock.advance(-years_s)
            await anna.until(lambda: lead().expires < years_s)
            assert lead().epoch == 1
            ask(store, Cancel(submission_id="nobody-knows"), who="carl")
            await anna.until(lambda: not inbox.waiting(store))

    play(scene)


def was_renewed(store: MemoryStore, clock: Clock, times: int) -> bool:
    lead = read_leadership(store)
    assert lead is not None
    assert lead.expires > clock()
    return lead.beat >= times and lead.epoch == 1


def test_while_the_store_is_away_it_is_said_since_when_and_how_often_it_was_tried(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store, away = MemoryStore(), [False]
        faulty = FaultyStore(store, lambda *_: Fault.FAIL if away[0] else None)
        async with System(store, encoder, link=MortalStore(faulty)) as anna:
            await anna.until(lambda: anna.coordinator.waiting is None)
            away[0] = True
            await anna.until(lambda: (anna.coordinator.waiting or Waiting(reason="")).tries >= 3)
            waiting = anna.coordinator.waiting
            assert waiting is not None
            assert waiting.for_s is not None
            assert "was made to fail" in waiting.reason
            assert "was made to fail (for " in str(anna.coordinator.waits_for)
            away[0] = False
            await anna.until(lambda: anna.coordinator.waiting is None)

    play(scene)
