"""Resolution of class-name collisions: names that other tasks of an adapter have already.

Two classes of one name have one prompt, so that only what is learnt tells them apart
(`adapters.contract.class_names`). The task says which it wants:

    keep      both keep the name, and stay two classes
    merge     the new class counts as the existing one (`adapters.contract.merging`)
    qualify   the new class's name gets the task's domain word: "sunflower (oxford flowers)"

Without a word from the task, a shared name is an error.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapters.contract.class_entry import ClassEntry
from adapters.contract.class_names import Tokens, name_collisions
from adapters.contract.counts import counted
from adapters.errors import ClassNameError
from workers.encoding.task_features import class_id, task_of
from workers.formats.problems import shown
from workers.tasks.submission import SubmittedClass
from workers.tasks.task import Task

CutPrompts = Callable[[Sequence[str]], dict[str, Tokens]]
"""Returns, of prompts that are too long for an encoder, the tokens that it reads."""


def nothing_cut(prompts: Sequence[str]) -> dict[str, Tokens]:
    """Say of all prompts that they are read to the end."""
    del prompts
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownNames:
    """What the names of a task's classes are compared with.

    Attributes:
        classes: The classes of the adapter's other tasks, learnt or on their way.
        cut: Knows the prompts of which the encoder does not read the end.
    """

    classes: Sequence[ClassEntry] = ()
    cut: CutPrompts = nothing_cut


NO_NAMES = KnownNames()


def told_apart(names: Sequence[str]) -> Sequence[str]:
    """Return names as a message shows them: in ASCII where two look alike."""
    looks = {unicodedata.normalize("NFKC", name) for name in names}
    return names if len(looks) == len(set(names)) else tuple(map(ascii, names))


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedName:
    """A class of a task whose name classes of other tasks have too.

    Attributes:
        key: The class's key in its task.
        name: Its name as the task says it.
        existing: The classes that have it.
    """

    key: str
    name: str
    existing: tuple[ClassEntry, ...]

    def __str__(self) -> str:
        tasks = dict.fromkeys(map(task_of, self.existing))
        return f"{self.name!r} (in {', '.join(tasks)})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Naming:
    """The classes of a task as they are submitted.

    Attributes:
        classes: In the order of the class indices.
        merges: Ids of existing classes, by the key of the class that counts as each.
        shared: The names that were shared.
        findings: What stands against them.
        cut: Prompts of which the encoder does not read the end.
    """

    classes: tuple[SubmittedClass, ...]
    merges: Mapping[str, str]
    shared: tuple[SharedName, ...]
    findings: tuple[ClassNameError, ...]
    cut: tuple[str, ...] = ()


def naming_of(task: Task, known: KnownNames) -> Naming:
    """Return the names and merges of the classes of `task`.

    Args:
        task: What is submitted, with its choice.
        known: What its names are compared with.
    """
    others = [entry for entry in known.classes if task_of(entry) not in (task.name, task.replaces)]
    prompts = [entry.prompt for entry in _entries(task, task.classes).values()]
    tokens = known.cut(prompts)
    if tokens:
        tokens |= known.cut([entry.prompt for entry in others])
    shared = _shared(task, task.classes, others, tokens)
    names = dict(task.classes)
    merges: dict[str, str] = {}
    findings = [] if task.shared_names == "keep" else _equal_names(task, tokens)
    match task.shared_names:
        case None:
            findings += _undecided(task, shared)
        case "qualify":
            names |= {entry.key: f"{entry.name} ({task.domain})" for entry in shared}
            findings += _still_shared(task, _shared(task, names, others, tokens))
        case "merge":
            findings += _ambiguous(task, shared)
            merges = {entry.key: entry.existing[0].counts_as for entry in shared}
    return Naming(
        classes=tuple(SubmittedClass(key=key, name=name) for key, name in names.items()),
        merges=merges,
        shared=shared,
        findings=tuple(findings),
        cut=tuple(prompt for prompt in dict.fromkeys(prompts) if prompt in tokens),
    )


def _shared(
    task: Task,
    names: Mapping[str, str],
    others: Iterable[ClassEntry],
    tokens: Mapping[str, Tokens],
) -> tuple[SharedName, ...]:
    """Return the classes whose names `others` have, but for those that count as them already."""
    own = _entries(task, names)
    by_id = {entry.class_id: entry for entry in others}
    owners: defaultdict[str, dict[str, ClassEntry]] = defaultdict(dict)
    for collision in name_collisions(own.values(), by_id.values(), cut=tokens):
        there = {each: by_id[each] for each in collision.class_ids if each in by_id}
        for each in collision.class_ids:
            owners[each] |= there
    found = []
    for key, entry in own.items():
        existing = tuple(
            other for other in owners[entry.class_id].values() if other.counts_as != entry.class_id
        )
        if existing:
            found.append(SharedName(key=key, name=entry.name, existing=existing))
    return tuple(found)


def _entries(task: Task, names: Mapping[str, str]) -> dict[str, ClassEntry]:
    return {
        key: ClassEntry(
            class_id=class_id(task.name, key), name=name, prompt=task.prompt.format(name)
        )
        for key, name in names.items()
    }


def _equal_names(task: Task, tokens: Mapping[str, Tokens]) -> list[ClassNameError]:
    problems = tuple(
        f"{collision.name!r}: {', '.join(told_apart(collision.class_ids))}"
        for collision in name_collisions(_entries(task, task.classes).values(), [], cut=tokens)
    )
    if not problems:
        return []
    return [
        ClassNameError(
            f"classes of task {task.name!r} have one name to the encoder, which makes the same "
            "tokens of their prompts; give each its own under `classes`, or say `shared_names: "
            f"keep`:{shown(problems)}",
            task=task.name,
            problems=problems,
        )
    ]


def _undecided(task: Task, shared: Sequence[SharedName]) -> list[ClassNameError]:
    if not shared:
        return []
    problems = tuple(map(str, shared))
    return [
        ClassNameError(
            f"{counted(len(shared), 'class name')} of task {task.name!r} "
            f"{_are_those(len(shared))} of other tasks of adapter "
            f"{task.adapter!r}:{shown(problems)}\n"
            "Equal names give equal prompts. Say in the task file what is meant: "
            "`shared_names: keep` (two classes of one name), `shared_names: merge` (one class: the "
            "new images count as more of the existing one), or `shared_names: qualify` (two "
            f"classes: the new one is called '{shared[0].name} ({task.domain})'; `qualifier` gives "
            "another word)",
            task=task.name,
            adapter=task.adapter,
            problems=problems,
        )
    ]


def _are_those(number: int) -> str:
    return "is that" if number == 1 else "are those"


def _still_shared(task: Task, shared: Sequence[SharedName]) -> list[ClassNameError]:
    if not shared:
        return []
    problems = tuple(map(str, shared))
    return [
        ClassNameError(
            f"class names of task {task.name!r} are those of other tasks even with the word "
            f"{task.domain!r}; give another one as `qualifier`:{shown(problems)}",
            task=task.name,
            problems=problems,
        )
    ]


def _ambiguous(task: Task, shared: Sequence[SharedName]) -> list[ClassNameError]:
    problems = tuple(
        f"{entry.name!r}: {', '.join(sorted({other.counts_as for other in entry.existing}))}"
        for entry in shared
        if len({other.counts_as for other in entry.existing}) > 1
    )
    if not problems:
        return []
    return [
        ClassNameError(
            f"class names of task {task.name!r} belong to several classes, so that none can be "
            f"meant by `shared_names: merge`; choose `keep` or `qualify`:{shown(problems)}",
            task=task.name,
            problems=problems,
        )
    ]
