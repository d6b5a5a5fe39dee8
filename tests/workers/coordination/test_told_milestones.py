"""What a coordinator tells webhooks, also where it is killed between a change and its delivery."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.drivers.operations import Aim, CountingStore, Target, targets
from tests.support.drivers.running import play
from tests.support.fakes.crews import SerialSystem, System
from tests.support.fakes.faulty import MortalStore
from tests.support.fakes.receivers import Receiver
from tests.support.scenes.submissions import announced, submission
from tests.support.scenes.webhooks import webhook
from workers.concurrency.supervision import Backoff
from workers.encoding.encoder import Encoder
from workers.queue import inbox
from workers.queue.events import Cancel, Retry
from workers.queue.ledger import bucket_of, page_key, read_page
from workers.queue.ticket import Stage
from workers.registry import Author, Registry
from workers.store import MemoryStore
from workers.store.testing import Fault
from workers.webhooks.sender import WebhookSetup

BIRDS, BOATS, LIONS = submission("birds"), submission("boats"), submission("lions", adapter="zoo")
ALL = (BIRDS, BOATS, LIONS)
ENDS = tuple(zip(ALL, ("published", "rejected", "failed"), strict=True))
MOST = 3
ANNA = Author(who="anna", why="a test", now=5_000.0)


def serving(receiver: Receiver) -> WebhookSetup:
    backoff = Backoff(first_s=0.001, longest_s=0.01)
    return WebhookSetup(sender=receiver, poll_s=0.005, backoff=backoff)


def store_with_webhook() -> MemoryStore:
    store = MemoryStore()
    for entry in ALL:
        announced(store, entry)
    webhook(store)
    return store


def is_told(receiver: Receiver) -> bool:
    found = {(each.milestone.submission, each.milestone.kind) for each in receiver.taken}
    return all((entry.submission_id, f"submission.{ended}") in found for entry, ended in ENDS)


def scripted(system: System) -> System:
    """Let boats be refused by the gate, and lions break for good."""
    system.crew.refuses.add("boats")
    system.crew.raises["embed", "lions"] += [RuntimeError("no such lions")] * 10
    return system


def check_told_once_and_in_order(receiver: Receiver) -> None:
    for entry, ended in ENDS:
        kinds = receiver.kinds(entry.submission_id)
        assert kinds == ["submission.accepted", f"submission.{ended}"]
    for adapter in ("main", "zoo"):
        sequences = receiver.sequences(adapter)
        assert sequences == list(range(len(sequences)))


def test_how_each_submission_ends_is_told(encoder: Encoder) -> None:
    async def scene() -> None:
        store, receiver = store_with_webhook(), Receiver()
        async with System(store, encoder, webhooks=serving(receiver)) as system:
            scripted(system)
            await system.until(lambda: is_told(receiver))
        check_told_once_and_in_order(receiver)
        by_kind = {each.milestone.kind: each.milestone for each in receiver.taken}
        published, rejected = by_kind["submission.published"], by_kind["submission.rejected"]
        assert (published.version, published.moves) == (
            1,
            {"head": (None, 1), "production": (None, 1)},
        )
        assert (rejected.version, rejected.moves) == (2, {})
        assert rejected.reason == "it forgets too much"
        assert by_kind["submission.failed"].reason == "RuntimeError('no such lions')"
        assert published.who == "anna"

    play(scene)


def test_who_took_a_submission_back_is_told_and_that_it_was_tried_again(encoder: Encoder) -> None:
    async def scene() -> None:
        store, receiver = MemoryStore(), Receiver()
        webhook(store)
        async with System(store, encoder, webhooks=serving(receiver)) as system:
            hold = system.crew.hold("embed", "birds")
            await system.until_looks(3)
            announced(store, BIRDS)
            await system.until(hold.reached.is_set)
            inbox.ask(store, Cancel(submission_id=BIRDS.submission_id), who="ben")
            await system.until_stage(BIRDS, Stage.CANCELLED)
            hold.let_go()
            inbox.ask(store, Retry(submission_id=BIRDS.submission_id), who="carl")
            await system.until(lambda: len(receiver.taken) == 4)
        told = [(each.milestone.kind, each.milestone.who) for each in receiver.taken]
        assert told == [
            ("submission.accepted", "anna"),
            ("submission.cancelled", "ben"),
            ("submission.accepted", "carl"),
            ("submission.published", "anna"),
        ]
        assert [each.milestone.round for each in receiver.taken] == [1, 1, 2, 0]

    play(scene)


def test_milestones_leave_the_pages_once_they_are_recorded(encoder: Encoder) -> None:
    async def scene() -> None:
        store, receiver = store_with_webhook(), Receiver()
        async with System(store, encoder, webhooks=serving(receiver)) as system:
            scripted(system)
            await system.until(lambda: is_told(receiver))
            await system.until_quiet()
            inbox.ask(store, Retry(submission_id=LIONS.submission_id), who="ben")
            await system.until(lambda: len(receiver.kinds(LIONS.submission_id)) == 4)
            page = read_page(store, bucket_of(LIONS.submission_id))
            assert len(page.milestones) <= 2

    play(scene)


def test_where_events_go_nowhere_nothing_is_kept_of_them(encoder: Encoder) -> None:
    async def scene() -> None:
        store = store_with_webhook()
        async with System(store, encoder) as system:
            scripted(system)
            await system.until_stage(LIONS, Stage.FAILED)
            await system.until_stage(BOATS, Stage.REJECTED)
        assert list(store.list("webhooks/milestones/")) == []
        assert read_page(store, bucket_of(BIRDS.submission_id)).milestones == ()

    play(scene)


def test_a_receiver_that_hangs_keeps_nobody_from_learning(encoder: Encoder) -> None:
    async def scene() -> None:
        store = store_with_webhook()
        receiver = Receiver(behaves=lambda _parcel, _count: (None, 1e6))  # type: ignore[arg-type, return-value]
        async with System(store, encoder, webhooks=serving(receiver)) as system:
            await system.until_stage(BIRDS, Stage.PUBLISHED)
            await system.until_stage(BOATS, Stage.PUBLISHED)
        assert receiver.tries.total() == 1

    play(scene)


def undisturbed(encoder: Encoder) -> Counter[tuple[str, str]]:
    """Return the operations of a run in which nothing goes wrong."""
    store, receiver = store_with_webhook(), Receiver()
    counting = CountingStore(store)

    async def scene() -> None:
        link = MortalStore(counting)
        async with SerialSystem(store, encoder, link=link, webhooks=serving(receiver)) as system:
            scripted(system)
            await system.until(lambda: is_told(receiver))

    play(scene)
    return counting.seen


def aims(encoder: Encoder) -> Iterator[Target]:
    pages = [page_key(bucket_of(entry.submission_id)) for entry in ALL]
    concerned = ("webhooks/", "queue/pages/", "queue/inbox/", "refs/", "submissions/")
    for target in targets(undisturbed(encoder), pages=pages, most=MOST):
        if target.kind.startswith(concerned) and (
            target.operation != "get" or target.kind.startswith("webhooks/")
        ):
            yield target


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
def test_a_coordinator_killed_at_whichever_operation_loses_and_invents_nothing(
    encoder: Encoder, fault: Fault
) -> None:
    fired, tried = 0, list(aims(encoder))
    for target in tried:
        store, receiver, aim = store_with_webhook(), Receiver(), Aim(target, fault)

        async def scene(
            store: MemoryStore = store, receiver: Receiver = receiver, aim: Aim = aim
        ) -> None:
            link = MortalStore(store, aim)
            async with SerialSystem(
                store, encoder, link=link, webhooks=serving(receiver)
            ) as system:
                scripted(system)
                await system.until(lambda: link.dead or is_told(receiver))
            async with SerialSystem(store, encoder, webhooks=serving(receiver)) as system:
                scripted(system)
                await system.until(lambda: is_told(receiver))

        play(scene)
        check_told_once_and_in_order(receiver)
        fired += aim.fired
    assert fired > 0.8 * len(tried)  # how often something is looked at differs a little


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
def test_whichever_operation_fails_or_loses_its_answer_nothing_is_lost(
    encoder: Encoder, fault: Fault
) -> None:
    for target in aims(encoder):
        store, receiver, aim = store_with_webhook(), Receiver(), Aim(target, fault)

        async def scene(
            store: MemoryStore = store, receiver: Receiver = receiver, aim: Aim = aim
        ) -> None:
            link = MortalStore(store, aim)
            async with SerialSystem(
                store, encoder, link=link, webhooks=serving(receiver)
            ) as system:
                scripted(system)
                await system.until(lambda: is_told(receiver))

        play(scene)
        check_told_once_and_in_order(receiver)


def test_a_move_that_somebody_makes_meanwhile_is_told(encoder: Encoder) -> None:
    async def scene() -> None:
        store, receiver = store_with_webhook(), Receiver()
        async with System(store, encoder, webhooks=serving(receiver)) as system:
            scripted(system)
            await system.until(lambda: is_told(receiver))
            Registry(store).adapter("main").promote(2, by=ANNA)
            await system.until(lambda: receiver.taken[-1].milestone.kind == "alias.moved")
        moved = receiver.taken[-1].milestone
        assert moved.moves == {"production": (1, 2)}
        assert (moved.who, moved.why, moved.version) == ("anna", "a test", 2)

    play(scene)
