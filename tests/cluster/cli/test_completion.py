"""Completion in a shell: names as the store has them, at once or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from cluster.cli.main import cli
from tests.support.drivers.command import Command
from tests.support.scenes.registry import learn
from tests.support.scenes.tickets import set_ticket
from workers.queue.progress import read_queue
from workers.queue.ticket import Stage
from workers.registry import Registry
from workers.store import FileStore


@pytest.fixture
def scene(nacre: Command, tmp_path: Path, write_task: Callable[..., Path]) -> Command:
    learn(Registry(FileStore(tmp_path / "store")).create("main"), "digits", "fashion")
    nacre("submit", write_task())
    return nacre


def completed(*words: str) -> list[str]:
    """Return what a shell offers for the last of some words."""
    *before, begun = words
    shell = ShellComplete(cli, {}, "nacre", "_NACRE_COMPLETE")
    return [found.value for found in shell.get_completions(before, begun)]


OFFERED = [
    (("pro",), ["promote"]),
    (("versions", "--ad"), ["--adapter"]),
    (("versions", "--adapter", "m"), ["main"]),
    (("pause", ""), ["main"]),
    (("show", ""), ["1", "2", "head", "production"]),
    (("show", "--adapter", "main", "pr"), ["production"]),
    (("diff", "1", "h"), ["head"]),
    (("rollback", "1"), ["1"]),
    (("drop", "di"), ["digits"]),
    (("purge", "f"), ["fashion"]),
    (("cancel", "col"), None),
    (("promote", "1", "--alias", ""), ["production"]),
    (("alias", ""), ["production"]),
    (("predict", "--task", ""), ["digits", "fashion"]),
    (("show", "--adapter", "gone", ""), []),
]


@pytest.mark.parametrize(("words", "offered"), OFFERED)
@pytest.mark.usefixtures("scene")
def test_names_are_completed_from_the_store(
    words: tuple[str, ...], offered: list[str] | None
) -> None:
    found = completed(*words)
    if offered is None:  # the task, and the id that begins with its name
        assert found[0] == "colors"
        assert found[1].startswith("colors-")
    else:
        assert found == offered


GONE = [
    (("drop", ""), ["fashion"]),
    (("purge", ""), ["fashion"]),
    (("predict", "--task", ""), ["fashion"]),
    (("predict", "--version", "2", "--task", ""), ["digits", "fashion"]),
    (("show", ""), ["1", "2", "3", "head", "production"]),
    *(((verb, ""), ["3", "head", "production"]) for verb in ("promote", "rollback", "export")),
    (("alias", "mine", ""), ["3", "head", "production"]),
]


@pytest.mark.parametrize(("words", "offered"), GONE)
def test_what_was_dropped_and_purged_is_not_offered_to_verbs_that_would_refuse_it(
    scene: Command, words: tuple[str, ...], offered: list[str]
) -> None:
    scene("drop", "digits", "--promote")
    scene("purge", "digits", "--yes")
    assert completed(*words) == offered


STAGES = [
    (Stage.TRAINING, {"cancel", "watch", "retry", "status", "logs"}),
    (Stage.PUBLISHED, {"status", "logs"}),
    (Stage.REJECTED, {"retry", "status", "logs"}),
    (Stage.CANCELLED, {"retry", "status", "logs"}),
]


@pytest.mark.parametrize(("stage", "verbs"), STAGES)
@pytest.mark.usefixtures("scene")
def test_submissions_are_offered_to_the_verbs_that_can_change_them(
    tmp_path: Path, stage: Stage, verbs: set[str]
) -> None:
    store = FileStore(tmp_path / "store")
    (state,) = read_queue(store).states
    set_ticket(store, state.ticket.submission_id, stage=stage, version=3)
    offering = {
        verb for verb in ("cancel", "watch", "retry", "status", "logs") if completed(verb, "col")
    }
    assert offering == verbs


@pytest.mark.parametrize("url", ["ftp://nowhere", "file:///dev/null/store", "s3://b/p?endpoint=x"])
@pytest.mark.usefixtures("nacre")
def test_a_store_that_cannot_be_asked_completes_nothing_and_says_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NACRE_STORE", url)
    assert completed("show", "") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("nacre")
def test_another_configuration_is_asked_where_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NACRE_STORE")
    learn(Registry(FileStore(tmp_path / "other")).create("elsewhere"), "digits")
    (tmp_path / "other.yaml").write_text(f"store: file://{tmp_path}/other\n")
    found = completed("--config", str(tmp_path / "other.yaml"), "pause", "")
    assert found == ["elsewhere"]
