"""What stages hand to each other: the parent, and content that is checked."""

import pytest

from adapters.errors import CorruptionError, NotFoundError
from workers.store import MemoryStore
from workers.work import BLOBS, checkpoint_key, hand_over, handover_key, take_over

KEY = handover_key("fruit-1", "learnt")


@pytest.mark.parametrize("parent", [None, 1, 41])
def test_what_was_handed_over_is_taken_over(parent: int | None) -> None:
    store = MemoryStore()
    hand_over(store, KEY, parent=parent, content=b"learnt")
    assert take_over(store, KEY) == (parent, b"learnt")


def test_the_latest_attempt_counts() -> None:
    store = MemoryStore()
    hand_over(store, KEY, parent=1, content=b"on version 1")
    hand_over(store, KEY, parent=2, content=b"on version 2")
    assert take_over(store, KEY) == (2, b"on version 2")


def test_a_stage_that_has_not_finished_has_handed_nothing_over() -> None:
    with pytest.raises(NotFoundError):
        take_over(MemoryStore(), KEY)


def test_damaged_content_is_noticed() -> None:
    store = MemoryStore()
    hand_over(store, KEY, parent=None, content=b"learnt")
    (blob,) = store.list(BLOBS)
    store.put(blob.key, b"burnt!")
    with pytest.raises(CorruptionError, match="is damaged"):
        take_over(store, KEY)


def test_stages_and_submissions_do_not_share_a_key() -> None:
    keys = {
        *(handover_key(name, stage) for name in ("a-1", "b-1") for stage in ("learnt", "record")),
        *(checkpoint_key(name) for name in ("a-1", "b-1")),
    }
    assert len(keys) == 6
