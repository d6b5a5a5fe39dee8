"""Head moves, and the coordinator is killed, while a task is learnt: it is published once."""

from collections.abc import Callable

import pytest

from tests.support.drivers.running import play
from tests.support.fakes.crews import System
from tests.support.scenes.registry import record_of
from tests.support.scenes.submissions import announced, submission
from workers.encoding.encoder import Encoder
from workers.queue.events import Cancel
from workers.queue.inbox import ask, waiting
from workers.queue.leadership import read_leadership
from workers.queue.ticket import ENDED, Stage
from workers.registry import AddRecord, Author, Commit, HeadIs, Inline, Registry, verify
from workers.registry.documents.layout import refs_key
from workers.store import MemoryStore
from workers.tasks.submission import Submission

BIRDS, BOATS = submission("birds"), submission("boats")
ANNA = Author(who="anna", why="a test", now=1.0)


def prepared() -> MemoryStore:
    """Return a store whose adapter has the versions 1 and 2, and `birds` to be learnt."""
    store = MemoryStore()
    main = Registry(store).create("main")
    for parent, task in enumerate(("first", "second")):
        main.commit(addition(task, parent or None), by=ANNA)
    announced(store, BIRDS)
    return store


def addition(task: str, parent: int | None) -> Commit:
    """Return what somebody publishes by hand."""
    record = AddRecord(task=task, submission=f"{task}-1", record=Inline(record_of(task)), classes=1)
    aliases = ("head", "production")
    return Commit(
        updates=(record,),
        requirements=(HeadIs(parent),),
        encoder="tiny",
        method="lada",
        settings={},
        aliases=aliases,
    )


def roll_back(store: MemoryStore) -> None:
    Registry(store).adapter("main").rollback(1, by=ANNA)


def publish_by_hand(store: MemoryStore) -> None:
    Registry(store).adapter("main").commit(addition("third", 2), by=ANNA)


def publications(store: MemoryStore, entry: Submission = BIRDS) -> list[int]:
    """Return the versions that a submission was published as."""
    return [
        move.published.number
        for move in Registry(store).adapter("main").history()
        if move.published and move.detail.get("submission") == entry.submission_id
    ]


MOVES: list[tuple[Callable[[MemoryStore], None], int, list[str]]] = [
    # what happens meanwhile, the version that is built on then, and what head holds in the end
    (roll_back, 1, ["first", "birds"]),
    (publish_by_hand, 3, ["first", "second", "third", "birds"]),
]


@pytest.mark.parametrize("call", ["train", "compress"])
@pytest.mark.parametrize(("move", "parent", "tasks"), MOVES)
def test_when_head_moves_the_task_is_interrupted_and_learnt_again_on_the_new_one(
    encoder: Encoder,
    call: str,
    move: Callable[[MemoryStore], None],
    parent: int,
    tasks: list[str],
) -> None:
    async def scene() -> None:
        store = prepared()
        async with System(store, encoder) as system:
            hold = system.crew.hold(call, "birds")
            await hold.reached.wait()
            del system.crew.holds[call, "birds"]
            move(store)
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.attempts, ticket.parent) == (Stage.PUBLISHED, 0, parent)
            assert system.crew.interrupted == [(call, "birds")]
            assert [each.parent for each in system.crew.assignments] == [2, parent]
        head = Registry(store).adapter("main").manifest("head")
        assert [task.task for task in head.tasks] == tasks
        assert publications(store) == [ticket.version]
        assert verify(store, "main").problems == ()

    play(scene)


@pytest.mark.parametrize(("move", "parent", "tasks"), MOVES)
def test_when_head_moves_at_the_last_moment_the_commit_is_refused_and_the_task_learnt_again(
    encoder: Encoder, move: Callable[[MemoryStore], None], parent: int, tasks: list[str]
) -> None:
    async def scene() -> None:
        store = prepared()
        async with System(store, encoder) as system:
            hold = system.crew.hold("publish", "birds")
            await hold.reached.wait()
            move(store)
            hold.let_go()
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.attempts, ticket.parent) == (Stage.PUBLISHED, 0, parent)
            assert system.crew.interrupted == []
        head = Registry(store).adapter("main").manifest("head")
        assert [task.task for task in head.tasks] == tasks

    play(scene)


def test_damaged_refs_of_one_adapter_keep_the_work_on_others_going(encoder: Encoder) -> None:
    async def scene() -> None:
        store = prepared()
        async with System(store, encoder) as system:
            await system.crew.hold("train", "birds").reached.wait()
            store.put(refs_key("main"), b"{}")
            await system.until_looks_at(refs_key("main"), 3)
            ask(store, Cancel(submission_id="nobody-knows"), who="carl")
            await system.until(lambda: not waiting(store))
            assert system.crew.interrupted == []
            lead = read_leadership(store)
            assert lead is not None
            assert lead.epoch == 1

    play(scene)


def test_a_rollback_before_the_training_is_built_upon(encoder: Encoder) -> None:
    async def scene() -> None:
        store = prepared()
        async with System(store, encoder) as system:
            hold = system.crew.hold("embed", "birds")
            await hold.reached.wait()
            roll_back(store)
            hold.let_go()
            assert (await system.until_stage(BIRDS, *ENDED)).parent == 1
            assert [each.parent for each in system.crew.assignments] == [1]

    play(scene)


def test_a_task_is_interrupted_once_however_long_it_takes_to_stop(encoder: Encoder) -> None:
    async def scene() -> None:
        store = prepared()
        async with System(store, encoder) as system:
            hold = system.crew.hold("train", "birds", stubborn=True)
            await hold.reached.wait()
            del system.crew.holds["train", "birds"]
            roll_back(store)
            await system.until(lambda: bool(system.crew.interrupted))
            await system.until_looks(5)
            hold.let_go()
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 0)
            assert system.crew.interrupted == [("train", "birds")]
            assert not hold.disturbed.is_set()

    play(scene)


@pytest.mark.parametrize("rolled_back", [False, True])
def test_what_was_published_just_before_a_kill_is_not_learnt_again(
    encoder: Encoder, rolled_back: bool
) -> None:
    """Between the commit and the ledger, and whether or not somebody rolled it back meanwhile."""

    async def scene() -> None:
        store = prepared()
        async with System(store, encoder) as system:
            hold = system.crew.hold("published", "birds")
            await hold.reached.wait()
            assert system.ticket(BIRDS).stage is Stage.CHECKING
            await system.drop()
        if rolled_back:
            roll_back(store)
        async with System(store, encoder) as system:
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.version) == (Stage.PUBLISHED, 3)
            assert system.crew.made("birds") == ["begin"]
        assert publications(store) == [3]

    play(scene)


def test_what_the_gate_refused_just_before_a_kill_is_not_learnt_again(encoder: Encoder) -> None:
    async def scene() -> None:
        store = prepared()
        async with System(store, encoder) as system:
            system.crew.refuses.add("birds")
            hold = system.crew.hold("published", "birds")
            await hold.reached.wait()
            await system.drop()
        async with System(store, encoder) as system:
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.version) == (Stage.REJECTED, 3)
            assert ticket.note == "it forgets too much"
            assert system.crew.made("birds") == ["begin"]

    play(scene)
