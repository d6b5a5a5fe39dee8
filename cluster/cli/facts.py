"""Printing of the registry's contents: tables and sentences for people, values for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from rich.filesize import decimal

from cluster.cli.output import print_table, stdout
from workers.registry import Difference, Entry, Garbage, Verification, Version


def say(sentence: str) -> None:
    """Print a sentence whose names may hold brackets."""
    stdout().print(sentence, markup=False)


def print_versions(versions: Sequence[Version]) -> None:
    """Print one line per version; those of which a task was purged can not be served any more."""
    any_purged = any(version.purged for version in versions)
    rows = [
        (
            version.manifest.number,
            ", ".join(version.aliases),
            version.manifest.parent.number if version.manifest.parent else "",
            len(version.manifest.tasks),
            version.manifest.class_count,
            version.manifest.tasks[-1].task if version.manifest.tasks else "",
            f"{_mean(version):.1%}" if version.accuracies else "",
            _when(version.manifest.created),
            *((", ".join(version.purged),) if any_purged else ()),
        )
        for version in versions
    ]
    columns = (
        *("version", "aliases", "parent", "tasks", "classes"),
        *("newest task", "mean accuracy", "published"),
        *(("purged",) if any_purged else ()),
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
            entry.author.who,
            entry.author.why,
        )
        for entry in entries
    ]
    print_table(
        ("when", "what", "version", "moved", "by", "why"), rows, empty="nothing was done yet"
    )


def print_shown(version: Version) -> None:
    """Print what a version holds and where it came from."""
    manifest = version.manifest
    say(f"{manifest.adapter}@{manifest.number}, published {_when(manifest.created)}")
    provenance = manifest.provenance
    facts = (
        ("aliases", ", ".join(version.aliases)),
        ("parent", manifest.parent.number if manifest.parent else "none"),
        ("classes", manifest.class_count),
        ("size", decimal(manifest.size_bytes)),
        ("encoder", manifest.encoder),
        ("method", manifest.method),
        ("settings", ", ".join(f"{key}={value}" for key, value in manifest.settings.items())),
        ("author", provenance.author),
        ("code", provenance.code),
        ("seed", provenance.seed),
        ("images", ", ".join(f"{key} {digest}" for key, digest in provenance.images.items())),
        ("notes", ", ".join(f"{key}: {note}" for key, note in provenance.notes.items())),
    )
    for name, value in facts:
        if value not in ("", None):
            say(f"  {name:<9} {value}")
    accuracies = {entry.task: entry.accuracy for entry in version.accuracies}
    rows = [
        (
            task.task,
            task.classes,
            "purged" if task.task in version.purged else decimal(task.record.size),
            _percent(accuracies.get(task.task)),
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


def entry_json(entry: Entry) -> dict[str, object]:
    """Return a move of the history."""
    return {
        "index": entry.index,
        "action": entry.action.value,
        "who": entry.author.who,
        "why": entry.author.why,
        "when": entry.author.now,
        "moves": {name: {"from": old, "to": new} for name, (old, new) in entry.moves.items()},
        "published": entry.published.number if entry.published else None,
        "detail": dict(entry.detail),
    }


def version_json(version: Version) -> dict[str, object]:
    """Return the facts of a version as JSON says them."""
    manifest = version.manifest
    return {
        "number": manifest.number,
        "adapter": manifest.adapter,
        "aliases": list(version.aliases),
        "parent": manifest.parent.number if manifest.parent else None,
        "tasks": [asdict(task) for task in manifest.tasks],
        "encoder": manifest.encoder,
        "method": manifest.method,
        "created": manifest.created,
        "accuracies": {entry.task: entry.accuracy for entry in version.accuracies},
        "purged": list(version.purged),
    }


def shown_json(version: Version) -> dict[str, object]:
    """Return what a version holds and where it came from."""
    manifest = version.manifest
    return {
        **version_json(version),
        "settings": dict(manifest.settings),
        "provenance": asdict(manifest.provenance),
        "shared": asdict(manifest.shared) if manifest.shared else None,
        "classes": manifest.class_count,
        "size_bytes": manifest.size_bytes,
    }


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


def counted(number: int, noun: str) -> str:
    """Return `1 object`, `2 objects`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _mean(version: Version) -> float:
    return sum(entry.accuracy for entry in version.accuracies) / len(version.accuracies)


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
