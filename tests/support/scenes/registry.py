"""Small adapters for the tests of the registry."""

import random
from dataclasses import replace
from functools import cache

import torch

from adapters.contract.adapter_state import SharedState, encode_shared
from adapters.contract.records import encode_record
from adapters.mistakes import SetAnswers
from tests.support.fakes.random_records import random_record
from workers.registry import (
    AddRecord,
    AnsweredTask,
    AnswerSheet,
    Audience,
    Author,
    Commit,
    DropTask,
    HeadIs,
    Inline,
    Manifest,
    Provenance,
    RaceRetry,
    RegisteredAdapter,
    Registry,
    SetShared,
    SubmissionAbsent,
    TaskAccuracy,
    collect,
    drop,
    purge,
    verify,
)
from workers.store import BlobCache, ObjectStore

ANNA = Author(who="anna", why="a new domain", now=1_000.0)
BEN = Author(who="ben", why="another domain", now=2_000.0)
BOTH = ("head", "production")


def registry(
    store: ObjectStore,
    *,
    cache: BlobCache | None = None,
    retry: RaceRetry | None = None,
    audience: Audience | None = None,
    seed: int = 0,
) -> Registry:
    """Return a registry that waits for nobody and draws the same numbers every time."""
    return Registry(
        store,
        cache,
        retry=retry,
        rng=random.Random(seed),
        sleep=lambda _seconds: None,
        audience=audience,
    )


def adapter(store: ObjectStore, *, seed: int = 0) -> RegisteredAdapter:
    """Return the adapter `main` of `store`, created where it is missing."""
    return registry(store, seed=seed).create("main")


def addition(task: str, *, parent: int | None, aliases: tuple[str, ...] = ("head",)) -> Commit:
    """Return the commit of a trainer that learnt `task` on top of version `parent`."""
    submission = f"{task}-0123456789ab"
    return Commit(
        updates=(
            AddRecord(task=task, submission=submission, record=Inline(record_of(task)), classes=10),
        ),
        requirements=(SubmissionAbsent(submission), HeadIs(parent)),
        encoder="tiny",
        method="lada",
        settings={"memories": 16},
        provenance=Provenance(author="anna", code="1.0", seed=7, images={"train": "ab" * 32}),
        accuracies=(TaskAccuracy(task=task, accuracy=0.9, images=50),),
        aliases=aliases,
    )


@cache
def record_of(task: str) -> bytes:
    """Return the bytes of a small record of `task`."""
    record = random_record(
        task, encoder="tiny", width=2, classes=10, vectors=1, seed=len(task), noun=task
    )
    return encode_record(record)


@cache
def shared_of(name: str) -> bytes:
    """Return the bytes of a small shared state, other ones for another name."""
    tensors = {name: torch.ones(2)}
    return encode_shared(SharedState(method="lada", encoder="tiny", tensors=tensors))


def learn(target: RegisteredAdapter, *tasks: str, by: Author = ANNA) -> Manifest:
    """Publish one version per task, each promoted, and return the last one."""
    for task in tasks:
        head = target.refs().find("head")
        manifest = target.commit(
            addition(task, parent=head.number if head else None, aliases=BOTH), by=by
        )
    return manifest


def answers_about(task: str) -> AnswerSheet:
    """Return answers about four test images of a task, of which one is wrong."""
    ids = tuple(f"{task}/{key}" for key in range(2))
    answers = SetAnswers(
        truth=(ids[0], ids[0], ids[1], ids[1]),
        answers=(ids[0], ids[1], ids[1], ids[1]),
        confidences=(0.9, 0.8, 0.7, 0.6),
    )
    answered = AnsweredTask(task=task, submission=f"{task}-0123456789ab", answers=answers)
    names = {name: f"thing {key}" for key, name in enumerate(ids)}
    return AnswerSheet(candidates=2, names=names, tasks=(answered,))


def with_answers(target: RegisteredAdapter, task: str, answers: AnswerSheet) -> Manifest:
    """Publish a version with one task more, and with `answers` beside it."""
    head = target.refs().find("head")
    commit = addition(task, parent=head.number if head else None, aliases=BOTH)
    measured = tuple(
        TaskAccuracy(task=name, accuracy=each.right / each.images, images=each.images)
        for name, each in answers.sets.items()
    )
    return target.commit(replace(commit, accuracies=measured, answers=answers), by=ANNA)


def learn_sharing(
    target: RegisteredAdapter, *tasks: str, replaces: str = "", leaving: str = ""
) -> Manifest:
    """Publish one version per task, each promoted, with a state that was learnt on the last one.

    Where it is said, the state is the one that `leaving` names.
    """
    for task in tasks:
        head = target.refs().find("head")
        past = target.objects.manifest(head.manifest) if head else None
        kept = [each.task for each in (past.tasks if past else ()) if each.task != replaces]
        before = past.shared.sha256[:6] if past and past.shared and kept else "begun"
        commit = addition(task, parent=head.number if head else None, aliases=BOTH)
        dropped = (DropTask(task=replaces),) if replaces else ()
        shared = SetShared(state=Inline(shared_of(leaving or f"{before} {task}")))
        updates = (*dropped, *commit.updates, shared)
        manifest = target.commit(replace(commit, updates=updates), by=ANNA)
    return manifest


def publish(store: ObjectStore, task: str, *, submission: str, of: str = "main") -> Manifest:
    """Publish a task of the adapter `of` as if it had been learnt from `submission`."""
    target = Registry(store).create(of)
    head = target.refs().find("head")
    commit = addition(task, parent=head.number if head else None, aliases=BOTH)
    record = AddRecord(task=task, submission=submission, record=Inline(record_of(task)), classes=10)
    return target.commit(replace(commit, updates=(record,), requirements=()), by=ANNA)


def state(target: RegisteredAdapter) -> dict[str, tuple[str, ...]]:
    """Return what is visible: the tasks of the version behind every alias, records checked."""
    refs = target.refs()
    seen = {}
    for alias, version in refs.aliases.items():
        manifest = target.objects.manifest(version.manifest)
        assert [target.record_bytes(task) for task in manifest.tasks] == [
            record_of(task.task) for task in manifest.tasks
        ]
        seen[alias] = tuple(task.task for task in manifest.tasks)
    return seen


def live(store: ObjectStore) -> None:
    """Let an adapter learn, go back, lose a task and its garbage, and check what is left of it."""
    main = adapter(store)
    learn(main, "a", "b", "c")
    main.rollback(2, by=ANNA)
    drop(main, "b", by=ANNA, promoted=True)
    main.rollback(1, by=ANNA)
    purge(main, "b", by=ANNA)
    collect(main, now=2.0**40, grace_s=0.0, dry_run=False)
    assert state(main) == {"head": ("a",), "production": ("a",)}
    assert verify(store, "main").problems == ()
