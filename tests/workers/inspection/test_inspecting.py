"""A task with planted faults is looked at: what is found, and what the submission finds of it."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from adapters.errors import ClassNameError, ImageError, InputError, UnavailableError
from workers.encoding.blocks import BLOBS, FEATURES
from workers.encoding.encoder import Encoder
from workers.encoding.shard_encoder import ShardEncoder
from workers.encoding.task_features import shards_and_views
from workers.housekeeping.leftovers import NEEDED, traces
from workers.inspection.findings import NamedImage
from workers.inspection.inspecting import Inspection, inspect
from workers.intake.accept import Admission, accept
from workers.intake.room import Room
from workers.queue import inbox
from workers.store import MemoryStore, ObjectStore
from workers.tasks.submission import SHARDS, submission_ids
from workers.tasks.task import Task, load_task

KEYS = ("bag", "sneaker", "trouser")


def jpeg(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.convert("RGB").save(written, "JPEG", quality=80)
    return written.getvalue()


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a task file of three classes with faults of every kind."""
    examples = Path(__file__).parents[3] / "cluster" / "examples" / "fashion"
    folder = tmp_path_factory.mktemp("faulty")
    for split in ("train", "test"):
        for key in KEYS:
            shutil.copytree(examples / split / key, folder / split / key)
    train = folder / "train"
    (train / "bag" / "05.png").rename(train / "trouser" / "swapped.png")
    shutil.copy(train / "bag" / "01.png", train / "bag" / "copy.png")
    with Image.open(train / "sneaker" / "02.png") as picture:
        (folder / "test" / "sneaker" / "again.jpg").write_bytes(jpeg(picture))
        turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        (train / "sneaker" / "turned.jpg").write_bytes(jpeg(turned))
    (train / "bag" / "notes.svg").write_text("<svg/>")
    (train / "bag" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    file = folder / "task.yaml"
    file.write_text("name: faulty\nimages: train\nheld_out: test\nskip_unreadable: 0.1\n")
    return file


def looked_at(
    task: Task, store: ObjectStore, encoder: Encoder | None = None, **options: object
) -> Inspection:
    admission = Admission.to(task, store, author="anna", method="lada", **options)  # type: ignore[arg-type]
    return inspect(admission, encoder=encoder)


@pytest.fixture(scope="session")
def seen(faulty: Path, encoder: Encoder) -> tuple[Inspection, MemoryStore]:
    """Return what is found of the faulty task, and the store that it left."""
    store = MemoryStore()
    return looked_at(load_task(faulty), store, encoder), store


def copy_of(store: MemoryStore) -> MemoryStore:
    copied = MemoryStore()
    for each in store.list(""):
        copied.put(each.key, store.get(each.key).data)
    return copied


def names(images: tuple[NamedImage, ...]) -> set[str]:
    return {"/".join(Path(each.origin).parts[-3:]) for each in images}


def test_everything_is_counted(seen: tuple[Inspection, MemoryStore]) -> None:
    found, _ = seen
    bag = next(each for each in found.classes if each.key == "bag")
    assert (bag.train, bag.held_out, bag.unreadable, bag.copies) == (15, 10, 1, 1)
    assert bag.sides == (28, 28)
    assert found.images == {"train": 49, "held_out": 31}
    (passed,) = found.sources["train"].survey.passed_over
    assert passed.examples == ("bag/notes.svg",)
    assert found.unreadable.count == 1
    assert "broken.png" in found.unreadable.shown[0]
    assert found.refusals == ()


def test_duplicates_are_found_exact_and_near_and_the_worst_comes_first(
    seen: tuple[Inspection, MemoryStore],
) -> None:
    found, _ = seen
    assert [names(each.images) for each in found.exact] == [
        {"train/bag/01.png", "train/bag/copy.png"}
    ]
    pairs = [(each.where, names(each.images), each.mirrored) for each in found.near]
    sneaker = "train/sneaker/02.png"
    assert pairs[0][0] == "across_splits"
    assert ("across_splits", {sneaker, "test/sneaker/again.jpg"}, False) in pairs
    assert ("in_class", {sneaker, "train/sneaker/turned.jpg"}, True) in pairs


def test_the_swapped_label_is_the_most_suspicious_one(
    seen: tuple[Inspection, MemoryStore],
) -> None:
    found, _ = seen
    assert found.suspicious
    first = found.suspicious.shown[0]
    assert (names((first.image,)), first.likely) == ({"train/trouser/swapped.png"}, "bag")
    assert found.file(first.image.digest)


def test_nothing_is_submitted_and_the_submission_finds_the_features(
    seen: tuple[Inspection, MemoryStore], faulty: Path, encoder: Encoder
) -> None:
    found, kept = seen
    assert found.embedded
    assert (found.embedded.made, found.embedded.found) == (80, 0)
    store = copy_of(kept)
    assert not any((submission_ids(store), list(store.list(SHARDS)), inbox.announced(store)))
    task = load_task(faulty)
    submission = accept(task, store, author="anna", method="lada").submission
    before = {each.key for each in store.list(FEATURES)}
    for shard, views in shards_and_views(submission, method="lada"):
        assert list(ShardEncoder(encoder, store).embed(shard, views)) == [len(shard.labels)]
    assert {each.key for each in store.list(FEATURES)} == before
    again = looked_at(task, store, encoder)
    assert again.embedded
    assert (again.embedded.made, again.submitted) == (0, submission.submission_id)


def test_without_an_encoder_nothing_is_written(faulty: Path) -> None:
    store = MemoryStore()
    found = looked_at(load_task(faulty), store)
    assert not any((found.suspicious, found.outliers, found.embedded))
    assert found.near.count >= 2
    assert list(store.list("")) == []


def test_all_that_a_submission_would_be_refused_for_is_said(faulty: Path) -> None:
    task = replace(load_task(faulty), skip_unreadable=0.0, prompt="a {}")
    same = replace(task, classes={**task.classes, "bag": "sneaker"})
    found = looked_at(same, MemoryStore())
    assert {type(each) for each in found.refusals} == {ImageError, ClassNameError}
    with pytest.raises(InputError) as refused:
        accept(same, MemoryStore(), author="anna", method="lada")
    for each in found.refusals:
        assert each.message in refused.value.message


def test_that_there_is_no_room_is_said_and_keeps_nobody_from_looking(faulty: Path) -> None:
    found = looked_at(load_task(faulty), MemoryStore(), room=Room(of_adapter=0))
    (refusal,) = found.refusals
    assert isinstance(refusal, UnavailableError)


def test_shared_names_come_with_pictures_of_both(faulty: Path) -> None:
    store, task = MemoryStore(), load_task(faulty)
    accept(replace(task, name="earlier"), store, author="anna", method="lada")
    found = looked_at(task, store)
    assert found.shared.count == 3
    bag = found.shared.shown[0]
    assert (bag.key, bag.task, len(bag.own), len(bag.theirs)) == ("bag", "earlier", 3, 3)
    assert all(found.file(digest) for digest in bag.theirs)
    assert found.elsewhere == {"earlier": 80}


def test_lists_are_cut_and_counts_are_not(faulty: Path) -> None:
    admission = Admission.to(load_task(faulty), MemoryStore(), author="anna", method="lada")
    found = inspect(admission, shown=1)
    assert (len(found.near.shown), found.near.count >= 2) == (1, True)


def test_features_of_what_was_never_submitted_are_garbage_and_go_with_a_purge(
    seen: tuple[Inspection, MemoryStore], write_task: Callable[..., Path]
) -> None:
    store = copy_of(seen[1])
    other = accept(load_task(write_task()), store, author="anna", method="lada").submission
    inspected = {each.key for each in store.list(FEATURES) if not each.key.startswith(BLOBS)}
    assert inspected
    assert not inspected & NEEDED[FEATURES](store)
    gone = traces(store, [other.submission_id], purged=[])
    assert inspected <= set(gone)
    for key in gone:
        store.delete(key)
    assert list(store.list(FEATURES)) == []


def test_features_of_a_submission_are_no_garbage(
    seen: tuple[Inspection, MemoryStore], faulty: Path
) -> None:
    store = copy_of(seen[1])
    accept(load_task(faulty), store, author="anna", method="lada")
    assert {each.key for each in store.list(FEATURES)} <= NEEDED[FEATURES](store)
