"""Shared states: what has learnt from a task goes with it, and what is needed stays."""

from pathlib import Path

import pytest

from adapters.errors import InputError, NotFoundError
from tests.support.scenes.registry import ANNA, BEN, adapter, learn_sharing, state
from workers.registry import (
    Action,
    Manifest,
    RegisteredAdapter,
    TaskRef,
    collect,
    drop,
    export_version,
    import_version,
    latest_drop,
    left_out_with,
    purge,
    read_version,
    verify,
)
from workers.store import MemoryStore, ObjectStore


def shared_states(store: ObjectStore, main: RegisteredAdapter) -> dict[int, bytes | None]:
    """Return by version the bytes of its shared state; None where they are nowhere in the store."""
    stored = {listed.key.rsplit("/", 1)[1] for listed in store.list("adapters/")}
    found = dict[int, bytes | None]()
    for entry in main.history():
        if entry.published is not None:
            manifest = main.objects.manifest(entry.published.manifest)
            assert manifest.shared is not None
            there = manifest.shared.sha256 in stored
            found[manifest.number] = main.shared_bytes(manifest) if there else None
    return found


def test_purging_removes_every_shared_state_that_has_learnt_from_the_task() -> None:
    store = MemoryStore()
    main = adapter(store)
    learn_sharing(main, "a", "b", "c")
    main.rollback(1, by=ANNA)
    learn_sharing(main, "d")
    done = purge(main, "b", by=BEN)
    assert done.versions == (2, 3)
    assert len(done.keys) == 3  # the record, and the states of versions 2 and 3
    kept = shared_states(store, main)
    assert [number for number, found in kept.items() if found is None] == [3, 2]
    assert state(main)["head"] == ("a", "d")
    assert verify(store, "main").clean


