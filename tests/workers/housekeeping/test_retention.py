"""Retention: what is removed some days after a submission has ended, and what always stays."""

from dataclasses import replace

import pytest
import torch

from tests.support.scenes.submissions import submission, written
from workers.access.audit import AuditEntry, read_audit, write_entry
from workers.encoding.blocks import FEATURES, block_key, has_block
from workers.encoding.features import write_block
from workers.housekeeping.retention import (
    DAY_S,
    Retention,
    remove_all_expired,
    remove_expired,
)
from workers.queue.leadership import take_leadership
from workers.queue.ledger import Ledger, outcome_bytes, state_key
from workers.queue.progress import ticket_of
from workers.queue.ticket import ENDED, Stage
from workers.store import MemoryStore
from workers.store.blobs import BlobRef, blob_key, put_blob
from workers.store.testing import RecordingStore
from workers.tasks.submission import PREFIX, SHARDS, Shard, Split, Submission

FINGERPRINT = "f" * 32
NOW = 100 * DAY_S
WEEK = Retention(days=7.0)
VIEWS: dict[Split, str] = {"train": "4-crop", "held_out": "1"}


class Attic:
    """A store whose objects were written when a test says so.

    Attributes:
        store: The store.
        at: When what is written now is written, in seconds since the epoch.
    """

    # Owns: the store and the time.

    def __init__(self) -> None:
        self.at = NOW - 30 * DAY_S
        self.store = MemoryStore(clock=lambda: self.at)

    def shard(self, content: str, split: Split = "train") -> Shard:
        """Store a shard with its features, as if one image were in it."""
        ref = put_blob(self.store, content.encode(), prefix=SHARDS)
        found = Shard(
            digest=ref.sha256, size=ref.size, split=split, labels=(0,), image_digests=(content,)
        )
        self.embed(found)
        return found

    def embed(self, shard: Shard) -> None:
        """Store the features of a shard."""
        value = float(int(shard.digest[:8], 16))
        write_block(self.store, self.block(shard), torch.full((1, 1, 4), value))

    def submit(self, task: str, *shards: Shard) -> Submission:
        """Make a submission durable."""
        return written(self.store, replace(submission(task), shards=shards))

    def end(self, entry: Submission, *, days_ago: float, stage: Stage = Stage.PUBLISHED) -> None:
        """Write down how a submission has ended."""
        ticket = replace(ticket_of(entry), stage=stage, since=NOW - days_ago * DAY_S)
        self.store.put(state_key(entry.submission_id), outcome_bytes(ticket))

    def block(self, shard: Shard) -> str:
        """Return where the features of a shard are named."""
        return block_key(FINGERPRINT, VIEWS[shard.split], shard)

    def has_images(self, shard: Shard) -> bool:
        """Return whether a shard is there."""
        key = blob_key(BlobRef(sha256=shard.digest, size=shard.size), SHARDS)
        return key in {entry.key for entry in self.store.list(SHARDS)}

    def has_features(self, shard: Shard) -> bool:
        """Return whether the features of a shard are there."""
        return has_block(self.store, self.block(shard))

    def stored(self) -> set[str]:
        """Return the keys of everything."""
        return {entry.key for entry in self.store.list("")}


def names(*entries: Submission) -> list[str]:
    return sorted(entry.submission_id for entry in entries)


@pytest.mark.parametrize("stage", sorted(ENDED))
def test_images_and_training_features_go_and_everything_else_stays(stage: Stage) -> None:
    attic = Attic()
    train, held_out = attic.shard("robin"), attic.shard("wren", "held_out")
    birds = attic.submit("birds", train, held_out)
    attic.end(birds, days_ago=8, stage=stage)
    before = attic.stored()
    assert remove_expired(attic.store, WEEK, now=NOW) == names(birds)
    assert not (attic.has_images(train) or attic.has_images(held_out))
    assert (attic.has_features(train), attic.has_features(held_out)) == (False, True)
    gone = before - attic.stored()
    assert len(gone) == 4  # two shards, and the training features: what names them, and their bytes
    assert {key for key in gone if not key.startswith((SHARDS, FEATURES))} == set()


