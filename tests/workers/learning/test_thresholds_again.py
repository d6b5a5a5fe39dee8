"""A task that an earlier release has learnt gets thresholds by taking its own place."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from adapters.contract.records import encode_record
from tests.support.drivers.learning import published_by_hand, small_task, submitted
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry import AddRecord, Author, Commit, DropTask, Inline, Registry
from workers.registry.record_cache import Versions
from workers.store import FileStore
from workers.tasks.submission import Submission

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"
BY = Author(who="anna", why="a test", now=0.0)


def written(path: Path, **changed: object) -> Path:
    """Change a task file; its settings are those of another method."""
    content = {**yaml.safe_load(path.read_text()), **changed}
    content.pop("settings", None)
    path.write_text(yaml.safe_dump(content))
    return path


def as_before(store: FileStore, submission: Submission) -> None:
    """Publish the only record of `main` as an earlier release has left it."""
    versions = Versions(store)
    (record,) = versions.records("main", versions.resolve("main", "head") or 0)
    bare = Inline(encode_record(replace(record, thresholds=None)))
    added = AddRecord(task=record.task, submission=submission.submission_id, record=bare, classes=2)
    Registry(store).adapter("main").commit(
        Commit(
            updates=(DropTask(task=record.task), added),
            encoder=record.encoder,
            method=record.method,
            settings=dict(record.settings),
            aliases=("head", "production"),
        ),
        by=BY,
    )


def rates(store: FileStore) -> list[float | None]:
    """Return the lowest rate of each record in `head` of `main`."""
    versions = Versions(store)
    records = versions.records("main", versions.resolve("main", "head") or 0)
    kept = [record.thresholds for record in records]
    return [None if each is None else each.least_rate for each in kept]


def test_it_gets_them_and_again_with_another_seed(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    store, encoder = FileStore(tmp_path / "store"), Encoder(EncoderSettings())
    path = written(small_task(EXAMPLES, tmp_path, "digits", classes=2, images=8))

    def learnt(now: float) -> Submission:
        submission = submitted(store, path, now=now, method="own_metric")
        published_by_hand(store, encoder, submission, method="own_metric")
        return submission

    first = learnt(1.0)
    assert rates(store) == [0.075]
    as_before(store, first)
    assert rates(store) == [None]

    # The same content is found, and nothing is learnt.
    assert submitted(store, path, now=2.0, method="own_metric") == first
    written(path, replaces="digits")
    again = learnt(3.0)
    assert again != first
    assert rates(store) == [0.075]

    # It has taken its own place before: then that is the same content, too.
    as_before(store, again)
    assert submitted(store, path, now=4.0, method="own_metric") == again
    written(path, replaces="digits", seed=1)
    assert learnt(5.0) not in (first, again)
    assert rates(store) == [0.075]