def test_a_version_that_shares_such_a_state_can_be_looked_at_but_not_served(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    main = adapter(store)
    learn_sharing(main, "a", "b")
    learn_sharing(main, "c", replaces="b")  # it has no record of b, and goes on from its state
    with pytest.raises(
        InputError, match=r"in head \(version 3\), production \(version 3\) has learnt from 'b'"
    ):
        purge(main, "b", by=BEN)
    main.rollback(1, by=ANNA)
    assert purge(main, "b", by=BEN).versions == (2, 3)
    assert read_version(main, 3).purged == ("b",)
    for move in (main.rollback, main.promote):
        with pytest.raises(InputError, match=r"3 .* has learnt from task 'b', which 'ben' purged"):
            move(3, by=ANNA)
    with pytest.raises(NotFoundError, match="'b' was purged by 'ben'"):
        export_version(main, 3, tmp_path / "three.tar")
    assert purge(main, "b", by=BEN).keys == ()  # what is gone is neither an error nor told again
    assert [entry.action for entry in main.history()].count(Action.PURGE) == 1


def test_a_task_is_not_dropped_alone_where_later_ones_share_a_state_that_has_learnt_from_it() -> (
    None
):
    store = MemoryStore()
    main = adapter(store)
    learn_sharing(main, "a", "b", "c", "d")
    before = main.refs()
    with pytest.raises(InputError, match=r"from 'b', and 'c', 'd' were .*--relearn.*rollback 1`"):
        drop(main, "b", by=ANNA)
    with pytest.raises(InputError, match="cannot be learnt again"):
        drop(main, "b", by=ANNA, learn_again=refusing)
    with pytest.raises(NotFoundError, match="no task 'x'; it has: a, b, c, d"):
        drop(main, "x", by=ANNA, learn_again=refusing)
    assert main.refs() == before


def refusing(tasks: tuple[TaskRef, ...]) -> None:
    raise InputError(f"{[task.task for task in tasks]} cannot be learnt again")


def test_what_is_learnt_after_a_dropped_task_is_left_out_with_it_to_be_learnt_again() -> None:
    store, asked = MemoryStore(), list[tuple[TaskRef, ...]]()
    main = adapter(store)
    learn_sharing(main, "a", "b", "c", "d")
    dropped = drop(main, "b", by=BEN, promoted=True, learn_again=asked.append)
    first = main.manifest(1)
    assert state(main) == dict.fromkeys(("head", "production"), ("a",))
    assert main.shared_bytes(dropped) == main.shared_bytes(first)
    assert main.accuracies(dropped.number) == main.accuracies(1) != ()
    assert next(main.history()).detail == {"dropped": "b, c, d"}
    assert left_out_with(main, dropped, "b") == asked[0] == main.manifest(4).tasks[2:]
    learn_sharing(main, "c")
    found = latest_drop(main, "b")
    assert found is not None
    assert found.number == dropped.number
    assert latest_drop(main, "a") is None
    assert purge(main, "b", by=BEN).versions == (2, 3, 4)
    assert state(main)["production"] == ("a", "c")
    assert verify(store, "main").clean


def test_the_latest_and_the_first_task_are_dropped_with_what_their_state_has_learnt() -> None:
    main = adapter(MemoryStore())
    learn_sharing(main, "a", "b")
    dropped = drop(main, "b", by=BEN)  # nothing was learnt after it
    assert main.shared_bytes(dropped) == main.shared_bytes(main.manifest(1))
    learn_sharing(main, "c")
    emptied = drop(main, "a", by=BEN, learn_again=lambda _tasks: None)
    assert (emptied.tasks, emptied.shared) == ((), None)
    assert [task.task for task in left_out_with(main, emptied, "a")] == ["c"]


def test_production_stays_where_everything_that_it_holds_is_learnt_again() -> None:
    main = adapter(MemoryStore())
    learn_sharing(main, "a", "b")
    with pytest.raises(InputError, match="cannot be learnt again"):
        drop(main, "a", by=BEN, promoted=True, learn_again=refusing)
    drop(main, "a", by=BEN, promoted=True, learn_again=lambda _tasks: None)
    assert state(main) == {"head": (), "production": ("a", "b")}
    learn_sharing(main, "c")
    before = main.refs()
    with pytest.raises(InputError, match="holds no task"):  # and nothing would be learnt again
        drop(main, "c", by=BEN, promoted=True, learn_again=lambda _tasks: None)
    assert main.refs() == before


def test_a_task_that_is_not_in_head_is_dropped_where_its_state_has_learnt_from_it() -> None:
    main = adapter(MemoryStore())
    learn_sharing(main, "a", "b")
    learn_sharing(main, "c", replaces="b")
    with pytest.raises(InputError, match="from 'b', and 'c' was learnt on it afterwards"):
        drop(main, "b", by=BEN)
    dropped = drop(main, "b", by=BEN, promoted=True, learn_again=lambda _tasks: None)
    assert [task.task for task in left_out_with(main, dropped, "b")] == ["c"]
    assert purge(main, "b", by=BEN).versions == (2, 3)
    with pytest.raises(NotFoundError, match="no task 'b'"):
        drop(main, "b", by=BEN)


def test_a_state_begun_anew_has_not_learnt_from_the_task_that_was_replaced() -> None:
    store = MemoryStore()
    main = adapter(store)
    learn_sharing(main, "a")
    learn_sharing(main, "b", replaces="a")
    learn_sharing(main, "c")
    assert purge(main, "a", by=BEN).versions == (1,)
    assert state(main)["production"] == ("b", "c")


def test_garbage_is_every_shared_state_that_no_version_needs_and_no_other() -> None:
    store = MemoryStore()
    main = adapter(store)
    learn_sharing(main, "a", "b", "c")
    main.rollback(1, by=ANNA)
    needed = shared_states(store, main)
    orphan = next(iter(store.list("adapters/main/000000/records/"))).key[:-64] + "0" * 64
    store.put(orphan, b"a state that lost its race")
    assert collect(main, now=2.0**40, grace_s=0.0, dry_run=False).keys == (orphan,)
    assert shared_states(store, main) == needed
    assert verify(store, "main").clean
    gone = states_of(main, 2, 3)
    purge(main, "b", by=BEN)
    for key, content in gone.items():
        store.put(key, content)  # as if it had been interrupted before they were removed
    found = collect(main, now=2.0**40, grace_s=0.0, dry_run=False)
    assert set(gone) <= set(found.keys)
    assert [number for number, each in shared_states(store, main).items() if each] == [1]


def test_a_shared_state_that_is_gone_is_said_with_the_version_that_needs_it() -> None:
    store = MemoryStore()
    main = adapter(store)
    learn_sharing(main, "a", "b", "c")
    (key,) = states_of(main, 2)
    store.delete(key)
    (problem,) = verify(store, "main").problems
    assert (problem.key, problem.used_by) == (key, "version 2")
    assert "version 2 needs it" in problem.message


def states_of(main: RegisteredAdapter, *numbers: int) -> dict[str, bytes]:
    manifests: list[Manifest] = [main.manifest(number) for number in numbers]
    digests = [each.shared.sha256 for each in manifests if each.shared]
    store = main.objects.store
    keys = [each.key for each in store.list("adapters/") if each.key.endswith(tuple(digests))]
    return {key: store.get(key).data for key in keys}


def test_a_state_that_was_learnt_without_the_task_as_well_goes_with_no_purge_of_it() -> None:
    store = MemoryStore()
    main = adapter(store)
    learn_sharing(main, "a")
    with pytest.raises(InputError, match="still in head"):
        purge(main, "a", by=BEN)
    drop(main, "a", by=BEN)  # with no task left, the next one begins anew
    again = learn_sharing(main, "b", leaving="begun a")  # a task of one class moves nothing
    assert again.shared == main.manifest(1).shared
    done = purge(main, "a", by=BEN)
    assert done.versions == (1,)
    assert state(main) == dict.fromkeys(("head", "production"), ("b",))
    assert main.shared_bytes(again)
    assert verify(store, "main").clean


def test_an_imported_version_says_nothing_about_a_state_that_is_known(tmp_path: Path) -> None:
    store, other = MemoryStore(), adapter(MemoryStore())
    main = adapter(store)
    learn_sharing(main, "a", "b")
    learn_sharing(main, "c", replaces="b", leaving="what b has taught")
    main.rollback(1, by=ANNA)
    learn_sharing(other, "c", leaving="what b has taught")
    export_version(other, 1, tmp_path / "one.tar")
    found = import_version(main, tmp_path / "one.tar", by=ANNA, aliases=("beside",))
    assert found.is_new
    assert found.manifest.shared == main.manifest(3).shared
    with pytest.raises(InputError, match=r"in beside .* has learnt from 'b'"):
        purge(main, "b", by=BEN)
