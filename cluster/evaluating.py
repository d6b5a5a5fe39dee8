"""Measuring published versions: the accuracy matrix of a range of them, from stored features."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from adapters.errors import InputError, NotFoundError
from adapters.metrics import ContinualMetrics, continual_metrics
from adapters.names import name_collisions
from cluster.client import Client, Version
from cluster.measuring import Measuring
from workers.evaluation import Share
from workers.submission import Submission, read_submission
from workers.watching import Progress, unwatched


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """How versions answer held-out images; accuracies from 0 to 1.

    Attributes:
        adapter: Whose versions they are.
        fingerprint: Of the encoder.
        tasks: The columns.
        images: Held-out images of each.
        zero_shot: The row of the encoder alone.
        versions: Number and digest of each row.
        rows: Of each version.
        collisions: For each name that several of the tasks share, their classes.
        is_sequence: Whether row j is a version of the first j tasks, one row for each task.
    """

    adapter: str
    fingerprint: str
    tasks: tuple[str, ...]
    images: tuple[int, ...]
    zero_shot: tuple[Share, ...]
    versions: tuple[tuple[int, str], ...]
    rows: tuple[tuple[Share, ...], ...]
    collisions: Mapping[str, Sequence[str]]
    is_sequence: bool

    @property
    def metrics(self) -> ContinualMetrics | None:
        """Transfer, average, last and so on; None where the rows are no sequence of the tasks."""
        return self._of(lambda share: share.accuracy)

    @property
    def metrics_alike(self) -> ContinualMetrics | None:
        """The same where a class of the same name counts as right."""
        return self._of(lambda share: share.alike)

    def _of(self, value: Callable[[Share], float]) -> ContinualMetrics | None:
        if not self.is_sequence:
            return None
        return continual_metrics([[value(share) for share in row] for row in self.rows])


def evaluate(
    client: Client,
    *,
    adapter: str | None = None,
    versions: str = "",
    tasks: Sequence[str] = (),
    threads: int = 2,
    progress: Progress = unwatched,
) -> Evaluation:
    """Return how versions answer the held-out images of tasks.

    Args:
        client: Of the system.
        adapter: Whose versions; the configured one unless it is said.
        versions: `1..5`, numbers and aliases with commas between, or nothing for all.
        tasks: Names of tasks or ids of submissions that are measured besides those of the newest
            of the versions, learnt or not.
        threads: Versions measured at once.
        progress: Told how many versions have been measured, and of how many.

    Raises:
        InputError: a range that cannot be read.
        NotFoundError: no such version, or nothing held out.
    """
    name = adapter or client.config.adapter
    known = {version.manifest.number: version for version in client.versions(name)}
    chosen = _chosen(versions, known, adapter=name)
    submissions = _submissions(client, chosen, tasks)
    measuring = Measuring(replace(client.config, adapter=name), submissions)
    measuring.wait_until_embedded()
    held_out = [task for task in measuring.tasks if len(task.labels)]
    if not held_out:
        raise NotFoundError("none of the tasks has held-out images; there is nothing to measure on")
    numbers = [None, *(version.manifest.number for version in chosen)]
    rows = []
    with ThreadPoolExecutor(threads) as pool:
        for row in pool.map(measuring.shares, numbers):
            rows.append(row)
            progress(len(rows), len(numbers))
    classes = [entry for task in held_out for entry in task.classes]
    columns = tuple(task.task for task in held_out)
    return Evaluation(
        adapter=name,
        fingerprint=measuring.fingerprint,
        tasks=columns,
        images=tuple(share.images for share in rows[0]),
        zero_shot=rows[0],
        versions=tuple((version.manifest.number, version.digest) for version in chosen),
        rows=tuple(rows[1:]),
        collisions={found.name: found.class_ids for found in name_collisions(classes, ())},
        is_sequence=[tuple(task.task for task in v.manifest.tasks) for v in chosen]
        == [columns[: place + 1] for place in range(len(columns))],
    )


def _chosen(written: str, known: Mapping[int, Version], *, adapter: str) -> list[Version]:
    if not known:
        raise NotFoundError(f"adapter {adapter!r} has no versions yet", adapter=adapter)
    if not written:
        return [known[number] for number in sorted(known)]
    aliases = {alias: number for number, version in known.items() for alias in version.aliases}
    numbers: list[int] = []
    for part in written.split(","):
        first, dots, last = part.strip().partition("..")
        bounds = [_number(bound, aliases) for bound in ((first, last) if dots else (first,))]
        within = [number for number in sorted(known) if bounds[0] <= number <= bounds[-1]]
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
    return int(written)


def _submissions(
    client: Client, versions: Sequence[Version], names: Sequence[str]
) -> list[Submission]:
    newest = max(versions, key=lambda version: version.manifest.number).manifest
    ids = [task.submission for task in newest.tasks]
    ids += [client.find(name).ticket.submission_id for name in names]
    return [read_submission(client.store, one) for one in dict.fromkeys(ids)]