DUE = [
    # days since it ended, days that things are kept, whether they go
    (7.1, 7.0, True),
    (6.9, 7.0, False),
    (0.1, 0.0, True),
    (1000.0, None, False),
]


@pytest.mark.parametrize(("days_ago", "kept", "goes"), DUE)
def test_everything_stays_for_as_long_as_the_configuration_says(
    days_ago: float, kept: float | None, goes: bool
) -> None:
    attic = Attic()
    train = attic.shard("robin")
    birds = attic.submit("birds", train)
    attic.end(birds, days_ago=days_ago)
    assert remove_expired(attic.store, Retention(days=kept), now=NOW) == (
        names(birds) if goes else []
    )
    assert attic.has_images(train) is attic.has_features(train) is not goes


AUDITED = [
    # days that the audit log is kept, the ages of the entries that stay
    (30.0, [0, 29]),
    (365.0, [0, 29, 31, 60]),
    (None, [0, 29, 31, 60]),
]


@pytest.mark.parametrize(("kept", "stay"), AUDITED)
def test_the_audit_log_stays_for_as_long_as_the_configuration_says(
    kept: float | None, stay: list[int]
) -> None:
    store = MemoryStore()
    entry = AuditEntry(at=NOW, who="anna", road="cli", verb="pause")
    for days in (0, 29, 31, 60):
        write_entry(store, replace(entry, at=NOW - days * DAY_S))
    retention = Retention(days=None, audit_days=kept)
    assert remove_all_expired(store, retention, now=NOW) == []
    found = read_audit(store, now=NOW, days=90)
    assert [round((NOW - each.at) / DAY_S) for each in found] == stay


def test_what_has_not_ended_stays_however_old_it_is() -> None:
    attic = Attic()
    attic.submit("birds", attic.shard("robin"))
    before = attic.stored()
    assert remove_expired(attic.store, WEEK, now=NOW) == []
    assert attic.stored() == before


OTHERS: list[float | None] = [
    # days since another submission with the same images ended: not yet, or lately
    None,
    3.0,
]


@pytest.mark.parametrize("days_ago", OTHERS)
@pytest.mark.parametrize("split", ["train", "held_out"])
def test_what_another_submission_needs_stays(days_ago: float | None, split: Split) -> None:
    attic = Attic()
    shared, own = attic.shard("robin"), attic.shard("wren")
    birds = attic.submit("birds", shared, own)
    other = attic.submit("garden", replace(shared, split=split))
    attic.end(birds, days_ago=8)
    if days_ago is not None:
        attic.end(other, days_ago=days_ago)
    assert remove_expired(attic.store, WEEK, now=NOW) == names(birds)
    assert (attic.has_images(shared), attic.has_features(shared)) == (True, True)
    assert (attic.has_images(own), attic.has_features(own)) == (False, False)


def test_what_two_submissions_share_goes_with_the_later_one() -> None:
    attic = Attic()
    shared = attic.shard("robin")
    birds, garden = attic.submit("birds", shared), attic.submit("garden", shared)
    attic.end(birds, days_ago=8)
    attic.end(garden, days_ago=3)
    assert remove_expired(attic.store, WEEK, now=NOW) == names(birds)
    assert remove_expired(attic.store, WEEK, now=NOW + 5 * DAY_S) == names(garden)
    assert not attic.has_images(shared)


def test_what_one_learnt_from_and_another_is_measured_on_stays_to_be_measured_on() -> None:
    """Both with one view, so that both have one block."""
    attic = Attic()
    for number in range(10):
        measured = attic.shard(f"robin {number}", "held_out")
        learnt = replace(measured, split="train")
        for task, shard in ((f"birds-{number}", measured), (f"garden-{number}", learnt)):
            attic.end(attic.submit(task, shard), days_ago=8)
    features = {key for key in attic.stored() if key.startswith(FEATURES)}
    assert len(remove_expired(attic.store, WEEK, now=NOW)) == 20
    assert {key for key in attic.stored() if key.startswith((FEATURES, SHARDS))} == features


