"""`nacre inspect` and `nacre submit --check`: what is told, and that nothing is submitted."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cluster.client.client import Client
from cluster.config import Config
from tests.support.drivers.command import Command
from tests.support.drivers.printed import as_promised
from tests.support.drivers.served import served
from tests.support.scenes.routes import routes_of
from workers.store import FileStore
from workers.tasks.submission import SHARDS, submission_ids

WriteTask = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """Return the store of the commands."""
    return FileStore(tmp_path / "store")


def test_a_task_that_would_be_accepted_is_told_so_and_not_submitted(
    nacre: Command, write_task: WriteTask, store: FileStore
) -> None:
    ended = nacre("submit", write_task(), "--check")
    assert (ended.code, ended.out.splitlines()[-1]) == (
        0,
        "nothing was submitted; it would be accepted as it is",
    )
    assert submission_ids(store) == []
    assert list(store.list(SHARDS)) == []


def test_a_check_ends_as_the_submission_would(
    nacre: Command, write_task: WriteTask, store: FileStore
) -> None:
    task = write_task()
    broken = task.parent / "images" / "red" / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    shutil.copy(task.parent / "images" / "red" / "0.png", task.parent / "images" / "blue" / "x.png")
    checked, submitted = nacre("submit", task, "--check"), nacre("submit", task)
    assert checked.code == submitted.code == 2
    assert checked.err.endswith(submitted.err)
    assert "broken.png" in checked.out
    assert "2 files in two classes" in checked.out
    assert submission_ids(store) == []


def test_a_check_that_would_be_refused_prints_its_document_too(
    nacre: Command, write_task: WriteTask
) -> None:
    task = write_task(keys="shared_names: keep")
    (task.parent / "images" / "red" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    ended = nacre("submit", task, "--check", "--output", "json")
    (document,) = as_promised("submit --check", ended.out)
    assert (ended.code, document["refusals"][0]["error"]) == (2, "ImageError")
    assert json.loads(ended.err)["title"] == "ImageError"
    assert (document["unreadable"]["count"], document["suspicious"]) == (1, None)


def test_a_bare_folder_is_inspected_with_features_and_a_page(
    nacre: Command, examples: Path, tmp_path: Path, store: FileStore
) -> None:
    for key in ("bag", "sneaker"):
        shutil.copytree(examples / "fashion" / "train" / key, tmp_path / "things" / key)
    with Image.open(tmp_path / "things" / "bag" / "00.png") as picture:
        again = picture.convert("RGB").resize((20, 20))
        again.save(tmp_path / "things" / "bag" / "again.jpg", quality=90)
    ended = nacre("inspect", "things", "--report", "looked", "--output", "json")
    document = as_promised("inspect", ended.out)
    assert (ended.code, document["version"], document["task"]) == (0, 1, "things")
    assert (document["embedded"], document["near"]["count"]) == (33, 1)
    assert submission_ids(store) == []
    page = (tmp_path / "looked" / "inspection.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 2
    assert "again.jpg" in page
    # It needs nothing else, and says nothing of where it was made but the paths that were given.
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", page) == []
    told = nacre("inspect", "things")
    assert "files that show one picture: 1" in told.out
    assert "0 images were embedded just now" in told.out


def test_lists_on_the_terminal_say_what_was_cut(nacre: Command, write_task: WriteTask) -> None:
    task = write_task(images=4)
    for number in range(12):
        red = task.parent / "images" / "red"
        shutil.copy(red / "0.png", red / f"copy-{number}.png")
        (red / f"broken-{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    ended = nacre("inspect", task, "--no-features")
    assert "cannot be used: 12" in ended.out
    assert "and 2 more; `nacre inspect` with --report or --output json shows more" in ended.out
    ended = nacre("inspect", task, "--no-features", "--shown", "4")
    assert "and 8 more; `nacre inspect` with --shown 12 and --report or --output js" in ended.out


@pytest.mark.slow
def test_a_check_over_http_ends_as_the_submission_would(
    nacre: Command, write_task: WriteTask, store: FileStore, tmp_path: Path
) -> None:
    task = write_task()
    broken = task.parent / "images" / "red" / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    routes = routes_of(Client(Config(store=f"file://{tmp_path}/store")))
    with served(routes.app) as url:
        checked = nacre("--url", url, "submit", task, "--check")
        submitted = nacre("--url", url, "submit", task)
    assert checked.code == submitted.code == 2
    assert str(broken) in checked.out
    assert checked.err.endswith(submitted.err)
    assert submission_ids(store) == []
