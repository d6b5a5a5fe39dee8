"""Webhooks while one coordinator leads, in simulated time: what each hears, and when it stops."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from adapters.errors import ConflictError
from tests.support.drivers.simulation import Clock, InlineThreads, SimulatedLoop, simulate
from tests.support.fakes.receivers import AWAY, BROKEN, GONE, TAKEN, Receiver
from tests.support.scenes.registry import adapter, learn
from tests.support.scenes.webhooks import SECRET, webhook
from workers.concurrency.supervision import Backoff
from workers.registry import Author, drop, purge
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault, FaultyStore
from workers.webhooks.deliveries import Deliveries, read_deliveries, write_deliveries
from workers.webhooks.log import MilestoneLog
from workers.webhooks.milestone import Kind, Milestone
from workers.webhooks.sender import Answer, Parcel, WebhookSetup
from workers.webhooks.service import QueueMilestones, WebhookService
from workers.webhooks.webhook import Secret, Webhook, change, read_webhook, remove

ANNA = Author(who="anna", why="it was right after all", now=2_000.0)
DAY_S = 86_400.0
RECEIVED_S = 100.0


class World:
    """A store whose webhooks are served, and whoever receives.

    Attributes:
        store: The store.
        receiver: Of all webhooks.
        clock: Of everything.
        pending: What the queue has to tell.
        leads: Whether the coordinator leads.
        poll_s: Between two looks.
        reached: What the service has for the store, where that is another one.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self.clock = Clock(loop)
        self.store = MemoryStore(clock=self.clock)
        self.receiver = Receiver()
        self.pending: list[Milestone] = []
        self.leads = True
        self.poll_s = 1.0
        self.reached: ObjectStore | None = None

    def service(self, *, epoch: int = 1, kept_s: float = 30 * DAY_S) -> WebhookService:
        """Return a service that nobody has started."""
        return WebhookService(
            self.reached or self.store,
            WebhookSetup(
                sender=self.receiver, poll_s=self.poll_s, rng=random.Random(1), kept_s=kept_s
            ),
            QueueMilestones(pending=self._pending, recorded=lambda _order: None),
            clock=self.clock,
            threads=InlineThreads(),
            epoch=epoch,
            leads=lambda: self.leads,
        )

    async def serve(self, seconds: float, *, epoch: int = 1, kept_s: float = 30 * DAY_S) -> None:
        """Serve the webhooks for so long."""
        running = asyncio.create_task(self.service(epoch=epoch, kept_s=kept_s).run())
        await asyncio.sleep(seconds)
        assert not running.done(), "it may not end by itself"
        running.cancel()
        await asyncio.wait([running])

    def state(self, found: Webhook) -> Deliveries:
        """Return how far a webhook has been told."""
        return read_deliveries(self.store, found.name, found.id)

    def _pending(self) -> Sequence[Milestone]:
        return self.pending


def play(scene: Callable[[World], Awaitable[None]]) -> None:
    async def run(loop: SimulatedLoop) -> None:
        await scene(World(loop))

    simulate(run)


def accepted(number: int, *, adapter_name: str = "main") -> Milestone:
    return Milestone(
        id=f"evt_{adapter_name}_{number}",
        kind=Kind.ACCEPTED,
        adapter=adapter_name,
        at=1_000.0,
        submission=f"task-{number}",
        round=1,
        order=(1, number),
    )


def test_every_kind_of_move_is_told_in_the_order_of_the_history() -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        main = adapter(world.store)
        learn(main, "birds", "boats")
        main.promote(1, by=ANNA)
        main.alias("canary", 2, by=ANNA)
        main.remove_alias("canary", by=ANNA)
        main.note_refusal(main.version(1), by=Author(who="replica-1", why="no memory", now=1.0))
        main.rollback(2, by=ANNA)
        drop(main, "birds", by=ANNA, promoted=True)
        purge(main, "birds", by=ANNA)
        await world.serve(RECEIVED_S)
        told = [parcel.milestone for parcel in world.receiver.taken]
        assert [each.kind for each in told] == [
            *["submission.published"] * 2,
            *["alias.moved"] * 3,
            *("version.refused", "adapter.rolled_back", "task.dropped", "task.purged"),
        ]
        assert [each.version for each in told] == [1, 2, 1, 2, None, 1, 2, 3, None]
        refused, dropped = told[5], told[7]
        assert (refused.who, refused.reason, refused.why) == ("replica-1", "no memory", "")
        assert (dropped.task, dropped.moves["head"]) == ("birds", (2, 3))
        assert told[2].why == ANNA.why

    play(scene)


