"""Every operation of every command goes wrong in turn: old or new is visible, never a third."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.errors import NacreError, UnavailableError, UnknownOutcomeError
from tests.support.scenes.registry import ANNA, BOTH, adapter, addition, learn, registry, state
from workers.registry import (
    Action,
    RegisteredAdapter,
    collect,
    drop,
    export_version,
    import_version,
    purge,
    verify,
)
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import OF_STORES, CrashError, Fault, FaultyStore, WrappedStore, fault_at

Command = Callable[[RegisteredAdapter], object]
Visible = tuple[dict[str, tuple[str, ...]], int, str]
ARCHIVE = "version.tar"


def _prepared() -> MemoryStore:
    """Return a store with three versions, one of them abandoned, a dropped task and garbage."""
    store = MemoryStore(clock=lambda: 0.0)
    main = adapter(store)
    learn(main, "a", "b", "c")
    main.rollback(2, by=ANNA)
    drop(main, "b", by=ANNA, promoted=True)
    main.alias("canary", "head", by=ANNA)
    crashing = FaultyStore(store, lambda _n, op, _k: Fault.CRASH if op == "replace" else None)
    with pytest.raises(CrashError):
        learn(adapter(crashing, seed=5), "garbage")
    return store


COMMANDS: dict[str, Command] = {
    "commit": lambda main: main.commit(addition("d", parent=4), by=ANNA),
    "commit and promote": lambda main: main.commit(addition("d", parent=4, aliases=BOTH), by=ANNA),
    "rollback": lambda main: main.rollback(1, by=ANNA),
    "promote": lambda main: main.promote(1, by=ANNA),
    "alias": lambda main: main.alias("stable", 1, by=ANNA),
    "remove alias": lambda main: main.remove_alias("canary", by=ANNA),
    "drop": lambda main: drop(main, "a", by=ANNA),
    "purge": lambda main: purge(main, "b", by=ANNA),
    "fence": lambda main: main.fence("anna"),
    "collect": lambda main: collect(main, now=1e6, grace_s=0, dry_run=False),
    "import": lambda main: import_version(main, Path(ARCHIVE), by=ANNA, aliases=("imported",)),
}


def _visible(store: MemoryStore) -> Visible:
    main = adapter(store, seed=99)
    refs = main.refs()
    tombstones = sorted(stone.task for stone in main.tombstones(refs))
    return state(main), refs.next_version, f"{refs.fence.owner} {tombstones}"


@pytest.fixture(autouse=True)
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export_version(adapter(_prepared()), "head", Path(ARCHIVE))


@pytest.mark.parametrize("fault", OF_STORES)
@pytest.mark.parametrize("command", COMMANDS)
def test_after_a_fault_at_any_operation_the_old_or_the_new_state_is_visible(
    command: str, fault: Fault
) -> None:
    run = COMMANDS[command]
    reference = _prepared()
    old = _visible(reference)
    run(adapter(reference, seed=7))
    new = _visible(reference)
    number = 0
    while True:
        store = _prepared()
        faulty = FaultyStore(store, fault_at(number, fault))
        raised = _attempt(run, faulty, seed=7)
        if faulty.count <= number:
            break
        found = _visible(store)
        assert found in (old, new), f"a third state after operation {number}"
        assert verify(store, "main").problems == (), f"after operation {number}"
        if raised is None:
            assert found == new
        _attempt(run, store, seed=8)  # whatever happened, doing it again is harmless
        assert verify(store, "main").problems == ()
        number += 1
    assert number >= 2  # a fence reads the refs and replaces them


def _attempt(run: Command, store: ObjectStore, *, seed: int) -> BaseException | None:
    try:
        run(registry(store, seed=seed).adapter("main"))
    except (NacreError, CrashError, RuntimeError) as error:  # the last is `Fault.SURPRISE`
        return error
    return None


@pytest.mark.parametrize("command", ["commit", "rollback", "promote", "alias", "drop"])
def test_a_change_whose_answer_is_lost_is_known_to_have_been_made(command: str) -> None:
    lost = 0

    def lose(_number: int, operation: str, _key: str) -> Fault | None:
        nonlocal lost
        lost += operation == "replace"
        return Fault.LOSE_ANSWER if operation == "replace" and lost % 3 else None

    store = _prepared()
    COMMANDS[command](adapter(FaultyStore(store, lose), seed=7))
    reference = _prepared()
    COMMANDS[command](adapter(reference, seed=7))
    assert _visible(store) == _visible(reference)


class _Overtaken(WrappedStore):
    """Makes the replacement, lets two others make theirs, and loses the answer."""

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        self.inner.replace(key, data, expected_etag)
        learn(adapter(self.inner, seed=3), "y", "z")
        raise UnknownOutcomeError("the answer was lost")


class _Late(WrappedStore):
    """The first replacement arrives only when the second one is sent."""

    sent = 0
    waiting: tuple[str, bytes, str]

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        self.sent += 1
        if self.sent == 1:
            self.waiting = (key, data, expected_etag)
            raise UnknownOutcomeError("the answer was lost")
        if self.sent == 2:
            self.inner.replace(*self.waiting)
        return self.inner.replace(key, data, expected_etag)


@pytest.mark.parametrize("lost", [_Overtaken, _Late])
def test_a_change_that_cannot_be_made_twice_is_recognised_in_the_history(
    lost: type[_Overtaken] | type[_Late],
) -> None:
    store = MemoryStore()
    learn(adapter(store), "a", "b")
    assert drop(adapter(lost(store), seed=4), "a", by=ANNA).number == 3
    assert state(adapter(store))["head"][0] == "b"
    assert [entry.action for entry in adapter(store).history()].count(Action.DROP) == 1


def test_a_commit_that_never_arrived_is_made_again() -> None:
    store = MemoryStore()
    learn(adapter(store), "a")

    class LostOnTheWay(WrappedStore):
        lost = 0

        def replace(self, key: str, data: bytes, expected_etag: str) -> str:
            if self.lost < 2:
                self.lost += 1
                raise UnknownOutcomeError("the answer was lost")
            return self.inner.replace(key, data, expected_etag)

    adapter(LostOnTheWay(store), seed=4).commit(addition("b", parent=1), by=ANNA)
    assert state(adapter(store))["head"] == ("a", "b")
    assert len(list(adapter(store).history())) == 2


def test_what_cannot_be_read_back_is_called_unknown() -> None:
    store = MemoryStore()
    learn(adapter(store), "a")

    class Gone(WrappedStore):
        """Loses the answer, and cannot be reached afterwards."""

        gone = False

        def replace(self, key: str, data: bytes, expected_etag: str) -> str:  # noqa: ARG002
            self.gone = True
            raise UnknownOutcomeError("the answer was lost")

        def before(self, operation: str, key: str) -> None:  # noqa: ARG002
            if self.gone:
                raise UnavailableError("the store is gone")

    with pytest.raises(UnknownOutcomeError, match="look in the history for write id"):
        adapter(Gone(store), seed=4).commit(addition("b", parent=1), by=ANNA)
