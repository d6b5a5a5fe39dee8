"""What a store has lost of what was told to be published: found by `verify`, mended by `settle`."""

from pathlib import Path

import pytest

from adapters.errors import ConflictError, ForkedError, InputError
from cluster.client.client import Client
from cluster.config import Config
from tests.support.scenes.registry import ANNA, BOTH, record_of
from tests.support.scenes.submissions import submission, written
from tests.support.scenes.tickets import set_ticket
from workers.access.audit import Outcome
from workers.queue.ticket import Stage
from workers.registry import AddRecord, Commit, Inline, Registry
from workers.registry.documents.layout import refs_key
from workers.store import FileStore

KEY = refs_key("main")


def publish(store: FileStore, task: str) -> None:
    """Publish a task as the queue does, and write its ticket."""
    entry = written(store, submission(task))
    record = AddRecord(
        task=task, submission=entry.submission_id, record=Inline(record_of(task)), classes=2
    )
    commit = Commit(updates=(record,), encoder="tiny", method="lada", settings={}, aliases=BOTH)
    number = Registry(store).create("main").commit(commit, by=ANNA).number
    set_ticket(store, entry.submission_id, stage=Stage.PUBLISHED, version=number)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Return a client of a store that was restored from before its last publication."""
    folder = tmp_path / "store"
    writer = FileStore(folder)
    publish(writer, "ants")
    before = writer.get(KEY).data
    publish(writer, "birds")
    writer.put(KEY, before)
    return Client(Config(store=f"file://{folder}"))


def test_verify_finds_what_the_history_does_not_know(client: Client) -> None:
    (problem,) = client.verify().problems
    assert problem.used_by == "birds-0123456789ab"
    assert "published as version 2, which the history has lost" in problem.message
    assert "nacre settle --adapter main --why" in problem.message


def test_settling_publishes_it_again_and_all_is_well(client: Client) -> None:
    with pytest.raises(InputError, match="expected a reason"):
        client.settle()
    (found,) = client.settle(why="restored from the backup of yesterday")
    assert (found.version, found.note) == (2, "")
    assert [task.task for task in client.show("head").manifest.tasks] == ["ants", "birds"]
    assert client.verify().clean
    assert client.settle(why="once more") == ()


def test_the_one_who_lost_it_publishes_nothing_until_then(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = FileStore(folder)
    publish(store, "ants")
    before = store.get(KEY).data
    publish(store, "birds")
    store.put(KEY, before)
    with pytest.raises(ForkedError, match="commit of version 2"):
        publish(store, "cars")
    client = Client(Config(store=f"file://{folder}"))
    assert "has lost an acknowledged change: commit" in client.verify().problems[0].message
    client.settle(why="restored")
    assert client.verify().clean


def test_nothing_is_collected_that_may_be_published_again(client: Client) -> None:
    with pytest.raises(ConflictError, match=r"has lost birds-0123456789ab.*nacre settle"):
        client.gc(grace_s=0, dry_run=False)
    client.settle(why="restored")
    client.gc(grace_s=0, dry_run=False)
    assert client.verify().clean


def test_what_is_gone_for_good_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = FileStore(folder)
    publish(store, "ants")
    before = {listed.key for listed in store.list("adapters/")}, store.get(KEY).data
    publish(store, "birds")
    store.put(KEY, before[1])
    for listed in list(store.list("adapters/")):
        if listed.key not in before[0]:
            store.delete(listed.key)
    (found,) = Client(Config(store=f"file://{folder}")).settle(why="restored")
    assert (found.lost, found.version) == ("birds-0123456789ab", None)
    assert "submit it again" in found.note


def test_where_nothing_is_lost_settling_is_done_as_whatever_is_so_already(client: Client) -> None:
    client.settle(by="anna", why="the old disk is back")
    assert client.settle(by="anna", why="again") == ()
    assert [entry.outcome for entry in client.audit()] == [Outcome.DONE, Outcome.DONE]
