"""Answers of a new version about test images, computed where its records can have changed them.

Where scores of old classes stay (`Method.scores_stay`), an image's answer changes only if a new
class beats the best of the old ones. What is kept is of use where a version begins with all records
that it was kept of; after a rollback, a drop or a replacement everything is scored anew once. An
image whose answer counts as a new class may be scored anew, and with it its task; so is an image
whose answer has another temperature than before, by itself. Answers are what scoring everything
gives, to the bit, and their probabilities up to rounding.

In a version of many tasks new classes lie in tiles with others, and a tile is multiplied whole. So
new records are first scored by themselves, in products of their own size, for many tasks together;
that gives the same numbers up to rounding. Where those of all images of a task are below the best
of the old classes by more than rounding can be, no answer of the task changes. Only the others are
scored in tiles.

Shapes: N test images of a task or of several · S classes of a version
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from adapters.adapter import Adapter, Scores
from adapters.contract.class_entry import ClassEntry
from adapters.contract.tiles import OWN_PRODUCTS
from adapters.mistakes import SetAnswers
from workers.learning.evaluation import TaskTestSet
from workers.learning.kept_answers import NOTHING, BestAnswers, KeptAnswers

IMAGES = 4096
"""So many images are scored together with new records alone, at least: eight megabytes."""

ROUNDING_OF_SCORES, ROUNDING_OF_COSINES = 1e-2, 1e-4
"""How far apart two ways to compute one score may be: a share of the score, and of the factor of
cosines. Sums of 512 products in two orders differ by at most 6e-5 for unit vectors, as a rule by a
hundredth of that; the exponential of such a sum, sharpened a hundred times, by less than 1 %."""


class VersionAnswers:
    """Answers test sets whose classes the version has learnt.

    Args:
        adapter: The version.
        records: SHA-256 of its records, in their order.
        kept: Of an earlier version.
        surroundings: What else answers depend on, as of now.
        logit_scale: Factor of cosines.
    """

    # Owns: `answered`, and where the columns of scores lie, found with the first of them.

    def __init__(
        self,
        adapter: Adapter,
        records: Sequence[str],
        *,
        kept: KeptAnswers,
        surroundings: str,
        logit_scale: float,
    ) -> None:
        self._adapter, self._records, self._scale = adapter, tuple(records), logit_scale
        self._surroundings = surroundings
        self._kept = kept if self._begins_with(kept) else NOTHING
        same = len(self._kept.records)
        self._classes = [entry for record in adapter.records for entry in record.classes]
        self._column = {entry.class_id: column for column, entry in enumerate(self._classes)}
        before, after = adapter.records[:same], adapter.records[same:]
        touched = {entry.counts_as for record in after for entry in record.classes}
        self._new_tasks = adapter.scored_with(same)
        self._old_tasks = [
            record.task
            for record in before
            if record.task in self._new_tasks
            and any(entry.counts_as in touched for entry in record.classes)
        ]
        self._touched = torch.tensor(
            [entry.counts_as in touched for entry in self._classes], dtype=torch.bool
        )
        self._temperatures = torch.cat(
            [
                torch.full((len(record.classes),), record.temperature or 1.0)
                for record in adapter.records
            ]
        )
        self._alone = self._new_records_alone(same)
        self._places: tuple[Tensor, Tensor] | None = None
        self.answered: dict[str, BestAnswers] = {}

    def _begins_with(self, kept: KeptAnswers) -> bool:
        """Return whether this version begins with all records that answers were kept of."""
        same = self._records[: len(kept.records)]
        return kept.surroundings == self._surroundings and kept.records == same

    def _new_records_alone(self, same: int) -> Adapter | None:
        """Return a version of the new records and of those that they are scored with.

        None where their products are no smaller than in this version, and where a class that old
        and new ones count as is wanted to the bit.
        """
        few = 0 < len(self._new_tasks) <= OWN_PRODUCTS <= same
        if not few or self._old_tasks:
            return None
        wanted = set(self._new_tasks)
        return Adapter([record for record in self._adapter.records if record.task in wanted])

    def kept(self) -> KeptAnswers:
        """Return what has been answered, to be kept for the next version."""
        return KeptAnswers(
            surroundings=self._surroundings, records=self._records, tasks=self.answered
        )

    def about(self, tasks: Sequence[TaskTestSet]) -> Iterator[SetAnswers]:
        """Yield the answers about the images of every task, one at least, beside their classes."""
        for task, found in zip(tasks, self.answers(tasks), strict=True):
            yield SetAnswers(
                truth=tuple(entry.counts_as for entry in task.truth),
                answers=tuple(self._classes[column].counts_as for column in found.columns.tolist()),
                confidences=tuple(found.confidences(self._temperatures[found.columns]).tolist()),
            )

    def answers(self, tasks: Sequence[TaskTestSet]) -> Iterator[BestAnswers]:
        """Yield the answers about the images of every task, one at least."""
        for some in _together(tasks):
            unchanged = self._unchanged(some)
            for task in some:
                kept = self._kept.tasks.get(task.digest)
                found = unchanged.get(task.digest)
                if found is None and kept is not None:
                    found = self._changed(task, kept)
                self.answered[task.digest] = found or self._anew(task)
                yield self.answered[task.digest]

    def _unchanged(self, tasks: Sequence[TaskTestSet]) -> dict[str, BestAnswers]:
        """Return what becomes of kept answers that no new class can have changed, by digests."""
        alone, known = self._alone, self._kept.tasks
        pairs = [(task, known[task.digest]) for task in tasks if task.digest in known]
        pairs = [(task, kept) for task, kept in pairs if len(kept.columns) == len(task.labels)]
        if alone is None or not pairs:
            return {}
        scores = alone.score(
            torch.cat([task.features for task, _ in pairs]),
            encoder=pairs[0][0].fingerprint,
            logit_scale=self._scale,
        )
        values = scores.values[:, [self._is_touched(entry) for entry in scores.classes]]
        whole = BestAnswers(
            scores=torch.cat([kept.scores for _, kept in pairs]),
            columns=torch.cat([kept.columns for _, kept in pairs]),
            log_sums=torch.cat([kept.log_sums for _, kept in pairs]),
        )
        log_sums, sizes = self._with_new(whole, values), [len(task.labels) for task, _ in pairs]
        parts = (torch.split(each, sizes) for each in (self._is_below(values, whole), log_sums))
        return {
            task.digest: replace(kept, log_sums=sums)
            for (task, kept), below, sums in zip(pairs, *parts, strict=True)
            if bool(below.all())
        }

    def _is_below(self, values: Tensor, kept: BestAnswers) -> Tensor:
        """Return whose best score is above all `values`, whatever the rounding of these, (N,)."""
        highest = values.amax(dim=1)
        larger = torch.maximum(highest.abs(), kept.scores.abs())
        rounding = ROUNDING_OF_SCORES * larger + ROUNDING_OF_COSINES * self._scale
        return highest + rounding < kept.scores

    def _changed(self, task: TaskTestSet, kept: BestAnswers) -> BestAnswers | None:
        """Return what becomes of the kept answers; None where they do not tell."""
        if len(kept.columns) != len(task.labels):
            return None
        if not self._new_tasks:
            return kept
        scores = self._scored(task, self._new_tasks)
        places, columns = self._new_columns(scores)
        values = scores.values[:, places]
        best = values.argmax(dim=1)
        highest, whose = values.gather(1, best[:, None])[:, 0], columns[best]
        touched = self._touched[kept.columns]
        if not self._still_best(values, columns, kept, touched):
            return None
        wins = highest > kept.scores
        wins |= (highest == kept.scores) & (whose < kept.columns)
        answered = torch.where(wins, whose, kept.columns)
        log_sums = self._log_sums(task, kept, values)
        known, now = (self._temperatures[columns] for columns in (kept.columns, answered))
        again = (known != now).nonzero()[:, 0]
        if len(again):
            log_sums[again] = self._scored_rows(task, again).log_sums
        return BestAnswers(
            scores=torch.where(wins, highest, kept.scores), columns=answered, log_sums=log_sums
        )

    def _log_sums(self, task: TaskTestSet, kept: BestAnswers, values: Tensor) -> Tensor:
        """Return log Σ exp over all classes: as it was, without the classes that `values` has anew.

        All of it at the temperatures of the kept answers.

        Args:
            task: Whose images.
            kept: As it was.
            values: Scores of all new classes, and of those that old and new ones count as.
        """
        if self._old_tasks:
            temperatures, others = self._temperatures[kept.columns], kept.log_sums.double()
            old = self._scored(task, self._old_tasks)
            places = [place for place, entry in enumerate(old.classes) if self._is_touched(entry)]
            touched = old.values[:, places] / temperatures[:, None]
            gone = touched.double().logsumexp(dim=1) - others
            others = others + torch.log1p(-gone.exp().clamp(max=1 - 1e-7))
            kept = replace(kept, log_sums=others)
        return self._with_new(kept, values)

    def _with_new(self, kept: BestAnswers, values: Tensor) -> Tensor:
        """Return log Σ exp over the classes of `kept` and those that have `values`, (N,)."""
        values = values / self._temperatures[kept.columns][:, None]
        return torch.logaddexp(kept.log_sums.double(), values.double().logsumexp(dim=1)).float()

    def _is_touched(self, entry: ClassEntry) -> bool:
        return bool(self._touched[self._column[entry.class_id]])

    def _still_best(
        self, values: Tensor, columns: Tensor, kept: BestAnswers, again: Tensor
    ) -> bool:
        """Return whether answers that are scored `again` still beat all other old classes.

        They do where their score has not dropped, and where they are no later column than before.
        """
        rows = again.nonzero()[:, 0]
        old = kept.columns[rows]
        same = columns[None] == old[:, None]
        now = torch.where(same, values[rows], -torch.inf).amax(dim=1) if len(rows) else old
        return bool((now >= kept.scores[rows]).all())

    def _new_columns(self, scores: Scores) -> tuple[Tensor, Tensor]:
        """Return where new or touched classes are in `scores`, and their columns of the version."""
        if self._places is None:
            columns = torch.tensor([self._column[entry.class_id] for entry in scores.classes])
            places = self._touched[columns].nonzero()[:, 0]
            self._places = places, columns[places]
        return self._places

    def _anew(self, task: TaskTestSet) -> BestAnswers:
        scores = self._scored(task, None)
        columns = torch.tensor([self._column[entry.class_id] for entry in scores.classes])
        best = scores.winners
        return BestAnswers(
            scores=scores.values.gather(1, best[:, None])[:, 0],
            columns=columns[best],
            log_sums=scores.log_sums,
        )

    def _scored_rows(self, task: TaskTestSet, rows: Tensor) -> Scores:
        return self._adapter.score(
            task.features[rows], encoder=task.fingerprint, logit_scale=self._scale
        )

    def _scored(self, task: TaskTestSet, tasks: Sequence[str] | None) -> Scores:
        return self._adapter.score(
            task.features, encoder=task.fingerprint, logit_scale=self._scale, tasks=tasks
        )


def _together(tasks: Sequence[TaskTestSet]) -> Iterator[list[TaskTestSet]]:
    """Yield tasks in their order, so many together that they have `IMAGES` images."""
    some, images = list[TaskTestSet](), 0
    for task in tasks:
        some.append(task)
        images += len(task.labels)
        if images >= IMAGES:
            yield some
            some, images = [], 0
    if some:
        yield some
