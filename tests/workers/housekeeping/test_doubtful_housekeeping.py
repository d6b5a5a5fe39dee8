"""Housekeeping on a store that denies what it has: nothing that is needed is ever removed."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from adapters.errors import MissingError
from tests.support.fakes.doubtful_store import DoubtfulStore, FirstTime, RememberingStore
from tests.support.scenes.submissions import submission, written
from workers.encoding.blocks import FEATURES, block_key
from workers.encoding.features import write_block
from workers.housekeeping.leftovers import NEEDED, every_submission, needed_features, traces
from workers.housekeeping.retention import DAY_S, Retention, remove_expired
from workers.learning.handover import hand_over, handover_key
from workers.queue.leadership import take_leadership
from workers.queue.ledger import Ledger, outcome_bytes, state_key
from workers.queue.progress import ticket_of
from workers.queue.ticket import Stage
from workers.registry import collect_blobs
from workers.store import MemoryStore, ObjectStore
from workers.store.base import Listed
from workers.store.blobs import put_blob
from workers.store.testing import WrappedStore
from workers.tasks.submission import SHARDS, Shard, Submission, submission_key

NOW = 100 * DAY_S
WEEK = Retention(days=7.0)


def shard(store: RememberingStore, content: str) -> Shard:
    """Store a shard with its features."""
    ref = put_blob(store, content.encode(), prefix=SHARDS)
    found = Shard(
        digest=ref.sha256, size=ref.size, split="train", labels=(0,), image_digests=(content,)
    )
    value = float(int(found.digest[:8], 16))
    write_block(store, block_key("f" * 32, "1", found), torch.full((1, 1, 4), value))
    return found


class Shelf:
    """Two submissions that share a shard; one has ended, and one is learnt a second time.

    Attributes:
        store: The store, in which everything is old.
        ended: Ended eight days ago.
        again: Failed at first, and is open again.
    """

    # Owns: the store.

    def __init__(self) -> None:
        self.store = RememberingStore(MemoryStore(clock=lambda: NOW - 30 * DAY_S))
        shared, own = shard(self.store, "robin"), shard(self.store, "wren")
        self.ended = self._submitted("birds", shared, own)
        self.again = self._submitted("garden", shared)
        self._end(self.ended, Stage.PUBLISHED)
        self._end(self.again, Stage.FAILED)
        hand_over(self.store, handover_key(self.again.submission_id, 0, "learnt"), b"learnt")
        lead = take_leadership(self.store, owner="anna", host="", ttl_s=15.0, now=NOW)
        open_again = replace(ticket_of(self.again), stage=Stage.WAITING, round=2)
        Ledger(self.store, lead).save([open_again], now=NOW)

    def _submitted(self, task: str, *shards: Shard) -> Submission:
        return written(self.store, replace(submission(task), shards=shards))

    def _end(self, entry: Submission, stage: Stage) -> None:
        ticket = replace(ticket_of(entry), stage=stage, since=NOW - 8 * DAY_S)
        self.store.put(state_key(entry.submission_id), outcome_bytes(ticket))

    def stored(self) -> set[str]:
        """Return the keys of everything but what is noted of removals."""
        keys = {entry.key for entry in self.store.list("")}
        return {key for key in keys if not key.endswith("swept.json")}


def expire(store: DoubtfulStore) -> None:
    remove_expired(store, WEEK, now=NOW)


def collect(store: DoubtfulStore) -> None:
    for prefix, needed in NEEDED.items():
        collect_blobs(
            store,
            prefix,
            needed=lambda needed=needed: needed(store),  # type: ignore[misc]
            now=NOW,
            dry_run=False,
        )


REMOVALS: list[Callable[[DoubtfulStore], None]] = [expire, collect]


@pytest.mark.parametrize("remove", REMOVALS)
def test_what_is_denied_at_first_is_not_removed_for_that(
    remove: Callable[[DoubtfulStore], None],
) -> None:
    calm, shelf = Shelf(), Shelf()
    remove(DoubtfulStore(calm.store))
    seen = DoubtfulStore(shelf.store)
    seen.deny(1e9, FirstTime())
    remove(seen)
    assert shelf.stored() >= calm.stored()  # what is left over is found another time
    assert len(seen.denied) > 3


DENIED = [
    # what is removed, and what stays away meanwhile
    (expire, "submissions/garden-0123456789ab/submission.json"),
    (expire, "queue/pages/"),
    (collect, "submissions/garden-0123456789ab/submission.json"),
    (collect, FEATURES),
]


@pytest.mark.parametrize(("remove", "denied"), DENIED)
def test_while_something_stays_away_nothing_is_removed_that_it_may_need(
    remove: Callable[[DoubtfulStore], None], denied: str
) -> None:
    shelf = Shelf()
    before = shelf.stored()
    seen = DoubtfulStore(shelf.store)
    seen.deny(1e9, lambda key: key.startswith(denied))
    with pytest.raises(MissingError):
        remove(seen)
    assert shelf.stored() == before


def test_what_a_purge_would_share_is_known_although_it_is_denied_at_first() -> None:
    shelf = Shelf()
    expected = traces(DoubtfulStore(shelf.store), [shelf.ended.submission_id], purged=())
    seen = DoubtfulStore(shelf.store)
    seen.deny(1e9, FirstTime())
    assert traces(seen, [shelf.ended.submission_id], purged=()) == expected
    assert len(every_submission(seen)) == 2


def test_what_was_removed_since_it_was_listed_names_nothing() -> None:
    class Removing(DoubtfulStore):
        def before(self, operation: str, key: str) -> None:
            if operation == "get":
                self.inner.delete(key)

    store = Shelf().store
    assert needed_features(Removing(store)) == set()
    assert submission_key("birds-0123456789ab") in {entry.key for entry in store.list("")}


class ForgetfulStore(WrappedStore):
    """Lists nothing of a submission: pages of listings have been left out."""

    def __init__(self, inner: ObjectStore, forgotten: str) -> None:
        super().__init__(inner)
        self._forgotten = forgotten

    def list(self, prefix: str) -> Iterator[Listed]:
        return (entry for entry in super().list(prefix) if self._forgotten not in entry.key)


def test_what_a_listing_leaves_out_is_needed_as_long_as_the_queue_names_it() -> None:
    shelf = Shelf()
    store = ForgetfulStore(shelf.store, shelf.again.submission_id)
    assert shelf.again.submission_id in {entry.submission_id for entry in every_submission(store)}
    assert NEEDED[SHARDS](store) == NEEDED[SHARDS](shelf.store)
