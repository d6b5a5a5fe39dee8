"""Shared states in any order of verbs: what has learnt from a purged task is gone, and no more."""

from dataclasses import dataclass, field, replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract.adapter_state import SharedState, decode_shared, encode_shared
from adapters.contract.records import encode_record
from adapters.errors import InputError, NacreError, NotFoundError
from tests.support.fakes.random_records import random_record
from tests.support.scenes.registry import ANNA, BOTH, adapter, addition
from workers.registry import (
    AddRecord,
    DropTask,
    Inline,
    Manifest,
    RegisteredAdapter,
    SetShared,
    collect,
    drop,
    left_out_with,
    purge,
    read_versions,
    verify,
)
from workers.store import MemoryStore

TASKS = "abcd"
VERBS = ("learn", "learn", "learn", "replace", "drop", "relearn", "rollback", "purge", "gc")


@dataclass
class Known:
    """An adapter, and what is known of its versions.

    Attributes:
        main: The adapter.
        touched: By number, the tasks that a version holds or that its shared state has learnt from:
            the state says that itself, with a tensor for each.
        purged: By number, the tasks that were purged of a version.
        learnt: How many tasks were learnt.
    """

    main: RegisteredAdapter
    touched: dict[int, set[str]] = field(default_factory=dict)
    purged: dict[int, set[str]] = field(default_factory=dict)
    learnt: int = 0

    def head(self) -> Manifest | None:
        found = self.main.refs().find("head")
        return self.main.objects.manifest(found.manifest) if found else None

    def names(self) -> list[str]:
        head = self.head()
        return [task.task for task in head.tasks] if head else []

    def memory(self, manifest: Manifest | None) -> dict[str, torch.Tensor]:
        """Return what a shared state has learnt from, as it says itself."""
        content = self.main.shared_bytes(manifest) if manifest else None
        return dict(decode_shared(content).tensors) if content else {}

    def note(self, manifest: Manifest) -> None:
        memory = {name.split("-")[0] for name in self.memory(manifest)}
        self.touched[manifest.number] = memory | {task.task for task in manifest.tasks}
        self.purged[manifest.number] = set()

    def learn(self, task: str, *, replaces: str | None) -> None:
        head, self.learnt = self.head(), self.learnt + 1
        kept = [name for name in self.names() if name != replaces]
        memory = self.memory(head) if kept else {}
        state = SharedState(
            method="lada",
            encoder="tiny",
            tensors={**memory, f"{task}-{self.learnt}": torch.ones(1)},
        )
        record = random_record(
            task, encoder="tiny", width=2, classes=2, vectors=1, seed=self.learnt, noun=task
        )
        added = AddRecord(
            task=task,
            submission=f"{task}-{self.learnt:012}",
            record=Inline(encode_record(record)),
            classes=2,
        )
        updates = (
            *((DropTask(task=replaces),) if replaces else ()),
            added,
            SetShared(state=Inline(encode_shared(state))),
        )
        commit = addition(task, parent=None, aliases=BOTH)
        self.note(self.main.commit(replace(commit, updates=updates, requirements=()), by=ANNA))

    def drop(self, task: str, *, relearn: bool) -> None:
        before, names = self.head(), self.names()
        try:
            found = drop(
                self.main,
                task,
                by=ANNA,
                promoted=True,
                learn_again=(lambda _tasks: None) if relearn else None,
            )
        except NotFoundError:
            assert before is None or task not in self.touched[before.number]
            return
        except InputError:
            nothing_left = names in ([], [task])
            hindered = not relearn and task in self.touched[before.number] if before else True
            assert nothing_left or hindered
            return
        kept = [each.task for each in found.tasks]
        assert task not in kept
        left_out = [each.task for each in left_out_with(self.main, found, task)]
        assert [*kept, *left_out] == [name for name in names if name != task]
        assert relearn or not left_out
        self.note(found)
        assert self.touched[found.number] <= set(kept), "a state that has learnt from what is gone"

    def purge(self, task: str) -> None:
        held = {number for number, tasks in self.touched.items() if task in tasks}
        for alias in ("production", "head"):
            pointed = self.main.refs().find(alias)
            if pointed and pointed.number in held:
                return
        try:
            done = purge(self.main, task, by=ANNA)
        except NotFoundError:
            assert not held
            return
        assert set(done.versions) == held
        for number in held:
            self.purged[number].add(task)
        store = self.main.objects.store
        for listed in store.list("adapters/"):
            marks = f'"{task}-'.encode(), f'"task":"{task}"'.encode(), f"{task}-".encode()
            if "/records/" in listed.key:
                content = store.get(listed.key).data
                assert not any(mark in content[:2000] for mark in marks), listed.key

    def rollback(self, number: int) -> None:
        number = 1 + number % max(1, len(self.touched))
        refused = number not in self.touched or bool(self.purged[number])
        try:
            self.main.rollback(number, by=ANNA)
        except NacreError:
            assert refused
        else:
            assert not refused

    def check(self) -> None:
        """Check that all versions can be read of which nothing was purged, and no other."""
        found = {each.manifest.number: set(each.purged) for each in read_versions(self.main)}
        assert found == self.purged
        for number, gone in found.items():
            manifest = self.main.manifest(number)
            if not gone:
                self.memory(manifest)
                assert all(self.main.record_bytes(task) for task in manifest.tasks)
        assert verify(self.main.objects.store, "main").clean


@settings(max_examples=60, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(VERBS), st.sampled_from(TASKS), st.integers(0, 20)),
        min_size=6,
        max_size=18,
    )
)
def test_whatever_is_done_a_purge_takes_what_has_learnt_from_the_task_and_nothing_else(
    done: list[tuple[str, str, int]],
) -> None:
    known = Known(adapter(MemoryStore()))
    for verb, task, number in done:
        match verb:
            case "learn" if task not in known.names():
                known.learn(task, replaces=None)
            case "replace" if known.names():
                replaced = known.names()[number % len(known.names())]
                if task == replaced or task not in known.names():
                    known.learn(task, replaces=replaced)
            case "drop" | "relearn":
                known.drop(task, relearn=verb == "relearn")
            case "rollback":
                known.rollback(number)
            case "purge":
                known.purge(task)
            case "gc":
                collect(known.main, now=2.0**40, grace_s=0.0, dry_run=False)
    known.check()
