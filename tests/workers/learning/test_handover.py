"""What stages hand to each other: kept apart by parent, checked, and removed in the end."""

import pytest

from adapters.errors import CorruptionError, NotFoundError
from workers.learning.handover import (
    checkpoint_key,
    hand_over,
    handover_key,
    is_handed_over,
    remove_work,
    take_over,
)
from workers.store import MemoryStore

KEY = handover_key("fruit-1", 0, "learnt")


@pytest.mark.parametrize("content", [b"learnt", b"", bytes(100_000)])
def test_what_was_handed_over_is_taken_over(content: bytes) -> None:
    store = MemoryStore()
    hand_over(store, KEY, content)
    assert take_over(store, KEY) == content
    assert is_handed_over(store, KEY)


def test_what_was_learnt_on_one_version_is_not_taken_for_another() -> None:
    store = MemoryStore()
    hand_over(store, handover_key("fruit-1", 1, "learnt"), b"on version 1")
    hand_over(store, handover_key("fruit-1", 2, "learnt"), b"on version 2")
    assert take_over(store, handover_key("fruit-1", 1, "learnt")) == b"on version 1"
    assert take_over(store, handover_key("fruit-1", 2, "learnt")) == b"on version 2"
    assert not is_handed_over(store, KEY)


def test_what_is_handed_over_again_counts() -> None:
    store = MemoryStore()
    for content in (b"step 200", b"step 400"):
        hand_over(store, checkpoint_key("fruit-1"), content)
    assert take_over(store, checkpoint_key("fruit-1")) == b"step 400"


def test_a_stage_that_has_not_finished_has_handed_nothing_over() -> None:
    store = MemoryStore()
    assert not is_handed_over(store, KEY)
    with pytest.raises(NotFoundError):
        take_over(store, KEY)


DAMAGES = [
    b"",
    b"short",
    # one bit, the last byte, one byte more
    b"burnt!",
    b"learn",
    b"learnt!",
]


@pytest.mark.parametrize("content", DAMAGES)
def test_damaged_content_is_noticed_and_is_not_there(content: bytes) -> None:
    store = MemoryStore()
    hand_over(store, KEY, b"learnt")
    digest = store.get(KEY).data[:32]
    store.put(KEY, content if len(content) < 6 else digest + content)
    assert not is_handed_over(store, KEY)
    with pytest.raises(CorruptionError, match=r"is damaged; it is made again"):
        take_over(store, KEY)


def test_stages_parents_and_submissions_do_not_share_a_key() -> None:
    keys = {
        *(
            handover_key(name, parent, stage)
            for name in ("a-1", "b-1")
            for parent in (0, 1, 11)
            for stage in ("learnt", "record")
        ),
        *(checkpoint_key(name) for name in ("a-1", "b-1")),
    }
    assert len(keys) == 14


def test_everything_of_a_submission_is_removed_and_nothing_else() -> None:
    store = MemoryStore()
    kept = [handover_key("fruit-12", 0, "learnt"), checkpoint_key("fru")]
    mine = [KEY, handover_key("fruit-1", 3, "record"), checkpoint_key("fruit-1")]
    for key in (*kept, *mine):
        hand_over(store, key, b"x")
    remove_work(store, "fruit-1")
    assert sorted(entry.key for entry in store.list("")) == sorted(kept)
    remove_work(store, "fruit-1")
