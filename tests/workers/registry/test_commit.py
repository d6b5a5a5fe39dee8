"""Publishing versions: requirements, races, and what losers are told."""

import itertools

import pytest

from adapters.errors import (
    ConflictError,
    EncoderMismatchError,
    InputError,
    MissingError,
    NotFoundError,
)
from tests.support.scenes.registry import (
    ANNA,
    BEN,
    BOTH,
    adapter,
    addition,
    learn,
    record_of,
    registry,
    shared_of,
    state,
)
from workers.registry import Commit, EpochIs, HeadIs, Inline, RaceRetry, SetShared
from workers.registry.commit import DropTask
from workers.registry.documents.manifest import MAX_SUBMISSION_BYTES
from workers.store import BlobCache, MemoryStore
from workers.store.testing import RecordingStore, WrappedStore


def test_a_version_knows_its_parent_its_tasks_and_where_they_came_from() -> None:
    main = adapter(MemoryStore())
    learn(main, "flowers", "digits")
    manifest = main.manifest("head")
    assert manifest.number == 2
    assert manifest.parent is not None
    assert manifest.parent.number == 1
    assert [task.task for task in manifest.tasks] == ["flowers", "digits"]
    assert manifest.tasks[1].submission == "digits-0123456789ab"
    assert (manifest.encoder, manifest.method, manifest.created) == ("tiny", "lada", 1_000.0)
    assert manifest.provenance.images == {"train": "ab" * 32}
    assert manifest.class_count == 20
    assert main.accuracies(2)[0].accuracy == 0.9


def test_head_and_production_move_in_the_same_instant_or_head_alone() -> None:
    main = adapter(MemoryStore())
    main.commit(addition("flowers", parent=None, aliases=BOTH), by=ANNA)
    main.commit(addition("digits", parent=1), by=ANNA)
    assert state(main) == {"head": ("flowers", "digits"), "production": ("flowers",)}


def test_two_committers_on_one_parent_one_wins_and_the_loser_is_told_the_winner() -> None:
    main = adapter(MemoryStore())
    learn(main, "flowers")
    main.commit(addition("digits", parent=1), by=ANNA)
    with pytest.raises(ConflictError, match="expected version 1, found 2 by 'anna'") as caught:
        main.commit(addition("fashion", parent=1), by=BEN)
    assert caught.value.fields["winner"] == "anna"
    assert state(main)["head"] == ("flowers", "digits")


def test_a_race_lost_to_something_harmless_is_run_again() -> None:
    store = MemoryStore()

    class Fenced(WrappedStore):
        """Lets somebody raise the epoch right before the first replacement."""

        raced = False

        def before(self, operation: str, key: str) -> None:  # noqa: ARG002
            if operation == "replace" and not self.raced:
                self.raced = True
                adapter(store, seed=2).fence("ben")

    adapter(store)
    main = adapter(Fenced(store))
    main.commit(addition("flowers", parent=None), by=ANNA)
    assert state(main) == {"head": ("flowers",)}
    assert main.refs().fence.owner == "ben"


def test_a_loser_that_finds_its_own_submission_reports_its_version() -> None:
    main = adapter(MemoryStore())
    learn(main, "flowers", "digits", "fashion")
    manifest = main.commit(addition("digits", parent=1), by=BEN)
    assert manifest.number == 2
    assert main.refs().next_version == 4
    assert main.find_submission("digits-0123456789ab") == 2
    assert main.find_submission("birds-0123456789ab") is None
    assert adapter(MemoryStore()).find_submission("digits-0123456789ab") is None


def test_a_trainer_after_which_another_has_begun_cannot_publish() -> None:
    main = adapter(MemoryStore())
    old = main.fence("anna")
    main.fence("ben")
    commit = Commit(
        updates=addition("flowers", parent=None).updates,
        requirements=(HeadIs(None), EpochIs(old.epoch)),
        encoder="tiny",
        method="lada",
        settings={},
    )
    with pytest.raises(ConflictError, match=r"'ben' has begun.* expected epoch 1, found 2"):
        main.commit(commit, by=ANNA)
    assert state(main) == {}


def test_an_adapter_keeps_the_encoder_of_its_first_version() -> None:
    main = adapter(MemoryStore())
    learn(main, "flowers")
    commit = addition("digits", parent=1)
    other = Commit(updates=commit.updates, encoder="huge", method="lada", settings={})
    with pytest.raises(EncoderMismatchError, match="learnt with encoder 'tiny'"):
        main.commit(other, by=ANNA)


