"""A registry and a dictionary that must agree, whatever is done, by whom, and whoever dies.

Two writers with memories of their own work on one adapter. Any command may die before or after any
of its operations on the store, or lose the answer to one.
"""

import random
from collections.abc import Callable
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adapters.errors import (
    ConflictError,
    InputError,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.support.scenes.registry import record_of
from workers.registry import (
    AddRecord,
    Author,
    Commit,
    HeadIs,
    Inline,
    RegisteredAdapter,
    Registry,
    SubmissionAbsent,
    collect,
    drop,
    purge,
    verify,
)
from workers.registry.documents.refs import Refs
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import OF_STORES, CrashError, Fault, FaultyStore

BY = Author(who="anna", why="a test", now=0.0)
WRITERS = st.integers(0, 1)
FAULTS = st.none() | st.tuples(st.integers(0, 15), st.sampled_from(OF_STORES))
Faulted = tuple[int, Fault] | None
TASKS = st.sampled_from(["a", "b", "c", "d", "e"])


class _Dying(FaultyStore):
    """Goes wrong at one operation after `arm`."""

    def __init__(self, inner: ObjectStore) -> None:
        self.fault: Faulted = None
        super().__init__(inner, lambda number, _operation, _key: self._at(number))

    def arm(self, fault: Faulted) -> None:
        self.count, self.fault = 0, fault

    def _at(self, number: int) -> Fault | None:
        return self.fault[1] if self.fault and number == self.fault[0] else None


class RegistryMachine(RuleBasedStateMachine):
    """The model is a dictionary: tasks by version, and versions by alias.

    Attributes:
        failures: Errors after which a command may have been carried out or not.
    """

    failures: tuple[type[BaseException], ...] = (
        CrashError,
        UnavailableError,
        UnknownOutcomeError,
    )

    @initialize()
    def start(self) -> None:
        self.store = self.new_store()
        self.versions: dict[int, tuple[str, ...]] = {}
        self.aliases: dict[str, int] = {}
        self.purged: set[int] = set()
        self.seed = 0
        Registry(self.store).create("main")
        self.writers = [self._writer(), self._writer()]
        for task in ("a", "b", "c"):
            self._commit(0, None, task, promoted=task != "c")

    def new_store(self) -> ObjectStore:
        """Return an empty store, which never fails those who look at what there is."""
        return MemoryStore(clock=lambda: 0.0)

    def way(self) -> ObjectStore:
        """Return another process's way to the store."""
        return self.store

    @property
    def truth(self) -> RegisteredAdapter:
        """The adapter as it is, for somebody who has never looked before."""
        return Registry(self.store).adapter("main")

    def settled(self) -> Refs:
        """Return the refs once nothing of them is in doubt any more."""
        return self.truth.refs()

    def _writer(self) -> tuple[_Dying, RegisteredAdapter]:
        self.seed += 1
        store = _Dying(self.way())
        opened = Registry(store, rng=random.Random(self.seed), sleep=lambda _: None)
        return store, opened.adapter("main")

    def _run(
        self,
        writer: int,
        fault: Faulted,
        command: Callable[[RegisteredAdapter], object],
        effect: Callable[[], object],
    ) -> None:
        """Run a command, and its effect on the model where it took effect in the registry."""
        store, adapter = self.writers[writer]
        before = self.truth.refs()
        store.arm(fault)
        try:
            command(adapter)
        except self.failures as error:
            if isinstance(error, CrashError) or fault is not None:
                self.writers[writer] = self._writer()
            if self.settled().history == before.history:
                return
            assert not isinstance(error, ConflictError), "told as not made, and made"
        finally:
            store.arm(None)
        effect()

    def _refused(self, writer: int, command: Callable[[RegisteredAdapter], object]) -> None:
        with suppress(InputError, ConflictError, UnavailableError, UnknownOutcomeError):
            command(self.writers[writer][1])
            raise AssertionError("the command should have been refused")

    @rule(writer=WRITERS, fault=FAULTS, task=TASKS)
    def commit(self, writer: int, fault: Faulted, task: str) -> None:
        self._commit(writer, fault, task, promoted=False)

    @rule(writer=WRITERS, fault=FAULTS, task=TASKS)
    def commit_and_promote(self, writer: int, fault: Faulted, task: str) -> None:
        self._commit(writer, fault, task, promoted=True)

    def _commit(self, writer: int, fault: Faulted, task: str, *, promoted: bool) -> None:
        head, tasks = self.aliases.get("head"), self._head_tasks()
        aliases = ("head", "production") if promoted else ("head",)
        number = self._next()
        commit = Commit(
            updates=(
                AddRecord(
                    task=task, submission=f"{task}-1", record=Inline(record_of(task)), classes=1
                ),
            ),
            requirements=(HeadIs(head), SubmissionAbsent(f"{task}-1")),
            encoder="tiny",
            method="lada",
            settings={},
            aliases=aliases,
        )

        def effect() -> None:
            if task not in tasks:
                self.versions[number] = (*tasks, task)
                self.aliases.update(dict.fromkeys(aliases, number))

        self._run(writer, fault, lambda adapter: adapter.commit(commit, by=BY), effect)

    @rule(writer=WRITERS, task=TASKS)
    def commit_on_an_old_head(self, writer: int, task: str) -> None:
        commit = Commit(
            updates=(AddRecord(task=task, submission="x", record=Inline(b"lost"), classes=1),),
            requirements=(HeadIs(self._next()),),
        )
        self._refused(writer, lambda adapter: adapter.commit(commit, by=BY))

    @rule(writer=WRITERS, fault=FAULTS, data=st.data(), serving_only=st.booleans())
    def rollback(
        self, writer: int, fault: Faulted, data: st.DataObject, serving_only: bool
    ) -> None:
        version = data.draw(st.sampled_from(sorted(self.versions)))
        serving = ["production"] if serving_only or "production" in self.aliases else []
        if version in self.purged or (serving and not self.versions[version]):
            self._refused(
                writer, lambda adapter: adapter.rollback(version, by=BY, serving_only=serving_only)
            )
            return
        moved = serving if serving_only else [*serving, "head"]
        self._run(
            writer,
            fault,
            lambda adapter: adapter.rollback(version, by=BY, serving_only=serving_only),
            lambda: self.aliases.update(dict.fromkeys(moved, version)),
        )

    @rule(
        writer=WRITERS,
        fault=FAULTS,
        data=st.data(),
        alias=st.sampled_from(["production", "canary"]),
    )
    def promote(self, writer: int, fault: Faulted, data: st.DataObject, alias: str) -> None:
        version = data.draw(st.sampled_from(sorted(self.versions)))
        is_empty = alias == "production" and not self.versions[version]
        if version in self.purged or is_empty:
            self._refused(writer, lambda adapter: adapter.promote(version, by=BY, alias=alias))
            return
        self._run(
            writer,
            fault,
            lambda adapter: adapter.promote(version, by=BY, alias=alias),
            lambda: self.aliases.update({alias: version}),
        )

    @rule(writer=WRITERS, fault=FAULTS)
    def remove_alias(self, writer: int, fault: Faulted) -> None:
        self._run(
            writer,
            fault,
            lambda adapter: adapter.remove_alias("canary", by=BY),
            lambda: self.aliases.pop("canary", None),
        )

    @precondition(lambda self: self._head_tasks())
    @rule(writer=WRITERS, fault=FAULTS, data=st.data(), promoted=st.booleans())
    def drop(self, writer: int, fault: Faulted, data: st.DataObject, promoted: bool) -> None:
        tasks = self._head_tasks()
        task = data.draw(st.sampled_from(tasks))
        number = self._next()
        if promoted and tasks == (task,):
            self._refused(writer, lambda adapter: drop(adapter, task, by=BY, promoted=True))
            return

        def effect() -> None:
            self.versions[number] = tuple(kept for kept in tasks if kept != task)
            self.aliases.update(
                dict.fromkeys(("head", "production") if promoted else ("head",), number)
            )

        self._run(
            writer, fault, lambda adapter: drop(adapter, task, by=BY, promoted=promoted), effect
        )

    @precondition(lambda self: self._unserved())
    @rule(writer=WRITERS, fault=FAULTS, data=st.data())
    def purge(self, writer: int, fault: Faulted, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self._unserved()))
        holders = self._holders(task)
        self._run(
            writer,
            fault,
            lambda adapter: purge(adapter, task, by=BY),
            lambda: self.purged.update(holders),
        )

    @rule(writer=WRITERS, fault=FAULTS)
    def collect(self, writer: int, fault: Faulted) -> None:
        self._run(
            writer,
            fault,
            lambda adapter: collect(adapter, now=1.0, grace_s=0.0, dry_run=False),
            lambda: None,
        )

    def _head_tasks(self) -> tuple[str, ...]:
        return self.versions.get(self.aliases.get("head", 0), ())

    def _holders(self, task: str) -> set[int]:
        return {number for number, tasks in self.versions.items() if task in tasks}

    def _unserved(self) -> list[str]:
        """Tasks that some version holds, but none that an alias points to."""
        served = set(self.aliases.values())
        held = {task for tasks in self.versions.values() for task in tasks}
        return sorted(task for task in held if not self._holders(task) & served)

    def _next(self) -> int:
        return max(self.versions, default=0) + 1

    @invariant()
    def registry_and_model_agree(self) -> None:
        adapter = self.truth
        refs = adapter.refs()
        assert {alias: ref.number for alias, ref in refs.aliases.items()} == self.aliases
        assert refs.next_version == self._next()
        for number, tasks in self.versions.items():
            manifest = adapter.manifest(number)
            assert tuple(task.task for task in manifest.tasks) == tasks
            if number not in self.purged:
                assert [adapter.record_bytes(task) for task in manifest.tasks] == [
                    record_of(task) for task in tasks
                ]
        assert verify(self.store, "main", threads=1).problems == ()
