"""Events that a receiver always refuses: set aside after a while, so that they hold nobody back."""

from dataclasses import replace

import pytest

from tests.support.fakes.receivers import AWAY, TAKEN
from tests.support.scenes.registry import adapter, learn
from tests.support.scenes.webhooks import webhook
from tests.workers.webhooks.test_service import DAY_S, World, accepted, play
from workers.registry.documents.forks import Fork
from workers.registry.documents.layout import refs_key
from workers.webhooks.deliveries import SetAside
from workers.webhooks.milestone import Kind
from workers.webhooks.sender import Answer, Parcel
from workers.webhooks.webhook import change

REFUSED = Answer(said="it answered 400", status=400, refused=True)
BUSY = Answer(said="it answered 503", status=503)
POISON = "evt_main_2"


def refusing_one(parcel: Parcel, _count: int) -> tuple[Answer, float]:
    return (REFUSED if parcel.milestone.id == POISON else TAKEN), 0.0


def test_what_is_refused_thirty_times_is_set_aside_and_what_follows_is_told() -> None:
    async def scene(world: World) -> None:
        world.poll_s = 600.0
        found = webhook(world.store)
        world.receiver.behaves = refusing_one
        world.pending = [accepted(number) for number in (1, 2, 3, 4)]
        await world.serve(1000.0)
        assert world.receiver.sequences("main") == [0]
        await world.serve(3 * 3600.0)
        state = world.state(found)
        assert world.receiver.sequences("main") == [0, 2, 3]
        assert world.receiver.tries[POISON] == 30
        assert (state.aside, state.failing, state.stopped) == (
            (SetAside(adapter="main", sequence=1),),
            {},
            "",
        )
        (told,) = (each for each in state.latest if each.id == POISON)
        assert (told.outcome, told.attempts, told.said) == ("set_aside", 30, "it answered 400")

    play(scene)


def test_what_was_set_aside_is_told_when_somebody_resumes_the_webhook() -> None:
    async def scene(world: World) -> None:
        world.poll_s = 600.0
        found = webhook(world.store)
        world.receiver.behaves = refusing_one
        world.pending = [accepted(number) for number in (1, 2, 3)]
        await world.serve(4 * 3600.0)
        change(world.store, "team-chat", lambda held: replace(held, resumed=1))
        await world.serve(3600.0)
        # Refused once more, it stays where it is, and is not tried again by itself.
        assert world.receiver.tries[POISON] == 31
        assert world.state(found).aside == (SetAside(adapter="main", sequence=1),)
        world.receiver.behaves = lambda _parcel, _count: (TAKEN, 0.0)
        change(world.store, "team-chat", lambda held: replace(held, resumed=2))
        await world.serve(3600.0)
        state = world.state(found)
        assert world.receiver.sequences("main") == [0, 2, 1]
        assert (state.aside, state.next) == ((), {"main": 3})
        assert world.receiver.tries["evt_main_1"] == 1

    play(scene)


@pytest.mark.parametrize("answer", [AWAY, BUSY])
def test_a_receiver_that_is_away_or_busy_has_nothing_set_aside(answer: Answer) -> None:
    async def scene(world: World) -> None:
        world.poll_s = 600.0
        found = webhook(world.store)
        world.receiver.behaves = lambda _parcel, _count: (answer, 0.0)
        world.pending = [accepted(1), accepted(2)]
        await world.serve(2 * DAY_S)
        assert world.state(found).aside == ()
        world.receiver.behaves = lambda _parcel, _count: (TAKEN, 0.0)
        await world.serve(600.0)
        assert world.receiver.sequences("main") == [0, 1]

    play(scene)


def test_a_receiver_that_refuses_everything_is_left_alone_after_three_days() -> None:
    async def scene(world: World) -> None:
        world.poll_s = 600.0
        found = webhook(world.store)
        world.receiver.behaves = lambda _parcel, _count: (REFUSED, 0.0)
        world.pending = [accepted(number) for number in range(1, 200)]
        await world.serve(3.2 * DAY_S)
        state = world.state(found)
        assert state.stopped.startswith("nothing could be delivered for 3 days: ")
        assert [each.sequence for each in state.aside] == list(range(len(state.aside)))
        world.receiver.behaves = lambda _parcel, _count: (TAKEN, 0.0)
        change(world.store, "team-chat", lambda held: replace(held, resumed=1))
        await world.serve(DAY_S)
        assert sorted(world.receiver.sequences("main")) == list(range(199))
        assert world.state(found).aside == ()

    play(scene)


def test_what_was_set_aside_and_is_kept_no_longer_is_said_to_be_lost() -> None:
    async def scene(world: World) -> None:
        world.poll_s = 600.0
        found = webhook(world.store)
        world.receiver.behaves = refusing_one
        world.pending = [accepted(1), accepted(2)]
        await world.serve(4 * 3600.0)
        world.pending = [accepted(3)]
        await world.serve(600.0)
        world.store.delete("webhooks/milestones/main/000000000000.json")
        change(world.store, "team-chat", lambda held: replace(held, resumed=1))
        await world.serve(3600.0)
        state = world.state(found)
        assert (state.aside, state.next) == ((), {"main": 3})
        assert (state.latest[-1].outcome, state.latest[-1].sequence) == ("lost", 1)

    play(scene)


def test_a_fork_is_told_once_with_what_was_lost_and_what_to_do() -> None:
    async def scene(world: World) -> None:
        webhook(world.store)
        main = adapter(world.store)
        learn(main, "birds")
        refs = main.refs()
        assert refs.history is not None
        fork = Fork(write_id="w1", action="commit", history=refs.history)
        noted = replace(refs, serial=refs.serial + 1, forks=(fork,))
        await world.serve(10.0)
        world.store.put(refs_key("main"), noted.to_bytes())
        await world.serve(100.0)
        await world.serve(100.0, epoch=2)
        learnt_more = replace(noted, serial=noted.serial + 1)
        world.store.put(refs_key("main"), learnt_more.to_bytes())
        await world.serve(100.0, epoch=3)
        told = [each.milestone for each in world.receiver.taken]
        assert [each.kind for each in told] == [Kind.PUBLISHED, Kind.FORKED]
        assert told[1].reason == (
            "the store has lost an acknowledged change: commit (write w1); nothing more is "
            "published until somebody has settled it (`nacre settle --adapter main`)"
        )

    play(scene)
