"""Which submissions are the same: what the id knows, and generations of one content."""

from dataclasses import replace

import pytest

from adapters.errors import InputError
from tests.workers.tasks.test_submission import SUBMISSION
from workers.intake.identity import check_fits, find_generation, identify, write
from workers.store import MemoryStore
from workers.tasks.submission import (
    Shard,
    Split,
    Submission,
    read_submission,
    submission_from_bytes,
)
from workers.tasks.task import Task

TASK = Task(
    name="fruit",
    images={},
    classes={"a": "an apple", "p": "a pear"},
    prompt="a photo of {}.",
    settings={"steps": 20, "text": "none"},
    seed=7,
    augmentation="crop",
)
Images = list[tuple[Split, str, int]]
IMAGES: Images = [("train", "1" * 64, 0), ("train", "2" * 64, 1), ("held_out", "3" * 64, 1)]

MATTERS: list[tuple[str, object]] = [
    ("name", "vegetables"),
    ("adapter", "canary"),
    ("classes", {"a": "an apple"}),
    # only a readable name, only the order of the indices differs
    ("classes", {"a": "an apple", "p": "a quince"}),
    ("classes", {"p": "a pear", "a": "an apple"}),
    ("prompt", "a drawing of {}."),
    ("settings", {"steps": 21, "text": "none"}),
    ("settings", {}),
    ("seed", 8),
    ("augmentation", "crop-mirror"),
    ("replaces", "fruit"),
    ("shared_names", "merge"),
    ("qualifier", "food"),
]


@pytest.mark.parametrize(("key", "value"), MATTERS)
def test_the_id_changes_with_everything_that_changes_what_is_learnt(
    key: str, value: object
) -> None:
    assert identify(replace(TASK, **{key: value}), IMAGES) != identify(TASK, IMAGES)  # type: ignore[arg-type]


OTHER_IMAGES: list[Images] = [
    IMAGES[:2],
    # another image, another label, learnt from instead of measured on
    [*IMAGES[:2], ("held_out", "4" * 64, 1)],
    [("train", "1" * 64, 1), *IMAGES[1:]],
    [*IMAGES[:2], ("train", "3" * 64, 1)],
]


@pytest.mark.parametrize("images", OTHER_IMAGES)
def test_the_id_changes_with_the_images(images: Images) -> None:
    assert identify(TASK, images) != identify(TASK, IMAGES)


INDIFFERENT: list[tuple[str, object]] = [
    ("priority", 5),
    ("skip_unreadable", 0.5),
    # the order in which settings were written
    ("settings", {"text": "none", "steps": 20}),
]


@pytest.mark.parametrize(("key", "value"), INDIFFERENT)
def test_the_id_stays_where_the_same_is_learnt(key: str, value: object) -> None:
    assert identify(replace(TASK, **{key: value}), IMAGES[::-1]) == identify(TASK, IMAGES)  # type: ignore[arg-type]


def test_the_id_is_the_tasks_name_and_twelve_digits_and_later_the_generation() -> None:
    name, _, digits = identify(TASK, IMAGES).rpartition("-")
    assert name == "fruit"
    assert len(digits) == 12
    assert set(digits) <= set("0123456789abcdef")
    assert identify(TASK, IMAGES, generation=2) == f"fruit-{digits}-2"


def written(store: MemoryStore, *, ended: set[str]) -> tuple[Submission, bool]:
    return write(store, SUBMISSION, "fruit-1", reusable=lambda each: each not in ended)


def test_an_open_submission_is_found_again_and_an_ended_one_is_followed_by_the_next() -> None:
    store, ended = MemoryStore(), set[str]()
    found = []
    for _ in range(3):
        first, again = written(store, ended=ended), written(store, ended=ended)
        assert (first[1], again[1]) == (True, False)
        assert first[0] == again[0] == read_submission(store, first[0].submission_id)
        found.append((first[0].submission_id, first[0].generation))
        ended.add(first[0].submission_id)
    assert found == [("fruit-1", 1), ("fruit-1-2", 2), ("fruit-1-3", 3)]


def test_a_generation_that_is_needed_again_is_found_before_a_new_one_is_opened() -> None:
    store = MemoryStore()
    for ended in (set[str](), {"fruit-1"}):
        written(store, ended=ended)
    # Somebody rolled back: the task of the first generation is in `head` again.
    found = find_generation(store, "fruit-1", reusable=lambda each: each == "fruit-1")
    assert found.stored is not None
    assert found.stored.generation == 1


class OvertakenStore(MemoryStore):
    """Others write the first two generations just before this writer does."""

    def create(self, key: str, data: bytes) -> str:
        theirs = replace(submission_from_bytes(data, "it"), author="ben")
        if theirs.generation <= 2:
            super().put(key, theirs.to_bytes())
        return super().create(key, data)


def test_of_two_writers_at_once_both_get_the_same_submission() -> None:
    store = OvertakenStore()
    found, is_new = written(store, ended=set())
    assert (found.author, found.generation, is_new) == ("ben", 1, False)
    # Where what the others wrote has ended by then, this writer goes on to the next.
    store = OvertakenStore()
    found, is_new = written(store, ended={"fruit-1", "fruit-1-2"})
    assert (found.author, found.submission_id, is_new) == ("anna", "fruit-1-3", True)


def test_a_task_of_more_images_than_a_submission_holds_is_refused_by_their_number() -> None:
    images = 70_000
    shard = Shard(
        digest="0" * 64,
        size=1,
        split="train",
        labels=(7,) * images,
        image_digests=("a" * 64,) * images,
    )
    check_fits(replace(SUBMISSION, shards=(replace(shard, labels=(7,), image_digests=("a",)),)))
    with pytest.raises(InputError, match="has 70000 images; a submission holds about 6"):
        check_fits(replace(SUBMISSION, shards=(shard,)))
