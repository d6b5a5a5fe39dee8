"""Answers of a new version about test images, computed where its records can have changed them.

Where scores of old classes stay (`Method.scores_stay`), an image's answer changes only if a new
class beats the best of the old ones. What is kept is of use where a version begins with all records
that it was kept of; after a rollback, a drop or a replacement everything is scored anew once. An
image whose answer counts as a new class may be scored anew, and with it its task; so is an image
whose answer has another temperature than before, by itself. Answers are what scoring everything
gives, to the bit, and their probabilities up to rounding.

Shapes: N test images of a task · S classes of a version
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from adapters.adapter import Adapter, Scores
from adapters.contract.class_entry import ClassEntry
from adapters.mistakes import SetAnswers
from workers.learning.evaluation import TaskTestSet
from workers.learning.kept_answers import NOTHING, BestAnswers, KeptAnswers


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
        self._places: tuple[Tensor, Tensor] | None = None
        self.answered: dict[str, BestAnswers] = {}

    def _begins_with(self, kept: KeptAnswers) -> bool:
        """Return whether this version begins with all records that answers were kept of."""
        same = self._records[: len(kept.records)]
        return kept.surroundings == self._surroundings and kept.records == same

    def kept(self) -> KeptAnswers:
        """Return what has been answered, to be kept for the next version."""
        return KeptAnswers(
            surroundings=self._surroundings, records=self._records, tasks=self.answered
        )

    def about(self, task: TaskTestSet) -> SetAnswers:
        """Return the answers about the images of `task`, one at least, beside their classes."""
        found = self.answers(task)
        return SetAnswers(
            truth=tuple(entry.counts_as for entry in task.truth),
            answers=tuple(self._classes[column].counts_as for column in found.columns.tolist()),
            confidences=tuple(found.confidences(self._temperatures[found.columns]).tolist()),
        )

    def answers(self, task: TaskTestSet) -> BestAnswers:
        """Return the answers about the images of `task`, one at least."""
        kept = self._kept.tasks.get(task.digest)
        found = None if kept is None else self._changed(task, kept)
        self.answered[task.digest] = found or self._anew(task)
        return self.answered[task.digest]

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
        others = kept.log_sums.double()
        temperatures = self._temperatures[kept.columns][:, None]
        values = values / temperatures
        if self._old_tasks:
            old = self._scored(task, self._old_tasks)
            places = [place for place, entry in enumerate(old.classes) if self._is_touched(entry)]
            touched = old.values[:, places] / temperatures
            gone = touched.double().logsumexp(dim=1) - others
            others = others + torch.log1p(-gone.exp().clamp(max=1 - 1e-7))
        return torch.logaddexp(others, values.double().logsumexp(dim=1)).float()

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