def test_a_webhook_hears_of_its_adapters_and_kinds_alone() -> None:
    async def scene(world: World) -> None:
        webhook(world.store, adapters=("zoo",), kinds=("submission.accepted",))
        learn(adapter(world.store), "birds")
        world.pending = [accepted(1), accepted(2, adapter_name="zoo")]
        await world.serve(RECEIVED_S)
        assert [parcel.milestone.id for parcel in world.receiver.taken] == ["evt_zoo_2"]

    play(scene)


def test_a_webhook_hears_of_nothing_that_was_before_it() -> None:
    async def scene(world: World) -> None:
        learn(adapter(world.store), "birds", "boats")
        webhook(world.store, begins={"main": (0, 2)})
        learn(adapter(world.store), "lions")
        await world.serve(RECEIVED_S)
        assert [parcel.milestone.version for parcel in world.receiver.taken] == [3]

    play(scene)


def test_an_event_that_is_not_taken_holds_back_its_adapter_and_no_other_one() -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        world.receiver.behaves = lambda parcel, _count: (
            (BROKEN, 0.0) if parcel.milestone.adapter == "main" else (TAKEN, 0.0)
        )
        world.pending = [accepted(1), accepted(2, adapter_name="zoo"), accepted(3)]
        await world.serve(RECEIVED_S)
        assert {parcel.milestone.id for parcel in world.receiver.taken} == {"evt_zoo_2"}
        assert {parcel.milestone.id for parcel in world.receiver.received} == {
            "evt_zoo_2",
            "evt_main_1",
        }

    play(scene)


def test_tries_come_ever_more_rarely_and_with_jitter() -> None:
    async def scene(world: World) -> None:
        found = webhook(world.store)
        times: list[float] = []

        def behaves(_parcel: Parcel, _count: int) -> tuple[Answer, float]:
            times.append(world.clock())
            return AWAY, 0.0

        world.receiver.behaves = behaves
        world.pending = [accepted(1)]
        await world.serve(2_000.0)
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert all(0.5 * 2**n <= wait <= 2**n + 0.1 for n, wait in enumerate(waits[:8]))
        assert all(149 < wait < 301 for wait in waits[10:])
        assert world.state(found).failing["main"].attempts == len(times)

    play(scene)


def test_how_long_a_receiver_wants_to_be_left_alone_counts_up_to_an_hour() -> None:
    async def scene(world: World) -> None:
        found = webhook(world.store)
        world.receiver.behaves = lambda _parcel, _count: (replace(BROKEN, wait_s=1e9), 0.0)
        world.pending = [accepted(1)]
        await world.serve(RECEIVED_S)
        failing = world.state(found).failing["main"]
        assert failing.attempts == 1
        assert failing.until - failing.since == pytest.approx(3600, abs=1)

    play(scene)


def test_a_receiver_that_wants_no_more_is_left_alone_until_somebody_resumes_it() -> None:
    async def scene(world: World) -> None:
        world.poll_s = 600.0
        found = webhook(world.store)
        world.receiver.behaves = lambda _parcel, count: ((GONE, TAKEN)[min(count, 1)], 0.0)
        world.pending = [accepted(1), accepted(2)]
        await world.serve(DAY_S)
        assert world.receiver.tries.total() == 1
        assert world.state(found).stopped == GONE.said
        change(world.store, "team-chat", lambda held: replace(held, resumed=held.resumed + 1))
        await world.serve(RECEIVED_S)
        assert world.receiver.sequences("main") == [0, 1]
        assert world.state(found).stopped == ""

    play(scene)


def test_a_webhook_stops_after_three_days_and_then_nothing_is_lost_either() -> None:
    async def scene(world: World) -> None:
        world.poll_s = 600.0
        found = webhook(world.store)
        away = True
        world.receiver.behaves = lambda _parcel, _count: (AWAY if away else TAKEN, 0.0)
        world.pending = [accepted(1), accepted(2)]
        await world.serve(3.5 * DAY_S)
        tries = world.receiver.tries.total()
        assert world.state(found).stopped.startswith("nothing could be delivered for 3 days: ")
        away = False
        await world.serve(DAY_S)
        assert world.receiver.tries.total() == tries
        change(world.store, "team-chat", lambda held: replace(held, resumed=1))
        await world.serve(DAY_S)
        assert world.receiver.sequences("main") == [0, 1]

    play(scene)


def test_a_test_is_sent_even_where_the_webhook_has_stopped_and_moves_nothing() -> None:
    async def scene(world: World) -> None:
        found = webhook(world.store)
        world.receiver.behaves = lambda parcel, _count: (
            (TAKEN, 2.0) if parcel.sequence is None else (GONE, 0.0)
        )
        world.pending = [accepted(1)]
        await world.serve(RECEIVED_S)
        change(world.store, "team-chat", lambda held: replace(held, test="evt_test"))
        await world.serve(RECEIVED_S)
        state = world.state(found)
        tested = state.latest[-1]
        assert (tested.id, tested.kind, tested.outcome) == ("evt_test", "webhook.test", "delivered")
        assert tested.took_s == pytest.approx(2.0, abs=0.1)
        assert state.stopped == GONE.said
        assert world.receiver.tries["evt_test"] == 1

    play(scene)


