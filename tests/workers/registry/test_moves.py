"""Moving aliases, raising the epoch, and looking back."""

from pathlib import Path

import pytest

from adapters.errors import ConflictError, InputError, NotFoundError
from tests.support.scenes.registry import ANNA, BEN, adapter, addition, learn, record_of, state
from workers.registry import Action, Fence, diff, export_version, import_version
from workers.store import MemoryStore
from workers.store.testing import RecordingStore


def test_rollback_moves_production_and_head_together_and_numbers_go_on_rising() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b", "c", "d", "e")
    assert main.rollback(3, by=BEN) == 3
    assert state(main) == {"head": ("a", "b", "c"), "production": ("a", "b", "c")}
    manifest = learn(main, "f")
    assert manifest.number == 6
    assert manifest.parent is not None
    assert manifest.parent.number == 3
    assert main.manifest(5).class_count == 50  # nothing was deleted


def test_rollback_for_serving_only_leaves_head() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    main.rollback(1, by=BEN, serving_only=True)
    assert state(main) == {"head": ("a", "b"), "production": ("a",)}


def test_rollback_does_not_start_serving_what_was_never_promoted() -> None:
    main = adapter(MemoryStore())
    main.commit(addition("a", parent=None), by=ANNA)
    main.commit(addition("b", parent=1), by=ANNA)
    main.rollback(1, by=ANNA)
    assert state(main) == {"head": ("a",)}


def test_a_training_that_started_from_the_abandoned_head_loses() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    main.rollback(1, by=BEN)
    with pytest.raises(ConflictError, match=r"expected version 2, found 1 by 'ben' \(rollback\)"):
        main.commit(addition("c", parent=2), by=ANNA)


def test_promotion_and_aliases_of_ones_own() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    main.alias("canary", "head", by=ANNA)
    main.alias("2026-q3", 1, by=ANNA)
    main.promote("2026-q3", by=ANNA, expected=2)
    assert state(main)["production"] == ("a",)
    main.promote("canary", by=ANNA)
    main.remove_alias("2026-q3", by=ANNA)
    assert state(main) == dict.fromkeys(("head", "production", "canary"), ("a", "b"))
    with pytest.raises(NotFoundError, match="no alias '2026-q3'; it has: canary, head, production"):
        main.resolve("2026-q3")


@pytest.mark.parametrize("alias", ["head", "12", "", "a/b", ".x", "x" * 65])
def test_names_that_cannot_be_aliases_are_refused(alias: str) -> None:
    main = adapter(MemoryStore())
    learn(main, "a")
    with pytest.raises(InputError):
        main.alias(alias, 1, by=ANNA)


def test_a_promotion_that_expects_another_version_is_told_what_is_there() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b", "c")
    with pytest.raises(ConflictError, match="'production' of 'main' moved: expected version 2"):
        main.promote(1, by=BEN, expected=2)
    with pytest.raises(ConflictError, match="expected version none, found 3"):
        main.promote(1, by=BEN, expected=None)


def test_the_history_says_who_moved_what_when_and_why() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    main.rollback(1, by=BEN)
    latest, *_, first = main.history()
    assert (latest.action, latest.author) == (Action.ROLLBACK, BEN)
    assert latest.moves == {"head": (2, 1), "production": (2, 1)}
    assert first.moves == {"head": (None, 1), "production": (None, 1)}
    assert first.detail == {"added": "a", "submission": "a-0123456789ab"}
    assert [entry.index for entry in main.history()] == [2, 1, 0]


def test_a_move_that_changes_nothing_is_no_move() -> None:
    main = adapter(MemoryStore())
    learn(main, "a")
    main.promote(1, by=ANNA)
    main.remove_alias("never-was", by=ANNA)
    assert len(list(main.history())) == 1


def test_any_version_is_found_by_number_in_few_reads() -> None:
    store = RecordingStore(MemoryStore())
    main = adapter(store)
    for number in range(300):
        learn(main, f"t{number}")
        main.promote(max(1, number - 3), by=ANNA)  # moves lie between the commits
    for number in (1, 2, 150, 256, 299):
        fresh = adapter(store, seed=1)
        store.reset()
        assert fresh.version(number).number == number
        assert sum(store.operations.values()) <= 1 + 4 * 10  # log2(600) is 10
    assert [main.resolve(str(number)) for number in range(1, 301)] == list(range(1, 301))


@pytest.mark.parametrize("version", [0, 3, "3", -1, "nowhere"])
def test_a_version_that_was_never_published_is_not_found(version: int | str) -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    with pytest.raises(NotFoundError):
        main.manifest(version)


def test_whoever_begins_to_learn_raises_the_epoch_and_moves_no_alias() -> None:
    main = adapter(MemoryStore())
    first, second = main.fence("anna"), main.fence("ben")
    assert (first.epoch, second.epoch) == (1, 2)
    assert main.refs().fence == second == Fence(owner="ben", epoch=2)
    assert not list(main.history())


PUBLICATIONS = [
    # submission, published later than; the version that is found
    ("c", 0, 3),
    ("c", 2, 3),
    # not later than that one itself
    ("c", 3, None),
    ("d", 3, 4),
    # an earlier one, whatever came behind it
    ("a", 0, 1),
    ("a", 1, None),
    ("x", 0, None),
]


@pytest.mark.parametrize(("task", "after", "version"), PUBLICATIONS)
@pytest.mark.parametrize("rolled_back", [False, True])
def test_a_publication_is_found_wherever_the_aliases_point(
    task: str, after: int, version: int | None, rolled_back: bool
) -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b", "c")
    main.commit(addition("d", parent=3, aliases=()), by=ANNA)  # as the gate does that refuses it
    if rolled_back:
        main.rollback(1, by=BEN)
        main.alias("canary", 2, by=BEN)
    found = main.publication(f"{task}-0123456789ab", after=after)
    assert (found and found.published and found.published.number) == version
    if found is not None:
        assert ("head" in found.moves) == (task != "d")


def test_an_import_of_what_was_learnt_elsewhere_is_no_publication(tmp_path: Path) -> None:
    elsewhere, main = adapter(MemoryStore()), adapter(MemoryStore())
    learn(elsewhere, "b")
    export_version(elsewhere, 1, tmp_path / "one.tar")
    learn(main, "a")
    import_version(main, tmp_path / "one.tar", by=BEN, aliases=("berlin",))
    assert main.publication("b-0123456789ab", after=1) is None


def test_looking_for_a_publication_reads_only_what_came_later() -> None:
    store = RecordingStore(MemoryStore())
    main = adapter(store)
    learn(main, *(f"t{number}" for number in range(50)))
    store.reset()
    assert main.publication("nothing-000000000000", after=48) is None
    assert sum("/history/" in key for _, key in store.keys) <= 3


def test_a_difference_names_tasks_classes_bytes_and_accuracies() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b", "c")
    main.rollback(1, by=ANNA)
    learn(main, "d")
    found = diff(main, 3, "head")
    assert [task.task for task in found.added] == ["d"]
    assert [task.task for task in found.removed] == ["b", "c"]
    assert found.replaced == ()
    assert found.classes == -10
    assert found.size_bytes == -len(record_of("b"))
    assert [(each.task, each.before, each.after) for each in found.accuracies] == [
        ("d", None, 0.9),
        ("c", 0.9, None),
    ]


def test_a_number_of_thousands_of_digits_is_no_version() -> None:
    main = adapter(MemoryStore())
    learn(main, "flowers")
    with pytest.raises(NotFoundError, match="found 4301 digits"):
        main.rollback("9" * 4301, by=ANNA)
