"""What happened to a submission: one event each, in order, and as a sentence."""

from dataclasses import replace

import pytest

from adapters.errors import CorruptionError
from tests.support.scenes.queue import ticket
from workers.queue.journal import PREFIX, JournalEntry, entry_of, read_journal, write_entry
from workers.queue.ticket import Cause, Failure, Stage, Ticket
from workers.store import MemoryStore

BEFORE = replace(ticket("birds", stage=Stage.WAITING), since=40.0)
LOST = Failure(stage=Stage.TRAINING, cause=Cause.LOSS, error="the node is gone", at=50.0)


def entry(at: float, message: str = "published", *, epoch: int = 1) -> JournalEntry:
    return JournalEntry(at=at, stage="published", message=message, epoch=epoch)


def test_events_are_read_in_their_order_whoever_wrote_them() -> None:
    store = MemoryStore()
    entries = [entry(9.5), entry(10.25, epoch=2), entry(100.0, epoch=2), entry(100.5, epoch=1)]
    for each in reversed(entries):
        write_entry(store, "birds", each)
    write_entry(store, "boats", entry(50.0))
    assert list(read_journal(store, "birds")) == entries


def test_an_event_that_is_written_twice_is_there_once() -> None:
    store = MemoryStore()
    for _ in range(2):
        write_entry(store, "birds", entry(5.0))
    assert len(list(read_journal(store, "birds"))) == 1


def test_two_coordinators_in_one_instant_write_two_events() -> None:
    store = MemoryStore()
    write_entry(store, "birds", entry(5.0, epoch=1))
    write_entry(store, "birds", entry(5.0, epoch=2))
    assert [each.epoch for each in read_journal(store, "birds")] == [1, 2]


def test_whoever_follows_gets_only_what_is_new() -> None:
    store = MemoryStore()
    for at in (1.0, 2.0, 3.0):
        write_entry(store, "birds", entry(at))
    assert [each.at for each in read_journal(store, "birds", after=2.0)] == [3.0]
    assert list(read_journal(store, "birds", after=3.0)) == []


def test_a_submission_of_which_nothing_is_known_has_no_events() -> None:
    assert list(read_journal(MemoryStore(), "birds")) == []


@pytest.mark.parametrize("content", [b"", b"null", b'{"schema": 1, "at": 5}'])
def test_a_damaged_event_is_told(content: bytes) -> None:
    store = MemoryStore()
    store.put(f"{PREFIX}birds/{5:020d}-1.json", content)
    with pytest.raises(CorruptionError, match="journal/birds"):
        list(read_journal(store, "birds"))


SAID: list[tuple[Ticket, str]] = [
    (replace(BEFORE, stage=Stage.ENCODING), "its images are being embedded"),
    (replace(BEFORE, stage=Stage.TRAINING), "is being learnt"),
    # the first of an adapter is learnt on none
    (replace(BEFORE, stage=Stage.TRAINING, parent=0), "is being learnt"),
    (replace(BEFORE, stage=Stage.TRAINING, parent=3), "is being learnt on version 3"),
    (
        replace(BEFORE, stage=Stage.COMPRESSING, parent=3),
        "learnt; its mixtures are being fitted",
    ),
    (replace(BEFORE, stage=Stage.PUBLISHED, version=4), "published as version 4"),
    (
        replace(BEFORE, stage=Stage.REJECTED, version=4, note="it forgets birds"),
        "refused by the gate as version 4: it forgets birds",
    ),
    (replace(BEFORE, stage=Stage.CANCELLED), "cancelled"),
    (
        replace(BEFORE, failures=(LOST,)),
        "training broke (loss): the node is gone; to be tried again",
    ),
    (
        replace(BEFORE, stage=Stage.FAILED, failures=(LOST,)),
        "training broke (loss): the node is gone; failed for good",
    ),
    (
        replace(BEFORE, stage=Stage.ACCEPTED, round=2),
        "to be tried again, as somebody asked",
    ),
]


@pytest.mark.parametrize(("after", "message"), SAID)
def test_every_change_is_said_in_a_sentence(after: Ticket, message: str) -> None:
    found = entry_of(BEFORE, after, now=50.0, epoch=7)
    assert (found.message, found.stage, found.epoch) == (message, after.stage.value, 7)
    assert (found.at, found.version) == (50.0, after.version)


def test_how_long_a_stage_took_is_told_when_it_ends() -> None:
    moved, stays = replace(BEFORE, stage=Stage.TRAINING), replace(BEFORE, not_before=60.0)
    assert entry_of(BEFORE, moved, now=50.0, epoch=1).took_s == 10.0
    assert entry_of(BEFORE, stays, now=50.0, epoch=1).took_s is None