@pytest.mark.parametrize(
    ("commit", "sentence"),
    [
        (Commit(updates=addition("x", parent=None).updates), "must name its encoder"),
        (Commit(updates=(), encoder="tiny"), "must name its method"),
        (Commit(updates=(DropTask(task="x"),), encoder="tiny"), "there is no version yet"),
        (addition("x" * 65, parent=None), "cannot be a task name"),
        (addition('quo"te', parent=None), "cannot be a task name"),
        (addition("x", parent=None, aliases=("12",)), "cannot name an alias"),
    ],
)
def test_an_impossible_first_version_is_refused(commit: Commit, sentence: str) -> None:
    store = RecordingStore(MemoryStore())
    main = adapter(store)
    store.reset()
    with pytest.raises(InputError, match=sentence):
        main.commit(commit, by=ANNA)
    assert not store.operations["put"] + store.operations["replace"]


def test_a_task_name_is_used_once() -> None:
    main = adapter(MemoryStore())
    learn(main, "flowers")
    commit = Commit(updates=addition("flowers", parent=1).updates)
    with pytest.raises(InputError, match="there is a task 'flowers' already"):
        main.commit(commit, by=ANNA)


def test_shared_state_belongs_to_its_version() -> None:
    main = adapter(MemoryStore())
    learn(main, "flowers")
    main.commit(Commit(updates=(SetShared(state=Inline(shared_of("shared"))),)), by=ANNA)
    assert main.shared_bytes(main.manifest(2)) == shared_of("shared")
    assert main.shared_bytes(main.manifest(1)) is None


def test_an_adapter_that_does_not_exist_is_named_with_what_to_do() -> None:
    main = registry(MemoryStore()).adapter("main")
    with pytest.raises(NotFoundError, match="no adapter 'main'"):
        main.refs()


def test_creating_twice_keeps_what_is_there() -> None:
    store = MemoryStore()
    learn(adapter(store), "flowers")
    assert state(adapter(store, seed=1)) == {"head": ("flowers",), "production": ("flowers",)}
    assert list(registry(store).adapters()) == ["main"]


def test_a_store_where_every_race_is_lost_is_given_up_after_the_named_attempts() -> None:
    class Busy(WrappedStore):
        tries = 0

        def before(self, operation: str, key: str) -> None:  # noqa: ARG002
            if operation == "replace":
                self.tries += 1
                raise ConflictError("somebody else was first")

    store = Busy(MemoryStore())
    adapter(store)
    waits: list[float] = []
    opened = registry(store, retry=RaceRetry(attempts=7))
    opened._sleep = waits.append
    with pytest.raises(ConflictError, match="lost 7 races in a row; nothing was changed"):
        opened.adapter("main").fence("anna")
    assert store.tries == 7
    assert all(0 <= wait <= 0.005 * 2**n for n, wait in enumerate(waits))


def test_the_cost_of_a_commit_depends_on_the_new_task_alone() -> None:
    store = RecordingStore(MemoryStore())
    requests, sent = [], []
    for number in range(40):
        main = adapter(store)  # a new process that remembers nothing
        store.reset()
        learn(main, f"task-{number:02d}")
        requests.append(sum(store.operations.values()))
        sent.append(store.sent)
    assert max(requests) <= 12
    assert max(after - before for before, after in itertools.pairwise(sent[2:])) <= 200


def test_a_line_of_a_manifest_takes_at_most_200_bytes() -> None:
    main = adapter(MemoryStore())
    sizes = []
    for number in range(4):
        head = main.refs().find("head")
        name = f"{number}{'ü' * 31}x"  # 64 bytes, the longest
        commit = addition(name, parent=head.number if head else None)
        assert len(name.encode()) == 64
        assert len("-0123456789ab") <= MAX_SUBMISSION_BYTES
        sizes.append(len(main.commit(commit, by=ANNA).to_bytes()))
    assert sizes[3] - sizes[2] <= 200


def test_opening_production_reads_one_manifest_and_only_what_the_cache_lacks(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = RecordingStore(MemoryStore())
    learn(adapter(store), *(f"task-{number}" for number in range(20)))
    cache = BlobCache(tmp_path_factory.mktemp("cache"), 10**6)
    for task in registry(store, cache=cache).adapter("main").manifest("production").tasks:
        registry(store, cache=cache).adapter("main").record_bytes(task)
    learn(adapter(store, seed=1), "one-more")
    store.reset()
    main = registry(store, cache=cache).adapter("main")
    records = [main.record_bytes(task) for task in main.manifest("production").tasks]
    assert records[-1] == record_of("one-more")
    assert len(records) == 21
    assert [operation for operation, _ in store.keys] == ["get", "get_range", "get_range"]


def test_a_record_that_nobody_purged_but_is_gone_is_damage() -> None:
    store = MemoryStore()
    main = adapter(store)
    manifest = learn(main, "flowers")
    key = next(listed.key for listed in store.list("adapters/") if "/records/" in listed.key)
    store.delete(key)
    with pytest.raises(MissingError, match=rf"{key}.*is missing.*'flowers'"):
        main.record_bytes(manifest.tasks[0])
