"""Real files: what the tools of others have written is read, here and over HTTP alike."""

import json
import shutil
from pathlib import Path

import pytest

from cluster.client.remote.packing import task_to_send
from tests.support.real_formats.expected import REAL, Read
from workers.intake.drafting import columns_said, draft_task, is_source
from workers.intake.reading import Sample, read_images
from workers.tasks.task import Task, load_task

FORMATS = Path(__file__).parents[2] / "fixtures" / "formats"


def check(task: Task, expected: Read) -> None:
    """Check that a task has the images that its files show."""
    assert dict(task.classes) == expected.classes
    counts = [len(refs) for refs in task.images.values()]
    assert counts == [expected.train] * len(expected.classes)
    measured = [len(refs) for refs in task.held_out.values()]
    assert measured == ([1] * len(expected.classes) if expected.held_out else [])
    read = list(read_images(task))
    assert all(isinstance(each, Sample) for each in read)
    assert len({each.digest for each in read if isinstance(each, Sample)}) == len(read)


@pytest.mark.parametrize("source", REAL)
def test_a_real_file_is_read_without_a_task_file(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FORMATS)
    expected = REAL[source]
    assert is_source(source)
    draft = draft_task(source)
    assert (draft.file.images, draft.file.held_out) == (expected.images, expected.held_out)
    assert columns_said(draft.file.columns) == expected.columns
    check(load_task(draft.path, content=draft.content), expected)


@pytest.mark.parametrize("source", REAL)
def test_what_is_sent_of_a_real_file_is_all_that_it_needs(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FORMATS)
    sent = task_to_send(source, adapter=None, default="main")
    for name, path in sent.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(path, Path)
        shutil.copy(path, tmp_path / name)
    assert json.loads(sent.content)["adapter"] == "main"
    task = load_task(tmp_path / "task.yaml", content=sent.content, within=tmp_path.resolve())
    check(task, REAL[source])
