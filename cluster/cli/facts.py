"""Printing of the registry's contents: tables and sentences for people, values for JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.filesize import decimal

from adapters.contract.counts import counted
from cluster.cli.terminal.output import say
from cluster.cli.terminal.tables import print_facts, print_table
from cluster.wire.facts import stored_document, version_document
from cluster.wire.outputs.versions import Provenance, ShownVersion
from workers.registry import Difference, Entry, Garbage, Verification, Version


def print_versions(versions: Sequence[Version]) -> None:
    """Print one line per version; those of which a task was purged can not be served any more."""
    passed_over = any(version.manifest.unmeasured for version in versions)
    any_purged = any(version.purged for version in versions)
    rows = [
        (
            version.manifest.number,
            ", ".join(version.aliases),
            version.manifest.parent.number if version.manifest.parent else "",
            len(version.manifest.tasks),
            version.manifest.class_count,
            version.manifest.tasks[-1].task if version.manifest.tasks else "",
            _mean(version),
            *([", ".join(version.manifest.unmeasured)] if passed_over else []),
            _when(version.manifest.created),
            *((", ".join(version.purged),) if any_purged else ()),
        )
        for version in versions
    ]
    columns = (
        *("version", "aliases", "parent", "tasks", "classes"),
        *("newest task", "mean accuracy"),
        *(["gate could not measure"] if passed_over else []),
        "published",
        *(["purged"] if any_purged else []),
    )
    print_table(columns, rows, empty="no versions yet; submit a task with `nacre submit`")


def print_history(entries: Sequence[Entry]) -> None:
    """Print one line per move."""
    rows = [
        (
            _when(entry.author.now),
            entry.action.value,
            entry.published.number if entry.published else "",
            ", ".join(_move(alias, *move) for alias, move in sorted(entry.moves.items())),
            entry.detail.get("task") or entry.detail.get("dropped", ""),
            entry.author.who,
            entry.author.why,
        )
        for entry in entries
    ]
    print_table(
        ("when", "what", "version", "moved", "task", "by", "why"),
        rows,
        empty="nothing was done yet",
        prose=("why",),
    )


SHOWN_DIGITS = 12
"""So many of a digest's are shown; JSON has all of them."""


def _settings(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as a task file would have them; None, which is no setting, is left out."""
    given = {key: value for key, value in settings.items() if value is not None}
    words = {key: v if isinstance(v, str) else json.dumps(v) for key, v in given.items()}
    return [f"{key}: {word}" for key, word in words.items()]


def print_shown(version: Version) -> None:
    """Print what a version holds and where it came from."""
    manifest = version.manifest
    say(f"{manifest.adapter}@{manifest.number}, published {_when(manifest.created)}")
    provenance = manifest.provenance
    facts = (
        ("aliases", ", ".join(version.aliases)),
        ("parent", manifest.parent.number if manifest.parent else "none"),
        ("classes", manifest.class_count),
        ("accuracy", _mean(version) and f"mean {_mean(version)}"),
        ("size", decimal(manifest.size_bytes)),
        ("encoder", manifest.encoder),
        ("method", manifest.method),
        ("settings", _settings(manifest.settings)),
        ("author", provenance.author),
        ("code", provenance.code),
        ("seed", provenance.seed),
        ("images", [f"{key} {it[:SHOWN_DIGITS]}…" for key, it in provenance.images.items()]),
        ("notes", ", ".join(f"{key}: {note}" for key, note in provenance.notes.items())),
    )
    print_facts(facts)
    accuracies = {entry.task: entry.accuracy for entry in version.accuracies}
    rows = [
        (
            task.task,
            task.classes,
            "purged" if task.task in version.purged else decimal(task.record.size),
            _percent(accuracies.get(task.task)) or "not measured",
            task.submission,
        )
        for task in manifest.tasks
    ]
    print_table(("task", "classes", "record", "accuracy", "submission"), rows, empty="no tasks")


def print_difference(found: Difference) -> None:
    """Print what changed between two versions."""
    say(
        f"{found.before.adapter}@{found.before.number} → {found.after.adapter}@"
        f"{found.after.number}: {found.classes:+} classes, {_signed_size(found.size_bytes)}"
    )
    changes = (("added", found.added), ("removed", found.removed), ("replaced", found.replaced))
    tasks = [
        (change, task.task, task.classes, decimal(task.record.size))
        for change, changed in changes
        for task in changed
    ]
    print_table(("change", "task", "classes", "record"), tasks, empty="the same tasks in both")
    measured = [
        (each.task, _percent(each.before), _percent(each.after)) for each in found.accuracies
    ]
    print_table(("accuracy on", "before", "after"), measured, empty="nothing was measured")


def print_report(found: Verification) -> None:
    """Print what `verify` found."""
    checked = f"{counted(found.objects, 'object')}, {decimal(found.size_bytes)} checked"
    say(f"{checked}: {'all is well' if found.clean else 'damaged'}")
    for problem in found.problems:
        # Lines, not a table: keys are copied, and must not be folded.
        say(f"{problem.key}\n  needed by {problem.used_by}: {problem.message}")


def print_garbage(found: dict[str, Garbage], *, deleted: bool) -> None:
    """Print what `gc` found, by the prefix of its keys."""
    verb = "removed" if deleted else "would be removed"
    for prefix, garbage in found.items():
        size = decimal(garbage.size_bytes)
        say(f"{prefix}: {counted(len(garbage.keys), 'object')}, {size} {verb}")
    if not deleted and any(garbage.keys for garbage in found.values()):
        say("this was a dry run; --delete removes them")


def shown_document(version: Version) -> ShownVersion:
    """Return what a version holds and where it came from."""
    manifest = version.manifest
    return ShownVersion(
        **version_document(version).model_dump(),
        settings=dict(manifest.settings),
        provenance=Provenance.model_validate(asdict(manifest.provenance)),
        shared=stored_document(manifest.shared) if manifest.shared else None,
        classes=manifest.class_count,
        size_bytes=manifest.size_bytes,
    )


def difference_json(found: Difference) -> dict[str, object]:
    """Return what changed between two versions."""
    return {
        "adapter": found.after.adapter,
        "before": found.before.number,
        "after": found.after.number,
        "added": [asdict(task) for task in found.added],
        "removed": [asdict(task) for task in found.removed],
        "replaced": [asdict(task) for task in found.replaced],
        "classes": found.classes,
        "size_bytes": found.size_bytes,
        "accuracies": [asdict(each) for each in found.accuracies],
    }


def _mean(version: Version) -> str:
    """Return the mean accuracy, and over how many of the tasks: `74.0% (3 of 4 tasks)`."""
    measured, tasks = len(version.accuracies), len(version.manifest.tasks)
    mean = version.mean_accuracy
    if mean is None:
        return ""
    of_all = f"{measured} of " if measured != tasks else ""
    return f"{mean:.1%} ({of_all}{counted(tasks, 'task')})"


def _move(alias: str, before: int | None, after: int | None) -> str:
    old, new = (_or_none(number) for number in (before, after))
    return f"{alias} {old} → {new}"


def _or_none(number: int | None) -> str:
    return "none" if number is None else str(number)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.1%}"


def _signed_size(size_bytes: int) -> str:
    return f"{'-' if size_bytes < 0 else '+'}{decimal(abs(size_bytes))}"


def say_relearnt(submissions: Sequence[str]) -> None:
    """Say which submissions learn tasks again; nothing where there are none."""
    if submissions:
        say(f"learnt again, in this order: {', '.join(submissions)}; `nacre status` shows them")
