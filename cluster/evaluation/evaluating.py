"""Evaluation of published versions: the accuracy matrix of a range, from cached features."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from adapters.contract.class_entry import ClassEntry
from adapters.contract.class_names import name_collisions
from adapters.contract.thresholds import check_rate
from adapters.errors import InputError, NotFoundError
from adapters.mistakes import compared
from cluster.config import Config
from cluster.evaluation.evaluated_sets import EvaluatedSet, of_source, of_submission, remarks_on
from cluster.evaluation.measuring import THREADS, MeasuredRow, Measuring
from harness.answers import (
    SetComparison,
    answers_by_set,
    names_of,
    set_mistakes,
    taken_for,
)
from harness.evaluation import EvaluatedVersion, Evaluation
from workers.concurrency.threads import SYSTEM_THREADS
from workers.encoding.task_features import class_entries, task_of
from workers.housekeeping.leftovers import purged_submissions
from workers.progress_callbacks import StepCallback, unreported
from workers.registry import Registry, Version
from workers.registry.documents.layout import HEAD
from workers.registry.reader import version_number
from workers.store import ObjectStore
from workers.tasks.submission import Submission, find_submission, read_submission


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """What is measured.

    Attributes:
        versions: Which: `1..5`, numbers and aliases with commas between, or nothing for all.
        besides: Ids of submissions that are measured besides those of `head`, or of the newest of
            the versions where `head` is none of them.
        sets: Further images by the name of their set; see `evaluated_sets.of_source`.
    """

    versions: str = ""
    besides: Sequence[str] = ()
    sets: Mapping[str, str] = field(default_factory=dict)


def evaluate(
    config: Config,
    store: ObjectStore,
    published: Sequence[Version],
    *,
    extent: Extent,
    reject: float | None = None,
    threads: int = 2,
    report: StepCallback = unreported,
) -> Evaluation:
    """Return how versions answer test images; see `Client.evaluate`.

    Args:
        config: Of the system; its `adapter` is the one whose versions are measured.
        store: Of the system.
        published: All versions of the adapter.
        extent: What is measured.
        reject: Also measure which images are of none of the learnt classes, at this rate of false
            alarms; None for not.
        threads: Versions measured at once.
        report: Told what is done.

    Raises:
        InputError: a range that cannot be read, or a rate that no version knows.
        NotFoundError: no such version or set, or no test images.
        UnavailableError: test images have not been embedded by the configured encoder.
        ImageError: a file of a set is no image.
    """
    if reject is not None:
        check_rate(reject)
    chosen = chosen_versions(extent.versions, published, adapter=config.adapter)
    device = "cuda" if extent.sets and torch.cuda.is_available() else "cpu"
    measuring = Measuring(config, (), device=device)
    remarks = _left_out(extent.versions, published)
    chosen, other = _of_encoder(chosen, measuring.encoder.fingerprint)
    if other:
        remarks.append(f"left out, because another encoder is configured: {other}")
    submissions = _learnt(store, chosen, measuring, remarks)
    known_ids = [one.submission_id for one in submissions]
    submissions += [
        read_submission(store, one) for one in dict.fromkeys(extent.besides) if one not in known_ids
    ]
    measuring.take(submissions)
    measuring.read()
    columns = _of_submissions(store, submissions, measuring)
    learnt = {entry.class_id: entry for one in submissions for entry in class_entries(one)}
    for called, source in extent.sets.items():
        further, under = of_source(
            called,
            source,
            title=_apart(called, source, columns),
            known=learnt,
            encoder=measuring.encoder,
            progress=partial(report, f"embedding {called}"),
        )
        remarks += remarks_on(further, learnt)
        measuring.add(under)
        columns.append(further)
    if not columns:
        said = "".join(f"; {remark}" for remark in remarks)
        raise NotFoundError(
            f"none of the tasks has test images here; there is nothing to measure on{said}"
        )
    rows = _rows(measuring, chosen, reject=reject, threads=threads, report=report)
    remarks += _unmeasured(chosen, rows[1:])
    found = _evaluation(
        config.adapter, measuring.encoder.fingerprint, columns, chosen, rows, remarks=tuple(remarks)
    )
    return replace(found, reject=reject)


def _of_submissions(
    store: ObjectStore, submissions: Sequence[Submission], measuring: Measuring
) -> list[EvaluatedSet]:
    columns: list[EvaluatedSet] = []
    with_images = [one for one in submissions if one.images("held_out")]
    for one, features in zip(with_images, measuring.tasks, strict=True):
        title = _apart(one.task, one.submission_id, columns)
        columns.append(of_submission(store, one, features, title=title))
    return columns


def _apart(name: str, source: str, columns: Sequence[EvaluatedSet]) -> str:
    """Return a title that no column has yet."""
    taken = {each.column.name for each in columns}
    return f"{name} ({source})" if name in taken else name


def _unmeasured(versions: Sequence[Version], rows: Sequence[MeasuredRow]) -> list[str]:
    """Return what is said of versions that reject nothing; an error where none rejects anything."""
    errors = [row.unmeasured for row in rows]
    if errors and errors[-1] is not None and None not in errors:
        raise errors[-1]
    return [
        f"version {version.manifest.number} rejects nothing: {error.message}"
        for version, error in zip(versions, errors, strict=True)
        if error is not None
    ]


def _rows(
    measuring: Measuring,
    versions: Sequence[Version],
    *,
    reject: float | None,
    threads: int,
    report: StepCallback,
) -> list[MeasuredRow]:
    """Return the row of the encoder alone, and then those of `versions`."""
    numbers = [None, *(version.manifest.number for version in versions)]
    rows: list[MeasuredRow] = []
    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(partial(measuring.row, reject=reject), numbers):
            rows.append(found)
            report("measuring versions", len(rows), len(numbers))
    return rows


def _evaluation(
    adapter: str,
    fingerprint: str,
    columns: Sequence[EvaluatedSet],
    versions: Sequence[Version],
    rows: Sequence[MeasuredRow],
    *,
    remarks: tuple[str, ...],
) -> Evaluation:
    last = rows[-1].answers.sets
    classes = {entry.class_id: entry for each in columns for entry in each.test_set.classes}
    tasks = tuple(dict.fromkeys(task_of(entry) for entry in classes.values()))
    titles = [each.column.name for each in columns]
    truths = [each.test_set.truth for each in columns]
    sets = answers_by_set(titles, last, truths)
    return Evaluation(
        adapter=adapter,
        fingerprint=fingerprint,
        columns=tuple(each.column for each in columns),
        zero_shot=rows[0].accuracies,
        zero_shot_candidates=rows[0].answers.candidates,
        versions=tuple(
            _evaluated(version, row) for version, row in zip(versions, rows[1:], strict=True)
        ),
        collisions={each.name: each.class_ids for each in name_collisions(classes.values(), ())},
        remarks=remarks,
        tasks=tasks,
        confusion=tuple(taken_for(predicted.classes, tasks) for predicted in last),
        mistakes=set_mistakes(sets, names_of(last, truths)),
        comparisons=_comparisons(titles, truths, rows[1:]),
        files=tuple(each.image for each in columns),
    )


def _comparisons(
    titles: Sequence[str], truths: Sequence[Sequence[ClassEntry]], rows: Sequence[MeasuredRow]
) -> tuple[SetComparison, ...]:
    """Return what the last row has won and lost against the one before it."""
    if len(rows) < 2:
        return ()
    before, after = (row.answers.sets for row in rows[-2:])
    names = names_of((*before, *after), truths)
    sets = (answers_by_set(titles, predicted, truths) for predicted in (before, after))
    first, second = sets
    return tuple(
        SetComparison(set_name=title, found=compared(first[title], second[title]), names=names)
        for title in titles
    )


def _evaluated(version: Version, row: MeasuredRow) -> EvaluatedVersion:
    manifest = version.manifest
    return EvaluatedVersion(
        number=manifest.number,
        digest=version.digest,
        method=manifest.method,
        submissions=tuple(task.submission for task in manifest.tasks),
        size_bytes=manifest.size_bytes,
        seconds=row.seconds,
        candidates=row.answers.candidates,
        accuracies=row.accuracies,
        served=row.served,
        served_candidates=row.served_candidates,
        reliability=row.reliability,
        rejected=row.rejected,
    )


def chosen_versions(written: str, published: Sequence[Version], *, adapter: str) -> list[Version]:
    """Return the versions that `written` names, or all that can be measured; see `evaluate`."""
    known = {version.manifest.number: version for version in published}
    if not known:
        raise NotFoundError(
            f"adapter {adapter!r} has no versions yet; submit a task with `nacre submit`",
            adapter=adapter,
        )
    servable = [number for number in sorted(known) if not known[number].purged]
    if not servable:
        raise NotFoundError(
            f"every version of adapter {adapter!r} held a task that was purged: there is none to "
            "measure",
            adapter=adapter,
        )
    if not written:
        return [known[number] for number in servable]
    aliases = {alias: number for number, version in known.items() for alias in version.aliases}
    numbers: list[int] = []
    for part in written.split(","):
        first, dots, last = part.strip().partition("..")
        bounds = [_number(bound, aliases) for bound in ((first, last) if dots else (first,))]
        if not dots and bounds[0] in known and bounds[0] not in servable:
            raise InputError(
                f"version {bounds[0]} of {adapter!r} held task {known[bounds[0]].purged[0]!r}, "
                "which was purged: it cannot be measured",
                adapter=adapter,
                version=bounds[0],
            )
        within = [number for number in servable if bounds[0] <= number <= bounds[-1]]
        if not within:
            raise NotFoundError(
                f"adapter {adapter!r} has no version {part.strip()!r}; `nacre versions` lists them"
            )
        numbers += within
    return [known[number] for number in dict.fromkeys(numbers)]


def _number(written: str, aliases: Mapping[str, int]) -> int:
    if written in aliases:
        return aliases[written]
    if not written.isdecimal():
        raise InputError(
            f"versions: expected a number, an alias or a range such as 1..5, found {written!r}; "
            f"the aliases are {', '.join(sorted(aliases))}"
        )
    return version_number(written)


def _left_out(written: str, published: Sequence[Version]) -> list[str]:
    """Return what people should know of versions that are not measured."""
    purged = sorted(version.manifest.number for version in published if version.purged)
    if not purged or (written and ".." not in written):
        return []
    numbers = ", ".join(map(str, purged))
    return [f"left out, because tasks of them were purged: {numbers}"]


def _of_encoder(chosen: Sequence[Version], fingerprint: str) -> tuple[list[Version], str]:
    """Return the versions that were learnt under an encoder, and the numbers of the others.

    Where all of them are others, these are returned: it is told when their features are read.
    """
    own = [version for version in chosen if version.manifest.encoder == fingerprint]
    if not own:
        return list(chosen), ""
    others = [version.manifest.number for version in chosen if version not in own]
    return own, ", ".join(map(str, others))


def _learnt(
    store: ObjectStore, versions: Sequence[Version], measuring: Measuring, remarks: list[str]
) -> list[Submission]:
    """Return the submissions of the tasks that are measured, and add to `remarks` which are not.

    They are those of `head`, which the next task builds on, or else of the newest of `versions`.
    """
    last = max(versions, key=lambda version: (HEAD in version.aliases, version.manifest.number))
    tasks = {task.submission: task.task for task in last.manifest.tasks}
    purged = purged_submissions(Registry(store))
    names = [name for name in tasks if name not in purged]
    read = SYSTEM_THREADS.map(partial(find_submission, store), names, most=THREADS)
    found = [one for one in read if one is not None]
    measured = measuring.embedded(found)
    if found and not measured:
        return found  # the configured encoder is another one: it is told when they are read
    absent = tasks.keys() - {one.submission_id for one in measured}
    if absent:
        named = ", ".join(tasks[name] for name in tasks if name in absent)
        remarks.append(
            "not measured, because their test images are not in this store (the version was "
            f"imported) or were purged: {named}"
        )
    return measured