def test_shards_of_which_no_submission_has_been_written_yet_stay() -> None:
    """They go up again before the submission that names them, which somebody is about to write."""
    attic = Attic()
    shard = attic.shard("robin")
    birds = attic.submit("birds", shard)
    attic.end(birds, days_ago=8)
    attic.at = NOW - DAY_S / 2
    attic.shard("robin")
    assert remove_expired(attic.store, WEEK, now=NOW) == names(birds)
    assert (attic.has_images(shard), attic.has_features(shard)) == (True, True)


def test_a_submission_is_swept_once() -> None:
    attic = Attic()
    train = attic.shard("robin")
    attic.end(attic.submit("birds", train), days_ago=8)
    remove_expired(attic.store, WEEK, now=NOW)
    # Somebody submits the same images again: they are not the old submission's any more.
    attic.shard("robin")
    before = attic.stored()
    assert remove_expired(attic.store, WEEK, now=NOW) == []
    assert attic.stored() == before
    assert attic.has_images(train)


def test_a_sweep_that_breaks_off_is_made_again() -> None:
    """What says that it was done is written last."""
    store = RecordingStore((attic := Attic()).store)
    birds = attic.submit("birds", attic.shard("robin"))
    attic.end(birds, days_ago=8)
    remove_expired(store, WEEK, now=NOW)
    changes = [key for operation, key in store.keys if operation in ("put", "delete")]
    assert changes[-1] == f"{PREFIX}{birds.submission_id}/swept.json"
    assert len(changes) == 4


def test_where_nothing_is_due_no_submission_is_read() -> None:
    store = RecordingStore((attic := Attic()).store)
    for number in range(5):
        entry = attic.submit(f"task-{number}", attic.shard(f"robin {number}"))
        attic.end(entry, days_ago=3)
    remove_expired(store, WEEK, now=NOW)
    assert not [key for _, key in store.keys if key.endswith("submission.json")]


@pytest.mark.parametrize("content", [b"", b"null", b'{"schema": 1, "ticket": {}}'])
def test_where_nobody_knows_how_it_ended_everything_stays(content: bytes) -> None:
    attic = Attic()
    train = attic.shard("robin")
    birds = attic.submit("birds", train)
    attic.store.put(state_key(birds.submission_id), content)
    assert remove_expired(attic.store, WEEK, now=NOW) == []
    assert attic.has_images(train)


def test_what_failed_long_ago_and_is_learnt_again_keeps_its_images() -> None:
    attic = Attic()
    train = attic.shard("robin")
    birds = attic.submit("birds", train)
    attic.end(birds, days_ago=8, stage=Stage.FAILED)
    lead = take_leadership(attic.store, owner="anna", host="here", ttl_s=15, now=NOW)
    again = replace(ticket_of(birds), stage=Stage.TRAINING, round=2, since=NOW - DAY_S)
    Ledger(attic.store, lead).save([again], now=NOW)
    assert remove_expired(attic.store, WEEK, now=NOW) == []
    assert (attic.has_images(train), attic.has_features(train)) == (True, True)


def test_what_is_learnt_again_although_it_was_swept_keeps_the_images_of_another_one() -> None:
    attic = Attic()
    train = attic.shard("robin")
    birds = attic.submit("birds", train)
    attic.end(birds, days_ago=20, stage=Stage.FAILED)
    remove_expired(attic.store, WEEK, now=NOW - 10 * DAY_S)
    garden = attic.submit("garden", attic.shard("robin"))
    attic.end(garden, days_ago=8)
    lead = take_leadership(attic.store, owner="anna", host="here", ttl_s=15, now=NOW)
    again = replace(ticket_of(birds), stage=Stage.WAITING, round=2, since=NOW)
    Ledger(attic.store, lead).save([again], now=NOW)
    assert remove_expired(attic.store, WEEK, now=NOW) == names(garden)
    assert attic.has_images(train)
