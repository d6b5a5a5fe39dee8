"""Who coordinates: one system at a time, and nobody who was deposed goes on believing it."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from adapters.contract.canonical import digest_of
from adapters.errors import (
    ConflictError,
    CorruptionError,
    MissingError,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.fakes.faulty import OvertakenStore
from workers.queue.leadership import (
    KEY,
    MOST_AHEAD_S,
    Leadership,
    read_leadership,
    release_leadership,
    renew_leadership,
    take_leadership,
)
from workers.queue.ledger import Ledger
from workers.store import MemoryStore, ObjectStore
from workers.store.race import race
from workers.store.testing import CrashError, Fault, FaultyStore, WrappedStore, fault_at

TTL_S = 15.0
RACERS = 8


def take(store: ObjectStore, owner: str = "anna", *, now: float = 100.0) -> Leadership:
    return take_leadership(store, owner=owner, host=f"{owner}'s host", ttl_s=TTL_S, now=now)


def renew(store: ObjectStore, lead: Leadership, *, now: float) -> Leadership:
    return renew_leadership(store, lead, ttl_s=TTL_S, now=now)


def test_nobody_leads_before_somebody_has_taken_the_lead() -> None:
    store = MemoryStore()
    assert read_leadership(store) is None
    lead = take(store)
    assert (lead.owner, lead.epoch, lead.since, lead.expires) == ("anna", 1, 100.0, 115.0)
    assert read_leadership(store) == lead


def test_another_system_is_refused_and_told_who_leads_and_for_how_long() -> None:
    store = MemoryStore()
    lead = take(store)
    with pytest.raises(ConflictError, match=r"system on \"anna's host\" for another 5 s") as caught:
        take(store, "ben", now=110.0)
    assert caught.value.fields == {"owner": "anna", "host": "anna's host"}
    assert read_leadership(store) == lead


def test_another_system_takes_over_when_the_lead_has_run_out() -> None:
    store = MemoryStore()
    take(store)
    taken = take(store, "ben", now=115.0)
    assert (taken.owner, taken.epoch) == ("ben", 2)
    with pytest.raises(ConflictError, match="ben's host"):
        take(store, "anna", now=116.0)


def test_of_two_coordinators_of_one_system_the_one_that_was_started_last_leads() -> None:
    store = MemoryStore()
    before = take(store)
    after = take(store, now=101.0)
    assert (after.owner, after.epoch) == ("anna", 2)
    again = partial(take_leadership, store, owner="anna", host="anna's host", ttl_s=TTL_S)
    with pytest.raises(ConflictError, match="this one waits"):
        again(now=102.0, had=before.epoch)
    assert again(now=103.0, had=after.epoch).epoch == 3  # it had it last, and lost it since
    assert again(now=120.0, had=before.epoch).epoch == 4  # the other one is gone


@pytest.mark.parametrize("expires", [5e9, 1e308])
def test_a_lead_of_a_clock_that_was_years_ahead_keeps_nobody_from_taking_over(
    expires: float,
) -> None:
    store = MemoryStore()
    take(store, now=expires)
    taken = take(store, "ben", now=100.0)
    assert (taken.owner, taken.epoch, taken.expires) == ("ben", 2, 115.0)


def test_the_longest_lead_that_is_believed_keeps_others_away() -> None:
    lead = replace(take(MemoryStore()), expires=100.0 + MOST_AHEAD_S)
    assert lead.lasts(now=100.0)
    assert not lead.lasts(now=99.0)
    assert not lead.lasts(now=lead.expires)


def test_a_lead_that_was_renewed_has_not_run_out() -> None:
    store = MemoryStore()
    lead = renew(store, take(store), now=112.0)
    assert (lead.expires, lead.epoch, lead.since) == (127.0, 1, 100.0)
    with pytest.raises(ConflictError, match="for another 12 s"):
        take(store, "ben", now=115.0)


def test_a_lead_that_has_run_out_can_be_renewed_while_nobody_wants_it() -> None:
    store = MemoryStore()
    assert renew(store, take(store), now=1_000.0).expires == 1_015.0


def test_the_same_system_takes_the_lead_anew_at_once_under_a_higher_epoch() -> None:
    store = MemoryStore()
    before = take(store)
    after = take(store, now=101.0)
    assert (after.epoch, after.since) == (2, 101.0)
    with pytest.raises(ConflictError, match='expected epoch 1, found "anna\'s host", epoch 2'):
        renew(store, before, now=102.0)


def test_a_lead_that_was_taken_over_cannot_be_renewed() -> None:
    store = MemoryStore()
    lead = take(store)
    taken = take(store, "ben", now=200.0)
    with pytest.raises(ConflictError, match=r"taken over.*this coordinator steps back") as caught:
        renew(store, lead, now=201.0)
    assert caught.value.fields == {"epoch": 1}
    assert read_leadership(store) == taken


def test_a_lead_that_was_removed_is_not_renewed_and_nobody_else_is_said_to_have_it() -> None:
    store = MemoryStore()
    lead = take(store)
    store.delete(KEY)
    with pytest.raises(MissingError, match="this process has read it before"):
        renew(store, lead, now=101.0)
    with pytest.raises(ConflictError, match="expected epoch 1, found nobody"):
        renew(WrappedStore(store), lead, now=101.0)


def test_who_lets_go_lets_another_system_take_over_at_once() -> None:
    store = MemoryStore()
    release_leadership(store, take(store))
    assert take(store, "ben", now=100.1).epoch == 2


def test_who_was_deposed_cannot_let_go_what_is_not_its_own() -> None:
    store = MemoryStore()
    lead = take(store)
    taken = take(store, "ben", now=200.0)
    release_leadership(store, lead)
    assert read_leadership(store) == taken


def test_what_is_paused_outlives_whoever_leads() -> None:
    store = MemoryStore()
    lead = take(store)
    assert renew(store, replace(lead, paused=("birds",)), now=101.0).paused == ("birds",)
    assert take(store, now=102.0).paused == ("birds",)
    assert take(store, "ben", now=300.0).paused == ("birds",)


def test_what_a_system_was_configured_with_is_there_as_long_as_it_leads() -> None:
    store, said = MemoryStore(), {"retention": {"days": 3}}
    lead = take_leadership(store, owner="anna", host="a", ttl_s=10.0, now=1.0, configuration=said)
    assert b"configuration" in store.get(KEY).data
    renew(store, lead, now=2.0)
    found = read_leadership(store)
    assert found is not None
    assert found.configuration == said
    # the next one says what it has been started with itself, or nothing
    assert take(store, "anna", now=3.0).configuration is None
    assert b"configuration" not in store.get(KEY).data


def test_of_many_systems_one_takes_the_lead() -> None:
    store = MemoryStore()
    assert race(lambda number: take(store, f"system {number}"), RACERS) == 1


def test_starts_of_one_system_in_one_instant_have_epochs_of_their_own() -> None:
    store, epochs = MemoryStore(), list[int]()
    assert race(lambda _: epochs.append(take(store).epoch), RACERS) == RACERS
    assert sorted(epochs) == list(range(1, RACERS + 1))


def test_who_loses_the_race_to_a_twin_takes_the_lead_from_it() -> None:
    """Both would write the same bytes, at the same time and for the same system."""
    store = MemoryStore()
    twins: list[Leadership] = []
    mine = take(OvertakenStore(store, KEY, lambda: twins.append(take(store))))
    assert (twins[0].epoch, mine.epoch) == (1, 2)


def test_a_race_that_is_lost_is_decided_on_what_the_winner_wrote() -> None:
    store = MemoryStore()
    lead = take(store)
    with pytest.raises(ConflictError, match="ben's host"):
        take(OvertakenStore(store, KEY, lambda: take(store, "ben", now=200.0)), "carl", now=200.0)
    seen = read_leadership(store)
    assert seen is not None
    assert (seen.owner, seen.epoch) == ("ben", lead.epoch + 1)


Step = Callable[[ObjectStore, Leadership], object]
STEPS: dict[str, tuple[Step, float, bool]] = {
    # what is done at which time, and whether anna leads afterwards
    "take": (lambda store, _: take(store, now=101.0), 101.0, True),
    "renew": (lambda store, lead: renew(store, lead, now=101.0), 101.0, True),
    "release": (release_leadership, 101.0, False),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
def test_whichever_operation_fails_or_loses_its_answer_once_doing_it_again_is_enough(
    name: str, fault: Fault
) -> None:
    step, now, leads = STEPS[name]
    faults = 0
    for number in range(100):
        store = MemoryStore()
        lead = take(store)
        faulty = FaultyStore(store, fault_at(number, fault))
        try:
            step(faulty, lead)
        except UnavailableError:
            faults += 1
            step(store, lead)
        if faulty.count <= number:
            break
        found = read_leadership(store)
        assert found is not None
        assert (found.owner == "anna" and found.expires > now) == leads
    assert faults >= 1


@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
@pytest.mark.parametrize("number", range(2))
def test_after_a_crash_the_next_start_leads_under_a_higher_epoch(number: int, fault: Fault) -> None:
    store = MemoryStore()
    take(store)
    with pytest.raises(CrashError):
        take(FaultyStore(store, fault_at(number, fault)), now=101.0)
    left = read_leadership(store)
    assert left is not None
    assert take(store, now=102.0).epoch == left.epoch + 1


@pytest.mark.parametrize("lose", range(1, 4))
def test_an_answer_that_is_lost_again_and_again_is_looked_up(lose: int) -> None:
    store = MemoryStore()
    lost: list[str] = []

    def script(_number: int, operation: str, _key: str) -> Fault | None:
        if operation in ("create", "replace") and len(lost) < lose:
            lost.append(operation)
            return Fault.LOSE_ANSWER
        return None

    lead = take(FaultyStore(store, script))
    assert read_leadership(store) == lead
    assert lead.epoch == 1


DAMAGES = [
    b"",
    b"null",
    b"{}",
    # its digest does not fit
    Leadership(owner="a", host="h", epoch=1, expires=1.0, since=0.0).to_bytes().replace(b"h", b"g"),
]


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_lead_is_named_and_nobody_takes_it(content: bytes) -> None:
    """Its epoch is not known any more, and a lower one than before could change nothing."""
    store = MemoryStore()
    lead = take(store)
    store.put(KEY, content)
    steps: list[Callable[[], object]] = [
        lambda: read_leadership(store),
        lambda: take(store, "ben", now=1_000.0),
        lambda: renew(store, lead, now=101.0),
    ]
    for step in steps:
        with pytest.raises(CorruptionError, match=r"queue/lead\.json"):
            step()
    assert store.get(KEY).data == content


def test_no_two_renewals_are_written_alike() -> None:
    store = MemoryStore()
    lead, seen = take(store), set[bytes]()
    for _ in range(3):
        lead = renew(store, lead, now=101.0)
        seen.add(store.get(KEY).data)
    assert len(seen) == 3


def test_the_beat_grows_by_one_with_every_change_and_each_lead_names_the_one_before() -> None:
    store, seen = MemoryStore(), list[bytes]()

    def noted(lead: Leadership) -> Leadership:
        seen.append(store.get(KEY).data)
        return lead

    noted(renew(store, noted(take(store)), now=101.0))
    lead = noted(take(store, now=102.0))
    release_leadership(store, lead)
    noted(lead)
    noted(take(store, "ben", now=103.0))
    leads = [json.loads(data) for data in seen]
    assert [entry["beat"] for entry in leads] == [1, 2, 3, 4, 5]
    assert [entry["epoch"] for entry in leads] == [1, 1, 2, 2, 3]
    assert [entry.get("before", "") for entry in leads] == ["", *map(digest_of, seen[:-1])]


def test_a_lead_of_the_first_days_is_read_and_followed_by_one_with_a_serial() -> None:
    store = MemoryStore()
    old = Leadership(owner="ben", host="h", epoch=3, expires=1.0, since=0.0, beat=41)
    store.put(KEY, old.to_bytes())
    assert b"before" not in store.get(KEY).data
    assert read_leadership(store) == old
    lead = take(store)
    assert (lead.epoch, lead.beat, lead.serial) == (4, 42, 42)


def test_a_write_that_was_seen_and_not_acknowledged_is_written_again_over_itself() -> None:
    written: list[bytes] = []

    class Unheard(WrappedStore):
        """Does not say twice that it has written."""

        def replace(self, key: str, data: bytes, expected_etag: str) -> str:
            written.append(data)
            etag = self.inner.replace(key, data, expected_etag)
            if len(written) < 3:
                raise UnknownOutcomeError("the answer was lost")
            return etag

    store = MemoryStore()
    lead = renew(Unheard(store), take(store), now=101.0)
    assert written == [lead.to_bytes()] * 3


def test_a_lead_from_before_deposes_nobody_and_is_written_over() -> None:
    store = MemoryStore()
    take(store, "ben", now=10.0)
    before = store.get(KEY).data
    lead = renew(store, take(store), now=101.0)
    store.put(KEY, before)  # what was acknowledged is gone
    again = renew(store, lead, now=102.0)
    assert (again.owner, again.epoch, again.beat) == ("anna", lead.epoch, lead.beat + 1)
    assert read_leadership(WrappedStore(store)) == again


def test_whoever_looks_does_not_go_back_behind_the_lead_that_it_has_seen() -> None:
    store = RememberingStore(MemoryStore())
    lead = renew(store, take(store), now=101.0)
    looking = DoubtfulStore(store, old=lambda key: key == KEY)
    assert [read_leadership(looking) for _ in range(4)] == [lead] * 4
    assert looking.went_back == [KEY] * 2


def test_a_lead_that_is_denied_for_seconds_is_neither_nobodys_nor_begun_anew() -> None:
    store = RememberingStore(MemoryStore())
    lead = take(store)
    Ledger(store, lead)
    seen = DoubtfulStore(store)
    seen.deny(2.0)
    assert read_leadership(seen) == lead
    seen = DoubtfulStore(store)
    seen.deny(2.0)
    assert take(seen, "ben", now=200.0).epoch == lead.epoch + 1


def test_that_nobody_leads_is_answered_at_once() -> None:
    seen = DoubtfulStore(RememberingStore(MemoryStore()))
    assert read_leadership(seen) is None
    assert seen.slept_s == 0.0


def test_a_lead_that_stays_away_is_missing_and_said_to_be_so() -> None:
    store = RememberingStore(MemoryStore())
    seen = DoubtfulStore(store)
    lead = take(seen)
    seen.deny(1e9)
    with pytest.raises(MissingError, match=r"lead.json' is missing .*asked 6 times in 3 s"):
        renew(seen, lead, now=101.0)


def test_a_store_that_refuses_every_change_of_what_it_answers_is_not_asked_for_ever() -> None:
    class Deaf(DoubtfulStore):
        def replace(self, key: str, data: bytes, expected_etag: str) -> str:
            raise ConflictError(f"{key!r} is not as expected: {expected_etag} ({len(data)})")

    store = RememberingStore(MemoryStore())
    lead = take(store)
    with pytest.raises(UnavailableError, match="refused 40 changes in a row"):
        renew(Deaf(store), lead, now=101.0)
