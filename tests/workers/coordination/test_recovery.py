"""What a coordinator that begins finds: every submission, and where it goes on."""

from dataclasses import replace

import pytest

from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.scenes.submissions import submission, written
from workers.coordination.recovery import Recovered, found_late, recovered
from workers.queue.ledger import outcome_bytes, state_key
from workers.queue.progress import ticket_of
from workers.queue.ticket import ENDED, Stage, Ticket
from workers.store import MemoryStore
from workers.store.testing import RecordingStore, WrappedStore
from workers.tasks.submission import Submission, submission_key

BIRDS = submission("birds")
NAME = BIRDS.submission_id
WRITTEN_AT = 70.0


def found(store: MemoryStore | WrappedStore, *tickets: Ticket) -> dict[str, Ticket]:
    """Return what is recovered from the store and a ledger with `tickets`, by name."""
    return {entry.submission_id: entry for entry in recovered(store, tickets).tickets}


def store_with(*submissions: Submission) -> MemoryStore:
    store = MemoryStore(clock=lambda: WRITTEN_AT)
    for entry in submissions:
        written(store, entry)
    return store


def unannounced(entry: Submission = BIRDS) -> Ticket:
    """Return the ticket of a submission that nobody has announced: accepted when it was written."""
    return replace(ticket_of(entry), accepted_at=WRITTEN_AT, since=WRITTEN_AT)


def at(stage: Stage, entry: Submission = BIRDS) -> Ticket:
    return replace(ticket_of(entry), stage=stage, parent=3, attempts=1, since=5.0)


def test_an_empty_store_has_nothing_to_find() -> None:
    assert found(MemoryStore()) == {}


GOES_ON = [
    (Stage.ACCEPTED, Stage.ACCEPTED),
    # whatever was under way is begun again; features are kept
    (Stage.ENCODING, Stage.ACCEPTED),
    (Stage.WAITING, Stage.WAITING),
    (Stage.TRAINING, Stage.WAITING),
    (Stage.COMPRESSING, Stage.WAITING),
    (Stage.CHECKING, Stage.WAITING),
    *((stage, stage) for stage in sorted(ENDED)),
]


@pytest.mark.parametrize(("stage", "goes_on"), GOES_ON)
def test_what_is_in_the_ledger_goes_on_where_its_stage_began(stage: Stage, goes_on: Stage) -> None:
    store = store_with(BIRDS)
    assert found(store, at(stage)) == {NAME: replace(at(stage), stage=goes_on)}


def test_a_submission_that_nobody_has_announced_is_accepted_when_it_was_written() -> None:
    """Its submitter died after it was durable, or the page that it was on is damaged."""
    boats = submission("boats", priority=2)
    store = store_with(BIRDS, boats)
    assert found(store, at(Stage.WAITING)) == {
        NAME: at(Stage.WAITING),
        boats.submission_id: unannounced(boats),
    }


@pytest.mark.parametrize("stage", sorted(ENDED))
def test_a_submission_that_has_ended_and_left_its_page_is_not_looked_into(stage: Stage) -> None:
    store = RecordingStore(store_with(BIRDS))
    store.put(state_key(NAME), outcome_bytes(at(stage)))
    store.reset()
    assert found(store) == {}
    assert store.keys == []  # listed, but not read


def test_a_crash_between_page_and_outcome_loses_neither() -> None:
    ended = at(Stage.PUBLISHED)
    assert found(store_with(BIRDS), ended) == {NAME: ended}


def test_the_page_counts_and_not_the_outcome_of_an_earlier_round() -> None:
    store = store_with(BIRDS)
    store.put(state_key(NAME), outcome_bytes(at(Stage.FAILED)))
    again = replace(at(Stage.TRAINING), round=2)
    assert found(store, again) == {NAME: replace(again, stage=Stage.WAITING)}


def test_the_page_counts_although_somebody_says_that_it_has_ended() -> None:
    """As a coordinator did that had been deposed without knowing it."""
    store = store_with(BIRDS)
    store.put(state_key(NAME), outcome_bytes(at(Stage.FAILED)))
    assert found(store, at(Stage.TRAINING))[NAME].stage is Stage.WAITING


def test_a_ticket_whose_submission_is_gone_stays() -> None:
    assert found(MemoryStore(), at(Stage.WAITING)) == {NAME: at(Stage.WAITING)}


@pytest.mark.parametrize("content", [b"", b"null", b'{"schema": 99}'])
def test_a_damaged_submission_is_left_out_and_the_others_are_found(content: bytes) -> None:
    store = store_with(BIRDS)
    store.put(submission_key("damaged-000000000000"), content)
    assert found(store) == {NAME: unannounced()}


def test_a_submission_that_is_removed_meanwhile_is_left_out() -> None:
    class Removing(WrappedStore):
        def before(self, operation: str, key: str) -> None:
            if operation == "get":
                self.inner.delete(key)

    boats = submission("boats")
    assert found(Removing(store_with(BIRDS)), at(Stage.WAITING, boats)) == {
        boats.submission_id: at(Stage.WAITING, boats)
    }


def test_an_outcome_without_its_submission_is_passed_over() -> None:
    store = store_with(BIRDS)
    store.put(state_key("purged-000000000000"), b"{}")
    assert found(store) == {NAME: unannounced()}


def test_a_submission_that_is_denied_for_seconds_is_found() -> None:
    seen = DoubtfulStore(RememberingStore(store_with(BIRDS)))
    seen.deny(15.0)
    assert found(seen) == {NAME: unannounced()}


def test_a_submission_that_stays_away_is_left_out_until_it_is_found_late() -> None:
    boats = submission("boats")
    seen = DoubtfulStore(RememberingStore(store_with(BIRDS, boats)))
    seen.deny(1e9, lambda key: key == BIRDS.key)
    first = recovered(seen, [])
    assert [entry.submission_id for entry in first.tickets] == [boats.submission_id]
    assert first.missing == {NAME: WRITTEN_AT}
    assert found_late(seen, first.missing) == Recovered(tickets=[], missing=first.missing)
    seen.deny(0.0)
    assert found_late(seen, first.missing) == Recovered(tickets=[unannounced()])


def test_what_is_found_late_and_damaged_is_left_out_for_good() -> None:
    store = MemoryStore()
    store.put(BIRDS.key, b"damaged")
    assert found_late(store, {NAME: 1.0, "gone-000000000000": 1.0}) == Recovered(
        tickets=[], missing={"gone-000000000000": 1.0}
    )
