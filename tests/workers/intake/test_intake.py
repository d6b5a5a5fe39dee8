"""Taking a task in: everything or nothing, and the submission last."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from adapters.contract.canonical import digest_of
from adapters.contract.class_entry import ClassEntry
from adapters.errors import ClassNameError, ImageError, InputError, UnavailableError
from tests.support.scenes.pictures import exif_block, jpeg_segment, jpeg_with, tiff_of_one_tile
from workers.encoding.task_features import class_entries
from workers.formats.problems import EXAMPLES, SHOWN
from workers.intake.intake import Intake, take_in
from workers.intake.naming import KnownNames
from workers.sources.places.absent import JOB_VARIABLE
from workers.store import BlobRef, MemoryStore, ObjectStore, get_blob
from workers.store.testing import Fault, FaultyStore, RecordingStore, fault_at
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Split, Submission, read_submission
from workers.tasks.task import Task, load_task

WriteTask = Callable[..., Path]
SUNFLOWER = ClassEntry(class_id="caltech/sun", name="Red", prompt="")


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


def contents(task: Task) -> dict[str, str]:
    """Return the class of every training image by its digest."""
    return {digest_of(ref.read()): key for key, refs in task.images.items() for ref in refs}


def test_every_image_is_stored_under_its_class(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task(images=4))
    submission = taken_in(task, store).submission
    (shard,) = submission.of_split("train")
    keys_of_labels = [submission.classes[label].key for label in shard.labels]
    assert dict(zip(shard.image_digests, keys_of_labels, strict=True)) == contents(task)
    stored = [digest_of(content) for content in stored_images(store, submission, "train")]
    assert list(shard.image_digests) == stored == sorted(stored)
    assert read_submission(store, submission.submission_id) == submission


def test_what_the_task_says_is_in_the_submission(write_task: WriteTask) -> None:
    task = replace(load_task(write_task()), priority=3, replaces="paints", prompt="the color {}.")
    submission = taken_in(task, MemoryStore(), now=5.0, author="ben").submission
    assert (submission.priority, submission.replaces, submission.prompt) == (
        3,
        "paints",
        "the color {}.",
    )
    assert (submission.accepted_at, submission.author, submission.generation) == (5.0, "ben", 1)
    assert submission.submission_id.startswith("colors-")


def test_the_submission_is_written_last(write_task: WriteTask) -> None:
    store = RecordingStore(MemoryStore())
    submission = taken_in(load_task(write_task(images=10)), store).submission
    assert [operation for operation, _ in store.keys] == ["put", "put", "create"]
    assert store.keys[-1] == ("create", submission.key)


@pytest.mark.parametrize("number", range(5))
def test_an_intake_that_breaks_off_is_never_seen_and_can_be_made_again(
    write_task: WriteTask, number: int
) -> None:
    inner, task = MemoryStore(), load_task(write_task(images=10))
    with pytest.raises(UnavailableError):
        taken_in(task, FaultyStore(inner, fault_at(number, Fault.FAIL)))
    assert not list(inner.list("submissions/"))
    assert taken_in(task, inner).is_new


def spoil(path: Path) -> list[str]:
    """Damage three images of the task at `path` in three ways; return their names."""
    folder = path.parent / "images"
    (folder / "red" / "0.png").write_bytes(b"")
    (folder / "red" / "3.png").write_bytes((folder / "red" / "3.png").read_bytes()[:50])
    (folder / "blue" / "5.png").write_text("not an image")
    return ["red/0.png", "red/3.png", "blue/5.png"]


def test_odd_pictures_are_used_and_those_that_nobody_can_read_right_are_counted(
    write_task: WriteTask,
) -> None:
    path = write_task(keys="skip_unreadable: 0.2")
    folder = path.parent / "images" / "red"
    sideways = exif_block([(0x0112, 3, 1, bytes([0, 6, 0, 0])), (0x011A, 10, 1, b"\0\0\0\x26")])
    (folder / "0.jpg").write_bytes(
        jpeg_with(jpeg_segment(0xE1, b"Exif\0\0" + sideways + struct.pack(">ii", -5, 3)))
    )
    Image.new("F", (9, 9), 0.5).save(folder / "1.tif")
    Image.new("F", (9, 9), 900.0).save(folder / "2.tif")
    (folder / "3.tif").write_bytes(tiff_of_one_tile(2**16, 2**14))
    intake = taken_in(load_task(path), MemoryStore())
    assert intake.submission.skipped == 2
    for name, sentence in zip(("2.tif", "3.tif"), intake.skipped, strict=True):
        assert name in sentence


def test_nothing_is_stored_and_every_bad_image_is_named(write_task: WriteTask) -> None:
    store, path = MemoryStore(), write_task()
    names = spoil(path)
    with pytest.raises(ImageError, match="3 of the 12 images of task 'colors'") as caught:
        taken_in(load_task(path), store)
    for name in names:
        assert name in caught.value.message
    assert caught.value.fields["bad_images"] == 3
    assert keys(store) == []


def test_of_very_many_bad_images_some_are_shown_and_machines_get_all(write_task: WriteTask) -> None:
    path = write_task(images=SHOWN)
    for image in path.parent.glob("images/*/*.png"):
        image.write_bytes(b"")
    with pytest.raises(ImageError, match="and 37 more like these") as caught:
        taken_in(load_task(path), MemoryStore())
    assert caught.value.message.count("empty file") == EXAMPLES
    assert len(caught.value.fields["problems"]) == 2 * SHOWN  # type: ignore[arg-type]


SHARES = [
    # share that may be skipped, whether 3 bad ones of 12 are
    (0.0, False),
    (0.24, False),
    (0.25, True),
    (1.0, True),
]


@pytest.mark.parametrize(("share", "accepted"), SHARES)
def test_as_many_unreadable_images_as_the_task_allows_are_skipped_and_named(
    write_task: WriteTask, share: float, accepted: bool
) -> None:
    path = write_task()
    names = spoil(path)
    task = replace(load_task(path), skip_unreadable=share)
    if not accepted:
        with pytest.raises(ImageError, match="3 of the 12 images"):
            taken_in(task, MemoryStore())
        return
    intake = taken_in(task, MemoryStore())
    assert intake.submission.skipped == len(intake.skipped) == 3
    assert all(any(name in sentence for sentence in intake.skipped) for name in names)
    assert sum(intake.images.values()) == 9
    said = "\n".join(intake.notes())
    assert "3 images that cannot be read were skipped: " in said
    assert any(name in said for name in names)


def test_a_share_is_not_rounded_against_the_user(write_task: WriteTask) -> None:
    path = write_task(images=50)
    for number in range(29):
        (path.parent / "images" / "red" / f"{number}.png").write_bytes(b"")
    # 0.29 * 100 is less than 29 in floating point.
    assert taken_in(replace(load_task(path), skip_unreadable=0.29), MemoryStore()).is_new


def test_a_class_of_whose_images_none_is_left_is_refused(write_task: WriteTask) -> None:
    path, store = write_task(), MemoryStore()
    for image in (path.parent / "images" / "red").glob("*.png"):
        image.write_bytes(b"")
    with pytest.raises(ClassNameError, match=r"(?s)without a training image that can be.*red"):
        taken_in(replace(load_task(path), skip_unreadable=0.5), store)
    assert keys(store) == []


def test_an_image_that_is_listed_and_missing_is_named(
    write_task: WriteTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_task()
    task = load_task(path)
    (path.parent / "images" / "red" / "0.png").unlink()
    with pytest.raises(ImageError, match=r"0\.png cannot be read: No such file") as outside:
        taken_in(task, MemoryStore())
    assert "Ray" not in outside.value.message
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    with pytest.raises(ImageError, match="inside a Ray job"):
        taken_in(task, MemoryStore())


def copy(path: Path, original: str, to: str) -> None:
    target = path.parent / "images" / to
    target.write_bytes((path.parent / "images" / original).read_bytes())


def test_copies_in_one_class_are_kept_once_and_counted(write_task: WriteTask) -> None:
    path, store = write_task(images=3), MemoryStore()
    copy(path, "red/0.png", "red/copy.jpeg")
    copy(path, "red/0.png", "red/other.png")
    intake = taken_in(load_task(path), store)
    assert sum(intake.images.values()) == 6
    assert len(stored_images(store, intake.submission, "train")) == 6
    assert [sentence.count("red/0.png") for sentence in intake.duplicates] == [1, 1]
    (note,) = intake.notes()
    assert note.startswith("2 copies of an image were left out: ")
    assert "red/copy.jpeg is the same image as " in note


def test_one_image_in_two_classes_is_refused_and_both_are_named(write_task: WriteTask) -> None:
    path, store = write_task(), MemoryStore()
    copy(path, "red/0.png", "blue/other.png")
    with pytest.raises(ImageError, match="1 image of task 'colors' is in two classes") as caught:
        taken_in(load_task(path), store)
    for part in ("red/0.png (red)", "blue/other.png (blue)"):
        assert part in caught.value.message
    assert keys(store) == []


def test_an_image_in_both_splits_is_refused(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task(keys="held_out: images"))
    with pytest.raises(ImageError, match="12 test images of task 'colors' are also training"):
        taken_in(task, store)
    assert keys(store) == []


@pytest.mark.parametrize(("bad", "advice"), [(2, "`skip_unreadable: 0.17`"), (12, "")])
def test_a_fraction_is_left_out_only_where_that_would_do(
    write_task: WriteTask, bad: int, advice: str
) -> None:
    path = write_task()
    pictures = sorted((path.parent / "images").rglob("*.png"))
    assert len(pictures) == 12
    for picture in pictures[:bad]:
        picture.write_bytes(b"no picture")
    with pytest.raises(ImageError, match=f"{bad} of the 12 images") as caught:
        taken_in(load_task(path), MemoryStore())
    assert advice in caught.value.message
    assert ("skip_unreadable" in caught.value.message) == bool(advice)


def test_all_that_is_wrong_is_reported_at_once(write_task: WriteTask) -> None:
    path, store = write_task(keys="held_out: images"), MemoryStore()
    spoil(path)
    copy(path, "red/1.png", "blue/other.png")
    with pytest.raises(InputError) as caught:
        take_in(
            load_task(path), store, now=1.0, author="anna", known=KnownNames(classes=[SUNFLOWER])
        )
    for sentence in (
        "6 of the 26 images of task 'colors' cannot be used",
        "2 images of task 'colors' are in two classes",
        "9 test images of task 'colors' are also training images",
        "1 class name of task 'colors' is that of other tasks",
    ):
        assert sentence in caught.value.message
    assert len(caught.value.fields["problems"]) == 6 + 2 + 9 + 1  # type: ignore[arg-type]
    assert keys(store) == []


def test_what_would_not_fit_into_a_submission_is_refused_before_anything_is_stored(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    # A name of five million letters stands for a hundred thousand images.
    endless = replace(task, classes={**task.classes, "red": 5_000_000 * "r"})
    with pytest.raises(InputError, match="divide its classes among several tasks"):
        taken_in(endless, store)
    assert keys(store) == []


def test_submitting_the_same_again_finds_the_first(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = taken_in(task, store, now=1.0, author="anna")
    recorded = RecordingStore(store)
    second = taken_in(task, recorded, now=2.0, author="ben")
    assert (first.is_new, second.is_new) == (True, False)
    assert second.submission == first.submission
    assert [operation for operation, _ in recorded.keys] == ["get"]


def test_the_same_images_in_another_adapter_are_another_submission(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = taken_in(task, store).submission
    second = taken_in(replace(task, adapter="canary"), store)
    assert second.is_new
    assert second.submission.submission_id != first.submission_id
    assert second.submission.shards == first.shards


def test_what_has_ended_without_effect_is_submitted_as_its_next_generation(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = taken_in(task, store).submission
    for shard in list(store.list(SHARDS)):
        store.delete(shard.key)  # removed some days after it had ended
    again = take_in(
        task, store, now=2.0, author="ben", reusable=lambda each: each != first.submission_id
    )
    assert again.is_new
    assert again.submission.submission_id == f"{first.submission_id}-2"
    assert (again.submission.generation, again.submission.shards) == (2, first.shards)
    assert stored_images(store, again.submission, "train")


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


def test_a_name_of_another_task_is_refused_until_the_task_says_what_is_meant(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())

    def submitted(task: Task) -> Intake:
        return take_in(task, store, now=1.0, author="anna", known=KnownNames(classes=[SUNFLOWER]))

    with pytest.raises(ClassNameError, match=r"(?s)'red' \(in caltech\).*shared_names: keep"):
        submitted(task)
    assert keys(store) == []
    kept = submitted(replace(task, shared_names="keep"))
    assert [entry.name for entry in kept.submission.classes] == ["blue", "red"]
    assert "names that other tasks have too were kept: 'red' (in caltech)" in kept.notes()
    qualified = submitted(replace(task, shared_names="qualify")).submission
    assert qualified.prompts() == ("a photo of a blue.", "a photo of a red (colors).")
    merged = submitted(replace(task, shared_names="merge")).submission
    assert merged.merges == {"red": "caltech/sun"}
    assert [entry.counts_as for entry in class_entries(merged)] == ["colors/blue", "caltech/sun"]


def test_a_task_is_found_again_whatever_names_others_have_taken_since(
    write_task: WriteTask,
) -> None:
    store, task = MemoryStore(), load_task(write_task())
    first = taken_in(task, store)
    again = take_in(task, store, now=2.0, author="anna", known=KnownNames(classes=[SUNFLOWER]))
    assert (again.is_new, again.submission) == (False, first.submission)


def test_without_test_images_a_tenth_of_each_class_is_drawn(write_task: WriteTask) -> None:
    store, task = MemoryStore(), load_task(write_task(images=20))
    intake = taken_in(task, store)
    submission = intake.submission
    assert submission.set_aside
    (shard,) = submission.of_split("held_out")
    assert sorted(shard.labels) == [0, 0, 1, 1]
    assert intake.images == {"train": 36, "held_out": 4}
    assert intake.notes() == (
        "4 of the training images, a tenth of each class, were drawn as the test split, which "
        "measures accuracy and is never learnt from",
    )
    stored = [stored_images(store, submission, split) for split in ("train", "held_out")]
    assert {digest_of(content) for part in stored for content in part} == set(contents(task))


def test_where_every_class_is_too_small_no_test_image_is_drawn(write_task: WriteTask) -> None:
    intake = taken_in(load_task(write_task(images=4)), MemoryStore())
    assert (intake.submission.set_aside, intake.notes()) == (False, ())


def test_given_test_images_are_kept_apart_and_none_is_drawn(
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


def test_names_of_files_and_labels_change_no_shard(write_task: WriteTask) -> None:
    path, store = write_task(images=3), MemoryStore()
    first = taken_in(load_task(path), store).submission
    folder = path.parent / "images"
    (folder / "red" / "0.png").rename(folder / "blue" / "a.jpeg")
    second = taken_in(load_task(path), store)
    assert second.is_new
    digests = [{shard.digest for shard in each.shards} for each in (first, second.submission)]
    assert digests[0] == digests[1]
    assert second.submission.images("train") == first.images("train")


def test_progress_counts_every_image_when_it_is_checked_and_when_it_is_stored(
    write_task: WriteTask,
) -> None:
    task, store = load_task(write_task(images=5)), MemoryStore()

    def reported() -> list[tuple[int, int]]:
        seen: list[tuple[int, int]] = []
        take_in(
            task,
            store,
            now=1.0,
            author="anna",
            on_progress=lambda done, total: seen.append((done, total)),
        )
        return seen

    checked = [(done, 20) for done in range(1, 11)]
    # Eight images in one shard, two in another, and the submission.
    assert reported() == [*checked, (18, 20), (20, 20), (20, 20)]
    assert reported() == [*checked, (20, 20)]


def test_why_a_task_is_not_accepted_is_said_with_what_is_wrong_with_its_images(
    write_task: WriteTask,
) -> None:
    def refuse(_: int) -> None:
        raise ClassNameError("there is a task of this name")

    def wait(_: int) -> None:
        raise UnavailableError("too many are open")

    path = write_task()
    spoil(path)
    for admit, sentence in ((refuse, "(?s)cannot be used.*of this name"), (wait, "cannot be used")):
        with pytest.raises(InputError, match=sentence):
            take_in(load_task(path), MemoryStore(), now=1.0, author="anna", admit=admit)