def test_both_secrets_sign_until_the_old_one_has_run_out() -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        until = world.clock() + 3600
        change(world.store, "team-chat", lambda held: held.rotated("whsec_bmV3", until=until))
        world.pending = [accepted(1)]
        await world.serve(RECEIVED_S)
        world.pending = [accepted(2)]
        await asyncio.sleep(3600)
        await world.serve(RECEIVED_S)
        signed = [[each.value for each in parcel.secrets] for parcel in world.receiver.taken]
        assert signed == [["whsec_bmV3", SECRET], ["whsec_bmV3"]]

    play(scene)


def test_a_webhook_that_was_removed_hears_of_nothing_and_keeps_no_secret() -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        running = asyncio.create_task(world.service().run())
        await asyncio.sleep(RECEIVED_S)
        remove(world.store, "team-chat")
        await asyncio.sleep(RECEIVED_S)
        world.pending = [accepted(1)]
        await asyncio.sleep(RECEIVED_S)
        running.cancel()
        await asyncio.wait([running])
        assert world.receiver.tries.total() == 0
        assert read_webhook(world.store, "team-chat") is None
        stored = world.store.get("webhooks/registered/team-chat.json").data
        assert SECRET.encode() not in stored
        assert b"a-secret-path" not in stored

    play(scene)


def test_of_the_same_name_again_a_webhook_begins_anew() -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        world.receiver.behaves = lambda _parcel, _count: (GONE, 0.0)
        world.pending = [accepted(1)]
        await world.serve(RECEIVED_S)
        remove(world.store, "team-chat")
        again = webhook(world.store)
        change(world.store, "team-chat", lambda held: replace(held, id="hook_again"))
        world.receiver.behaves = lambda _parcel, _count: (TAKEN, 0.0)
        await world.serve(RECEIVED_S)
        assert world.receiver.sequences("main") == [0]
        with pytest.raises(ConflictError, match="there is a webhook 'team-chat'"):
            webhook(world.store)
        assert again.serial > 1

    play(scene)


def test_whoever_does_not_lead_tells_nobody_anything() -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        world.pending, world.leads = [accepted(1)], False
        await world.serve(RECEIVED_S)
        assert world.receiver.tries.total() == 0
        world.leads = True
        await world.serve(RECEIVED_S)
        assert world.receiver.sequences("main") == [0]

    play(scene)


def test_whoever_is_stopped_at_the_very_moment_when_something_happens_ends() -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        for _ in range(3):
            service = world.service()
            running = asyncio.create_task(service.run())
            await asyncio.sleep(RECEIVED_S)
            service.wake()
            running.cancel()
            done, _ = await asyncio.wait([running], timeout=RECEIVED_S)
            assert done

    play(scene)


def test_the_state_of_a_later_coordinator_is_not_overwritten() -> None:
    store = MemoryStore()
    found = webhook(store)
    write_deliveries(store, Deliveries(name=found.name, id=found.id, epoch=4, next={"main": 9}))
    with pytest.raises(ConflictError, match="expected epoch 3, found 4"):
        write_deliveries(store, Deliveries(name=found.name, id=found.id, epoch=3))
    assert read_deliveries(store, found.name, found.id).next == {"main": 9}


def test_a_damaged_history_keeps_no_other_adapter_from_being_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        learn(adapter(world.store), "birds")
        for listed in list(world.store.list("adapters/main/000000/history/")):
            world.store.put(listed.key, b"damage")
        world.pending = [accepted(2, adapter_name="zoo")]
        await world.serve(RECEIVED_S)
        assert [parcel.milestone.id for parcel in world.receiver.taken] == ["evt_zoo_2"]
        said = [r for r in caplog.records if "do not hear of adapter 'main'" in r.getMessage()]
        assert len(said) == 1

    play(scene)


def test_a_damaged_webhook_is_said_once_and_served_when_it_is_restored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(world: World) -> None:
        key = f"webhooks/registered/{webhook(world.store).name}.json"
        good = world.store.get(key).data
        world.store.put(key, b"damage")
        world.pending = [accepted(1)]
        running = asyncio.create_task(world.service().run())
        await asyncio.sleep(RECEIVED_S)
        said = [r for r in caplog.records if "team-chat is not served" in r.getMessage()]
        assert len(said) == 1
        world.store.put(key, good)
        await asyncio.sleep(RECEIVED_S)
        running.cancel()
        await asyncio.wait([running])
        assert world.receiver.sequences("main") == [0]

    play(scene)


