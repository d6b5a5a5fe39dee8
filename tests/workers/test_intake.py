"""Taking a task in: everything or nothing, and the submission last."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import ImageError, UnavailableError
from workers.canonical import digest_of
from workers.intake import SHOWN_PROBLEMS, Intake, take_in
from workers.shards import unpack_shard
from workers.store import BlobRef, MemoryStore, ObjectStore, get_blob
from workers.store.wrappers import Fault, FaultyStore, RecordingStore, fault_at
from workers.submission import SHARDS, Split, Submission
from workers.task import Task, load_task

WriteTask = Callable[..., Path]


def taken_in(task: Task, store: ObjectStore, *, now: float = 1.0, author: str = "anna") -> Intake:
    return take_in(task, store, now=now, author=author)


def stored_images(store: ObjectStore, submission: Submission, split: Split) -> list[bytes]:
    found: list[bytes] = []
    for shard in submission.of_split(split):
        ref = BlobRef(sha256=shard.digest, size=shard.size)
        found += unpack_shard(get_blob(store, ref, prefix=SHARDS))
    return found


def keys(store: ObjectStore) -> list[str]:
    return [entry.key for entry in store.list("")]


def test_every_image_is_stored_under_its_class(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task(images=4))
    submission = taken_in(task, store).submission
    expected = [path.read_bytes() for paths in task.images.values() for path in paths]
    assert stored_images(store, submission, "train") == expected
    (shard,) = submission.of_split("train")
    assert shard.labels == (0, 0, 0, 0, 1, 1, 1, 1)
    assert list(shard.image_digests) == [digest_of(content) for content in expected]
    assert Submission.from_bytes(store.get(submission.key).data) == submission


def test_the_submission_is_written_last(write_task: WriteTask) -> None:
    store = RecordingStore(MemoryStore())
    submission = taken_in(load_task(write_task(images=10)), store).submission
    assert [operation for operation, _ in store.keys] == ["put", "put", "create"]
    assert store.keys[-1] == ("create", submission.key)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_intake_that_breaks_off_is_never_seen_and_can_be_made_again(
    write_task: WriteTask, number: int
) -> None:
    inner, task = MemoryStore(), load_task(write_task(images=10))
    with pytest.raises(UnavailableError):
        taken_in(task, FaultyStore(inner, fault_at(number, Fault.FAIL)))
    assert not list(inner.list("submissions/"))
    assert taken_in(task, inner).is_new


def test_nothing_is_stored_and_every_bad_image_is_named(write_task: WriteTask) -> None:
    store, path = MemoryStore(), write_task()
    folder = path.parent / "images"
    (folder / "red" / "0.png").write_bytes(b"")
    (folder / "red" / "3.png").write_bytes((folder / "red" / "3.png").read_bytes()[:50])
    (folder / "blue" / "5.png").write_text("not an image")
    with pytest.raises(ImageError, match="3 of the 12 images of task 'colors'") as caught:
        taken_in(load_task(path), store)
    for name in ("red/0.png", "red/3.png", "blue/5.png"):
        assert name in caught.value.message
    assert caught.value.fields["bad_images"] == 3
    assert keys(store) == []


def test_of_very_many_bad_images_some_are_shown_and_all_are_counted(write_task: WriteTask) -> None:
    path = write_task(images=SHOWN_PROBLEMS)
    for image in path.parent.glob("images/*/*.png"):
        image.write_bytes(b"")
    with pytest.raises(ImageError, match=f"and {SHOWN_PROBLEMS} more") as caught:
        taken_in(load_task(path), MemoryStore())
    assert caught.value.message.count("empty file") == SHOWN_PROBLEMS


def test_an_image_that_is_listed_and_missing_is_named(write_task: WriteTask) -> None:
    path = write_task()
    task = load_task(path)
    next(iter(task.images.values()))[0].unlink()
    with pytest.raises(ImageError, match=r"0\.png cannot be read: No such file"):
        taken_in(task, MemoryStore())


def test_submitting_the_same_again_finds_the_first(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = taken_in(task, store, now=1.0, author="anna")
    second = taken_in(task, store, now=2.0, author="ben")
    assert (first.is_new, second.is_new) == (True, False)
    assert second.submission == first.submission
    assert second.submission.author == "anna"


def test_the_same_images_in_another_adapter_are_another_submission(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = taken_in(task, store).submission
    second = taken_in(replace(task, adapter="canary"), store)
    assert second.is_new
    assert second.submission.submission_id != first.submission_id
    assert second.submission.shards == first.shards


class BeatenStore(MemoryStore):
    """Somebody else submits the same while the shards go up."""

    def __init__(self, theirs: Submission) -> None:
        super().__init__()
        self.theirs = theirs

    def create(self, key: str, data: bytes) -> str:
        if key == self.theirs.key:
            super().put(key, self.theirs.to_bytes())
        return super().create(key, data)


def test_two_who_submit_the_same_at_once_get_one_submission(write_task: WriteTask) -> None:
    task = load_task(write_task())
    theirs = replace(taken_in(task, MemoryStore()).submission, author="ben")
    intake = taken_in(task, BeatenStore(theirs))
    assert (intake.is_new, intake.submission) == (False, theirs)


def test_without_held_out_images_a_tenth_of_each_class_is_set_aside(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task(images=20))
    submission = taken_in(task, store).submission
    assert submission.set_aside
    assert [shard.labels for shard in submission.of_split("held_out")] == [(0, 0, 1, 1)]
    assert submission.images("train") == 36
    kept, aside = (stored_images(store, submission, split) for split in ("train", "held_out"))
    everything = [path.read_bytes() for paths in task.images.values() for path in paths]
    assert sorted(kept + aside) == sorted(everything)


SHARES = [
    # images of a class, set aside: too few to spare one, then at least one
    (4, 0),
    (5, 1),
    (14, 1),
    (26, 3),
]


@pytest.mark.parametrize(("images", "aside"), SHARES)
def test_small_classes_spare_none(write_task: WriteTask, images: int, aside: int) -> None:
    task = load_task(write_task(images=images, classes=("red",)))
    assert taken_in(task, MemoryStore()).submission.images("held_out") == aside


def test_the_seed_decides_which_are_set_aside(write_task: WriteTask) -> None:
    task = load_task(write_task(images=40))
    first, again, other = (
        taken_in(replace(task, seed=seed), MemoryStore()).submission for seed in (0, 0, 1)
    )
    assert first.of_split("held_out") == again.of_split("held_out")
    assert first.of_split("held_out") != other.of_split("held_out")


def test_a_class_that_is_added_does_not_move_what_is_set_aside_of_another(
    write_task: WriteTask,
) -> None:
    few = taken_in(load_task(write_task(images=20)), MemoryStore()).submission
    more = load_task(write_task(images=20, classes=("red", "blue", "a_new_one")))
    (before,) = few.of_split("held_out")
    (after,) = taken_in(more, MemoryStore()).submission.of_split("held_out")
    assert set(before.image_digests) < set(after.image_digests)


def test_given_held_out_images_are_kept_apart_and_nothing_is_set_aside(
    write_task: WriteTask,
) -> None:
    path = write_task(keys="held_out: test")
    held_out = path.parent / "test" / "red"
    held_out.mkdir(parents=True)
    (path.parent / "images" / "red" / "0.png").rename(held_out / "0.png")
    submission = taken_in(load_task(path), MemoryStore()).submission
    assert not submission.set_aside
    assert (submission.images("train"), submission.images("held_out")) == (11, 1)
    assert submission.of_split("held_out")[0].labels == (1,)  # blue, red


def test_an_image_in_both_splits_is_refused(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task(keys="held_out: images"))
    with pytest.raises(ImageError, match="12 held-out images of task 'colors' are also training"):
        taken_in(task, store)
    assert keys(store) == []


def test_copies_in_one_folder_do_not_stop_a_task_that_has_no_held_out_images(
    write_task: WriteTask,
) -> None:
    path = write_task(images=10, classes=("red",))
    for image in sorted((path.parent / "images" / "red").glob("*.png")):
        image.with_name(f"copy-{image.name}").write_bytes(image.read_bytes())
    store = MemoryStore()
    submission = taken_in(load_task(path), store).submission
    kept, aside = (stored_images(store, submission, split) for split in ("train", "held_out"))
    assert aside
    assert not set(kept) & set(aside)


def test_progress_counts_every_image(write_task: WriteTask) -> None:
    seen: list[tuple[int, int]] = []
    task = load_task(write_task(images=5))
    take_in(
        task,
        MemoryStore(),
        now=1.0,
        author="anna",
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 10) for done in range(1, 11)]
