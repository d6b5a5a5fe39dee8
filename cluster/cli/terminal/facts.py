"""Printing of the registry's contents: tables and sentences for people, values for JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.filesize import decimal

from adapters.contract.counts import counted
from cluster.cli.terminal.output import say
from cluster.cli.terminal.tables import print_facts, print_table
from cluster.wire.mistakes import ComparedSet
from cluster.wire.outputs.maintenance import CheckedAdapter, CollectedGarbage
from cluster.wire.versions import (
    HistoryEntry,
    PublishedVersion,
    ShownVersion,
    VersionDifference,
)


def print_versions(versions: Sequence[PublishedVersion], *, before: int | None = None) -> None:
    """Print one line per version; those of which a task was purged can not be served any more.

    Args:
        versions: What is listed.
        before: Before which version it was looked for; None for all.
    """
    passed_over = any(version.unmeasured_by_gate for version in versions)
    any_purged = any(version.purged for version in versions)
    rows = [
        (
            version.number,
            ", ".join(version.aliases),
            "" if version.parent is None else version.parent,
            len(version.tasks),
            sum(task.classes for task in version.tasks),
            version.tasks[-1].task if version.tasks else "",
            _mean(version),
            *([", ".join(version.unmeasured_by_gate)] if passed_over else []),
            when(version.created),
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
    empty = "no versions yet; submit a task with `nacre submit`"
    print_table(columns, rows, empty=empty if before is None else f"no versions before {before}")


def print_history(entries: Sequence[HistoryEntry]) -> None:
    """Print one line per move."""
    rows = [
        (
            when(entry.when),
            entry.action,
            "" if entry.published is None else entry.published,
            ", ".join(_move(alias, move) for alias, move in sorted(entry.moves.items())),
            entry.detail.get("task") or entry.detail.get("dropped", ""),
            entry.who,
            entry.why,
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


def print_shown(version: ShownVersion) -> None:
    """Print what a version holds and where it came from."""
    say(f"{version.label}, published {when(version.created)}")
    provenance = version.provenance
    facts = (
        ("aliases", ", ".join(version.aliases)),
        ("parent", _or_none(version.parent)),
        ("classes", version.classes),
        ("accuracy", _mean(version) and f"mean {_mean(version)}, {_own_classes(version)}"),
        ("size", decimal(version.size_bytes)),
        ("encoder", version.encoder),
        ("method", version.method),
        ("settings", _settings(version.settings)),
        ("author", provenance.author),
        ("code", provenance.code),
        ("seed", provenance.seed),
        ("images", [f"{key} {it[:SHOWN_DIGITS]}…" for key, it in provenance.images.items()]),
        ("notes", ", ".join(f"{key}: {note}" for key, note in provenance.notes.items())),
    )
    print_facts(facts)
    rows = [
        (
            task.task,
            task.classes,
            "purged" if task.task in version.purged else decimal(task.record.size),
            _percent(version.accuracies.get(task.task)) or "not measured",
            task.submission,
        )
        for task in version.tasks
    ]
    print_table(("task", "classes", "record", "accuracy", "submission"), rows, empty="no tasks")


def print_difference(found: VersionDifference) -> None:
    """Print what changed between two versions."""
    say(
        f"{found.adapter}@{found.before} → {found.adapter}@{found.after}: "
        f"{found.classes:+} classes, {_signed_size(found.size_bytes)}"
    )
    changes = (("added", found.added), ("removed", found.removed), ("replaced", found.replaced))
    tasks = [
        (change, task.task, task.classes, decimal(task.record.size))
        for change, changed in changes
        for task in changed
    ]
    print_table(("change", "task", "classes", "record"), tasks, empty="the same tasks in both")
    compared = {each.set: each for each in found.compared}
    measured = [
        (
            each.task,
            _with_interval(each.before, each.before_interval),
            _with_interval(each.after, each.after_interval),
            *_won_and_lost(compared.get(each.task)),
        )
        for each in found.accuracies
    ]
    columns = ("accuracy on", "before", "after", "won", "lost", "p")
    print_table(columns, measured, empty="nothing was measured")
    if measured:
        say(_among(found))


def _with_interval(accuracy: float | None, interval: tuple[float, float] | None) -> str:
    if accuracy is None or interval is None:
        return ""
    return f"{accuracy:.1%} ({interval[0]:.0%} to {interval[1]:.0%})"


def _won_and_lost(found: ComparedSet | None) -> tuple[object, ...]:
    return ("", "", "") if found is None else (found.won, found.lost, p_value(found.p))


def p_value(p: float) -> str:
    """Return a p-value as people read it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _among(found: VersionDifference) -> str:
    """Return among which classes the accuracies of two versions were decided."""
    counts = [
        f"{found.adapter}@{number} among the {counted(classes, 'class')} that it has learnt"
        for number, classes in (
            (found.before, found.before_candidates),
            (found.after, found.after_candidates),
        )
    ]
    return (
        f"measured {' and '.join(counts)}; `nacre evaluate` measures all versions among the same "
        "classes"
    )


def print_report(found: CheckedAdapter) -> None:
    """Print what `verify` found."""
    checked = f"{counted(found.objects, 'object')}, {decimal(found.size_bytes)} checked"
    say(f"{checked}: {'all is well' if found.clean else 'damaged'}")
    for problem in found.problems:
        # Lines, not a table: keys are copied, and must not be folded.
        say(f"{problem.key}\n  needed by {problem.used_by}: {problem.message}")


def print_garbage(collected: CollectedGarbage) -> None:
    """Print what `gc` found, by the prefix of its keys."""
    found, deleted = collected.found, collected.deleted
    verb = "removed" if deleted else "would be removed"
    for prefix, garbage in found.items():
        size = decimal(garbage.size_bytes)
        say(f"{prefix}: {counted(len(garbage.keys), 'object')}, {size} {verb}")
    if not deleted and any(garbage.keys for garbage in found.values()):
        say("this was a dry run; --delete removes them")


def _mean(version: PublishedVersion) -> str:
    """Return the mean accuracy, and over how many of the tasks: `74.0% (3 of 4 tasks)`."""
    measured, tasks = len(version.accuracies), len(version.tasks)
    mean = version.mean_accuracy
    if mean is None:
        return ""
    of_all = f"{measured} of " if measured != tasks else ""
    return f"{mean:.1%} ({of_all}{counted(tasks, 'task')})"


def _own_classes(version: ShownVersion) -> str:
    """Return among which classes a version's accuracies were decided."""
    return f"among the {counted(version.classes, 'class')} that it has learnt"


def _move(alias: str, move: Mapping[str, int | None]) -> str:
    old, new = (_or_none(move[side]) for side in ("from", "to"))
    return f"{alias} {old} → {new}"


def _or_none(number: int | None) -> str:
    return "none" if number is None else str(number)


def when(seconds: float | None) -> str:
    """Return a time as people read it; nothing for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.1%}"


def _signed_size(size_bytes: int) -> str:
    return f"{'-' if size_bytes < 0 else '+'}{decimal(abs(size_bytes))}"


def say_relearnt(submissions: Sequence[str]) -> None:
    """Say which submissions learn tasks again; nothing where there are none."""
    if submissions:
        say(f"learnt again, in this order: {', '.join(submissions)}; `nacre status` shows them")
