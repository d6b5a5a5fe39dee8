"""Shards, features and handovers: which of them a purge and a `gc` remove."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from torch import full

from adapters.errors import ConflictError, CorruptionError, InputError
from cluster.client.client import Client
from cluster.config import Config
from tests.support.scenes.registry import ANNA, BOTH, record_of
from tests.support.scenes.tickets import set_ticket
from tests.support.scenes.work_logs import wrote
from workers.encoding.blocks import block_key
from workers.encoding.features import write_block
from workers.housekeeping.leftovers import needed_features, needed_shards, needed_work
from workers.intake.intake import take_in
from workers.learning.handover import answers_key, checkpoint_key, hand_over, handover_key
from workers.logs.work_log import PREFIX, read_work_logs
from workers.queue.ticket import Stage
from workers.registry import AddRecord, Commit, Inline, Registry
from workers.store import FileStore
from workers.tasks.submission import Submission, swept_key
from workers.tasks.task import load_task

OLD_S = 3 * 24 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Plant:
    """A store with submissions that were embedded, learnt and published."""

    store: FileStore
    folder: Path
    client: Client
    write_task: Callable[..., Path]

    def publish(self, name: str, *, images: int) -> Submission:
        """Submit `images` pictures of each class, and leave behind what roles leave behind."""
        submission = self.submit(name, images=images, stage=Stage.PUBLISHED)
        for shard in submission.shards:
            block = full((len(shard.labels), 1, 4), float(shard.size))
            write_block(self.store, block_key("tiny", "1", shard), block)
        handover = handover_key(submission.submission_id, 0, "record")
        hand_over(self.store, handover, record_of(name))
        self.store.put(checkpoint_key(submission.submission_id), b"half way")
        record = AddRecord(
            task=name,
            submission=submission.submission_id,
            record=Inline(record_of(name)),
            classes=2,
        )
        commit = Commit(updates=(record,), encoder="tiny", method="lada", settings={}, aliases=BOTH)
        Registry(self.store).create("main").commit(commit, by=ANNA)
        return submission

    def submit(self, name: str, *, images: int, stage: Stage) -> Submission:
        """Submit `images` pictures of each class, which come to `stage`."""
        task = replace(load_task(self.write_task(images=images)), name=name)
        submission = take_in(task, self.store, now=1.0, author="anna").submission
        self.set_stage(submission, stage)
        return submission

    def drop(self, name: str) -> None:
        """Drop a task, and let no alias point to a version that holds it."""
        if self.client.drop(name).manifest.tasks:
            self.client.promote("head")
        else:
            self.client.remove_alias("production")

    def set_stage(self, submission: Submission, stage: Stage) -> None:
        """Write down that `submission` is at `stage`."""
        set_ticket(self.store, submission.submission_id, stage=stage)

    def outside(self) -> set[str]:
        """Return the keys of shards, features and work."""
        return {
            listed.key
            for prefix in ("shards/", "features/", "work/")
            for listed in self.store.list(prefix)
        }

    def age(self) -> None:
        """Make everything in the store three days old."""
        then = time.time() - OLD_S
        for listed in self.store.list(""):
            os.utime(self.folder / listed.key, (then, then))


@pytest.fixture
def plant(tmp_path: Path, write_task: Callable[..., Path]) -> Plant:
    folder = tmp_path / "store"
    return Plant(
        store=FileStore(folder),
        folder=folder,
        client=Client(Config(store=f"file://{folder}")),
        write_task=write_task,
    )


def test_a_purge_removes_the_images_features_and_handovers_of_its_task(plant: Plant) -> None:
    plant.publish("reds", images=6)
    kept = plant.outside()
    plant.publish("blues", images=7)
    own = plant.outside() - kept
    plant.drop("blues")
    purged = plant.client.purge("blues")
    assert plant.outside() == kept
    assert own <= set(purged.keys)


def test_what_workers_wrote_goes_with_a_purge_of_its_task_alone(plant: Plant) -> None:
    reds, blues = plant.publish("reds", images=6), plant.publish("blues", images=7)
    for each in (reds, blues):
        wrote(plant.store, each.submission_id)
    plant.drop("blues")
    plant.client.purge("blues")
    assert read_work_logs(plant.store, blues.submission_id) == []
    assert len(read_work_logs(plant.store, reds.submission_id)) == 1


def test_gc_removes_old_logs_of_what_nothing_names_and_of_what_was_purged(plant: Plant) -> None:
    reds, blues = plant.publish("reds", images=6), plant.publish("blues", images=7)
    plant.drop("blues")
    plant.client.purge("blues")
    for name in (reds.submission_id, blues.submission_id, "nobody-0123456789ab"):
        wrote(plant.store, name)
    plant.client.gc(blobs=True, dry_run=False)
    assert len(list(plant.store.list(PREFIX))) == 3  # somebody may be about to write more
    plant.age()
    plant.client.gc(blobs=True, dry_run=False)
    assert [listed.key.split("/")[1] for listed in plant.store.list(PREFIX)] == [reds.submission_id]


def test_a_purge_keeps_the_images_that_another_submission_has_too(plant: Plant) -> None:
    plant.publish("reds", images=6)
    kept = plant.outside()
    twin = plant.publish("twins", images=6)
    assert plant.outside() - kept == {
        f"work/{twin.submission_id}/checkpoint",
        f"work/{twin.submission_id}/0/record",
    }
    plant.drop("twins")
    plant.client.purge("twins")
    assert plant.outside() == kept


def test_images_go_with_the_last_of_the_purged_tasks_that_share_them(plant: Plant) -> None:
    plant.publish("reds", images=6)
    plant.publish("twins", images=6)
    for task in ("reds", "twins"):
        plant.drop(task)
        plant.client.purge(task)
    assert plant.outside() == set()


def test_a_purge_that_was_interrupted_is_finished_by_calling_it_again(plant: Plant) -> None:
    submission = plant.publish("reds", images=6)
    left = plant.outside()
    plant.drop("reds")
    plant.client.purge("reds")
    plant.store.put(checkpoint_key(submission.submission_id), b"half way")
    shard = min(key for key in left if key.startswith("shards/"))
    plant.store.put(shard, b"still here")
    plant.client.purge("reds")
    assert plant.outside() == set()


def test_a_purge_where_a_task_was_imported_takes_no_image_from_where_it_was_learnt(
    plant: Plant, tmp_path: Path
) -> None:
    submission = plant.publish("reds", images=6)
    kept = plant.outside()
    plant.client.export(1, tmp_path / "reds.tar")
    plant.client.import_(tmp_path / "reds.tar", adapter="copy", aliases=("berlin",))
    plant.client.remove_alias("berlin", adapter="copy")
    purged = plant.client.purge("reds", adapter="copy")
    assert purged.submissions == (submission.submission_id,)
    assert plant.outside() == kept
    # and nothing else takes them for gone since
    plant.publish("twins", images=6)
    plant.drop("twins")
    plant.client.purge("twins")
    assert plant.outside() == kept


def assert_purged_with(plant: Plant, never: Submission) -> None:
    purged = plant.client.purge("reds")
    assert never.submission_id in purged.submissions
    assert plant.outside() == set()
    with pytest.raises(InputError, match=r"purged with task 'reds'"):
        plant.client.retry(never.submission_id)


@pytest.mark.parametrize("stage", [Stage.CANCELLED, Stage.FAILED, Stage.REJECTED])
def test_a_purge_takes_what_was_submitted_as_the_task_and_never_published(
    plant: Plant, stage: Stage
) -> None:
    plant.publish("reds", images=6)
    never = plant.submit("reds", images=8, stage=stage)
    plant.drop("reds")
    assert_purged_with(plant, never)


def test_what_was_cancelled_after_a_purge_goes_with_the_next_one(plant: Plant) -> None:
    plant.publish("reds", images=6)
    plant.drop("reds")
    plant.client.purge("reds")
    assert_purged_with(plant, plant.submit("reds", images=8, stage=Stage.CANCELLED))


def test_a_purge_is_refused_while_the_task_waits_to_be_learnt(plant: Plant) -> None:
    plant.publish("reds", images=6)
    plant.drop("reds")
    waits = plant.submit("reds", images=8, stage=Stage.ACCEPTED)
    with pytest.raises(ConflictError, match=f"accepted.*`nacre cancel {waits.submission_id}`"):
        plant.client.purge("reds")
    assert not plant.client.show(1).purged


def test_what_was_purged_is_not_tried_again_but_submitted_again(plant: Plant) -> None:
    submission = plant.publish("reds", images=6)
    plant.set_stage(submission, Stage.REJECTED)
    plant.drop("reds")
    plant.client.purge("reds")
    with pytest.raises(InputError, match=r"purged with task 'reds'.*submit the task again"):
        plant.client.retry(submission.submission_id)


def test_what_is_kept_no_longer_is_not_tried_again_but_submitted_again(plant: Plant) -> None:
    submission = plant.publish("reds", images=6)
    plant.set_stage(submission, Stage.FAILED)
    plant.store.put(swept_key(submission.submission_id), b"{}")
    with pytest.raises(InputError, match=r"`retention`.*submit the task again"):
        plant.client.retry(submission.submission_id)


def test_a_purge_waits_for_a_training(plant: Plant) -> None:
    plant.publish("reds", images=6)
    other = plant.publish("blues", images=7)
    plant.drop("reds")
    plant.set_stage(other, Stage.TRAINING)
    before = plant.outside()
    with pytest.raises(ConflictError, match=f"{other.submission_id} is training"):
        plant.client.purge("reds")
    assert plant.outside() == before
    assert not plant.client.show(1).purged


def test_gc_keeps_all_that_anything_names(plant: Plant) -> None:
    for name, images in (("reds", 6), ("blues", 7)):
        plant.set_stage(plant.publish(name, images=images), Stage.FAILED)  # it may be tried again
    plant.age()
    before = plant.outside()
    found = plant.client.gc(blobs=True, dry_run=False)
    assert {key for garbage in found.values() for key in garbage.keys} == set()
    assert plant.outside() == before


def test_gc_removes_old_blobs_that_nothing_names(plant: Plant) -> None:
    plant.set_stage(plant.publish("reds", images=6), Stage.TRAINING)
    kept = plant.outside()
    orphans = {
        f"{prefix}ab/{'ab' * 32}" for prefix in ("shards/", "features/blobs/", "work/blobs/")
    }
    for key in orphans:
        plant.store.put(key, b"an interrupted intake")
    # Even without any grace period: what is younger than a day may belong to an intake under way.
    plant.client.gc(blobs=True, grace_s=0, dry_run=False)
    assert plant.outside() == kept | orphans
    plant.age()
    plant.client.gc(blobs=True, dry_run=True)
    assert plant.outside() == kept | orphans
    plant.client.gc(blobs=True, dry_run=False)
    assert plant.outside() == kept


def test_gc_removes_what_was_handed_over_for_a_task_that_is_published(plant: Plant) -> None:
    published = plant.publish("reds", images=6)
    own = {key for key in plant.outside() if key.startswith(f"work/{published.submission_id}/")}
    kept = plant.outside() - own
    plant.age()
    plant.client.gc(blobs=True, dry_run=False)
    assert own
    assert plant.outside() == kept


def test_a_purge_forgets_what_was_answered_about_the_tasks_images(plant: Plant) -> None:
    plant.publish("reds", images=6)
    plant.store.put(answers_key("main"), b"answers")
    plant.drop("reds")
    assert plant.store.get(answers_key("main")).data == b"answers"
    plant.client.purge("reds")
    assert list(plant.store.list("measured/")) == []


def test_gc_removes_the_answers_of_adapters_that_are_not_there(plant: Plant) -> None:
    plant.publish("reds", images=6)
    for adapter in ("main", "gone"):
        plant.store.put(answers_key(adapter), b"answers")
    plant.age()
    plant.client.gc(blobs=True, dry_run=False)
    assert [listed.key for listed in plant.store.list("measured/")] == [answers_key("main")]


def test_nothing_is_collected_while_a_submission_cannot_be_read(plant: Plant) -> None:
    submission = plant.publish("reds", images=6)
    plant.age()
    plant.store.put(submission.key, b"rust")
    before = plant.outside()
    with pytest.raises(CorruptionError):
        plant.client.gc(blobs=True, dry_run=False)
    assert plant.outside() == before


@pytest.mark.parametrize("damage", [b"rust", b"[]", b'{"sha256": 7}', b'{"blob": {}}'])
def test_a_damaged_pointer_is_named(plant: Plant, damage: bytes) -> None:
    key = "features/tiny/1/ab.json"
    plant.store.put(key, damage)
    with pytest.raises(CorruptionError, match=key):
        needed_features(plant.store)


def test_an_empty_store_needs_nothing(plant: Plant) -> None:
    for needed in (needed_shards, needed_features, needed_work):
        assert needed(plant.store) == set()
