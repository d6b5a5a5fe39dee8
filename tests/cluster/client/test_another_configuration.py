"""A file that was changed under a running system: what is carried, refused, and told."""

import io
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import SettingsError
from cluster.api.places import Places
from cluster.api.task_handlers import TaskHandlers
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.client.tasks import load_task
from cluster.config import AdapterConfig, Config, ServeConfig
from cluster.running_config import published
from tests.support.scenes.registry import learn
from workers.queue.leadership import Leadership, release_leadership, take_leadership
from workers.registry import Registry
from workers.store import MemoryStore
from workers.store.testing import WrappedStore
from workers.tasks.submission import Learning, read_submission

WriteTask = Callable[..., Path]
NOW = Config(store="memory://x", adapters={"am": AdapterConfig(method="gda")})
RAN = replace(NOW, adapters={})


def coordinated(store: MemoryStore, config: Config = RAN) -> Leadership:
    """Let a system that was started with `config` coordinate."""
    return take_leadership(
        store,
        owner="ray",
        host="node-7",
        ttl_s=3_000.0,
        now=time.time(),
        configuration=published(config),
    )


def test_a_submission_carries_the_method_and_all_settings_that_it_was_checked_with(
    write_task: WriteTask,
) -> None:
    store = MemoryStore()
    coordinated(store)
    path = write_task(keys="settings: {fusion: alone}\nadapter: am")
    intake = Client(NOW, store=store).submit(path)
    expected = Learning(method="gda", settings={"fusion": "alone", "alpha": None})
    assert intake.submission.learning == expected
    assert intake.submission.settings == {"fusion": "alone"}
    different, unserved = intake.warnings
    assert "they differ in adapters.am.method; `nacre up` applies" in different
    assert "no replica serves adapter 'am' (served: main)" in unserved
    assert intake.notes()[-2:] == intake.warnings


def test_nothing_is_told_where_nothing_differs_or_nobody_coordinates(
    write_task: WriteTask,
) -> None:
    store, served = MemoryStore(), replace(NOW, serve=ServeConfig(adapters=("am",)))
    client, path = Client(served, store=store), write_task(keys="adapter: am")
    assert client.submit(path).warnings == ()
    lead = coordinated(store, served)
    assert client.submit(path).warnings == ()
    release_leadership(store, lead)
    assert Client(NOW, store=store).running_config() is None


class Counting(WrappedStore):
    """Counts the writes of images."""

    shards = 0

    def before(self, operation: str, key: str) -> None:
        self.shards += operation in ("put", "create") and key.startswith("shards/")


def test_a_method_that_the_adapter_does_not_have_is_refused_before_anything_is_stored(
    write_task: WriteTask,
) -> None:
    store = Counting(MemoryStore())
    learn(Registry(store).create("am"), "fashion")
    client = Client(NOW, store=store)
    with pytest.raises(SettingsError, match=r"by 'lada' \(version 1\).*'gda'.*method: lada"):
        client.submit(write_task(keys="adapter: am"))
    assert (store.shards, client.queue().states) == (0, ())


def test_the_first_task_on_its_way_decides_where_nothing_is_published(
    write_task: WriteTask,
) -> None:
    store, path = MemoryStore(), write_task(keys="adapter: am")
    Client(NOW, store=store).submit(path)
    with pytest.raises(SettingsError, match=r"'colors', is on its way.*method: gda"):
        Client(RAN, store=store).submit(path)


def test_settings_that_tasks_have_to_share_are_compared_at_once(write_task: WriteTask) -> None:
    client = Client(NOW, store=MemoryStore())
    path = write_task(keys="adapter: am\nsettings: {fusion: alone}\nshared_names: keep")
    client.submit(path)
    other = replace(load_task(path, NOW), name="others", settings={})
    with pytest.raises(SettingsError, match=r"'fusion': expected 'alone'.*found 'text'"):
        client.submit(other)


def test_a_task_that_names_no_adapter_grows_the_configured_one(write_task: WriteTask) -> None:
    config = replace(NOW, adapter="am")
    submission = Client(config, store=MemoryStore()).submit(write_task()).submission
    assert (submission.adapter, submission.learning and submission.learning.method) == ("am", "gda")


def test_a_replica_checks_by_what_the_system_follows_by_now(write_task: WriteTask) -> None:
    store = MemoryStore()
    coordinated(store, NOW)
    client = Client(RAN, store=store)
    handlers = TaskHandlers(client, Places.of(RAN))
    path = write_task(keys="adapter: am")
    with io.BytesIO() as archive, tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(path.parent / "images", arcname="images")
        tar.close()
        archive.seek(0)
        accepted = handlers.submit(path.read_bytes(), archive, by=Requester(name="anna"))
    assert [note for note in accepted.notes if "another configuration" in note] == []
    submission = read_submission(store, accepted.submission.submission_id)
    assert submission.learning == Learning(method="gda", settings={"fusion": "text", "alpha": None})


def test_whoever_starts_a_system_hears_of_adapters_with_another_method_than_configured() -> None:
    store = MemoryStore()
    learn(Registry(store).create("am"), "birds")
    learn(Registry(store).create("main"), "fishes")
    Registry(store).create("empty")
    (said,) = Client(NOW, store=store).contradicted()
    assert said.startswith("adapter 'am' is learnt by 'lada' (version 1), and the configuration ")
    assert "says 'gda': tasks for it are refused until" in said
    assert "`adapters: {am: {method: lada}}`" in said
    assert Client(RAN, store=store).contradicted() == []