def test_a_damaged_object_of_the_log_is_said_and_the_rest_is_told() -> None:
    async def scene(world: World) -> None:
        found = webhook(world.store)
        world.pending = [accepted(1)]
        await world.serve(RECEIVED_S)
        world.receiver.behaves = lambda _parcel, _count: (AWAY, 0.0)
        for number in (2, 3):
            world.pending = [accepted(number)]
            await world.serve(1_000.0 if number == 2 else 2.0)
        world.store.put("webhooks/milestones/main/000000000001.json", b"damage")
        world.receiver.behaves = lambda _parcel, _count: (TAKEN, 0.0)
        await world.serve(1_000.0)
        assert world.receiver.sequences("main") == [0, 2]
        lost = next(each for each in world.state(found).latest if each.outcome == "lost")
        assert lost.said.startswith("events 1 to 1: 'webhooks/milestones/main/000000000001.json'")

    play(scene)


def test_what_waits_for_too_long_is_removed_and_that_is_said() -> None:
    async def scene(world: World) -> None:
        world.poll_s = 600.0
        found = webhook(world.store)
        world.pending = [accepted(1)]
        await world.serve(RECEIVED_S)
        world.receiver.behaves = lambda _parcel, _count: (AWAY, 0.0)
        world.pending = [accepted(2)]
        await world.serve(RECEIVED_S)
        await asyncio.sleep(2 * DAY_S)
        world.pending = [accepted(3)]
        await world.serve(2 * 3600.0, kept_s=DAY_S)
        world.receiver.behaves = lambda _parcel, _count: (TAKEN, 0.0)
        await world.serve(3600.0)
        assert world.receiver.sequences("main") == [0, 2]
        lost = next(each for each in world.state(found).latest if each.outcome == "lost")
        assert lost.said == (
            "events 1 to 1: they were removed, since they waited for longer than they are kept"
        )

    play(scene)


def test_a_store_that_goes_away_is_waited_for_and_nothing_is_lost() -> None:
    async def scene(world: World) -> None:
        inner, away = world.store, True
        webhook(inner)
        world.reached = FaultyStore(inner, lambda _n, _op, _key: Fault.FAIL if away else None)
        world.pending = [accepted(1)]
        running = asyncio.create_task(world.service().run())
        await asyncio.sleep(RECEIVED_S)
        assert world.receiver.tries.total() == 0
        away = False
        await asyncio.sleep(RECEIVED_S)
        running.cancel()
        await asyncio.wait([running])
        assert world.receiver.sequences("main") == [0]

    play(scene)


def test_a_dispatcher_that_breaks_is_begun_again_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(world: World) -> None:
        webhook(world.store, "broken", url="https://hooks.example.com/broken")
        webhook(world.store, "works")
        breaks = [5]

        def behaves(parcel: Parcel, _count: int) -> tuple[Answer, float]:
            if parcel.url.endswith("broken") and breaks[0]:
                breaks[0] -= 1
                raise RuntimeError("a bug")
            return TAKEN, 0.0

        world.receiver.behaves = behaves
        world.pending = [accepted(1)]
        await world.serve(RECEIVED_S)
        assert len(world.receiver.taken) == 2
        assert "webhook broken ended and is begun again" in caplog.text

    play(scene)


def test_old_histories_are_recorded_in_batches_and_each_entry_once() -> None:
    async def scene(world: World) -> None:
        main = adapter(world.store)
        learn(main, "birds", "boats")
        for number in range(1_200):
            main.alias("canary", 1 + number % 2, by=ANNA)
        webhook(world.store, kinds=("submission.published",))
        await world.serve(RECEIVED_S)
        await world.serve(RECEIVED_S, epoch=2)
        log = MilestoneLog(world.store)
        assert log.end("main") == 1_202
        first = log.batch_with("main", 0)
        assert first is not None
        assert len(first.milestones) == 1_000
        assert world.receiver.sequences("main") == [0, 1]

    play(scene)


def test_a_secret_is_in_no_representation_and_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(world: World) -> None:
        found = webhook(world.store)
        assert SECRET not in repr(found)
        assert "a-secret-path" not in repr(found)
        assert SECRET not in repr(Secret(value=SECRET))
        world.receiver.behaves = lambda _parcel, _count: (BROKEN, 0.0)
        world.pending = [accepted(1)]
        await world.serve(RECEIVED_S)

    caplog.set_level("DEBUG")
    play(scene)
    assert caplog.records
    assert SECRET not in caplog.text
    assert "a-secret-path" not in caplog.text


def test_waits_grow_as_the_backoff_says() -> None:
    assert [Backoff(first_s=1.0, longest_s=300.0).wait_s(n) for n in (1, 2, 9, 10)] == [
        *(1.0, 2.0, 256.0, 300.0)
    ]
