"""Answers of a new version about test images, computed where its records can have changed them.

Where scores of old classes stay (`Method.scores_stay`), an image's answer changes only if a new
class beats the best of the old ones. What is kept of an earlier version holds for the records that
both begin with; everything behind them counts as new, whatever became of the old rest. An image
whose answer is in that old rest, or has lost a class that counted as it, is scored anew, and with
it its task: the result is what scoring everything gives, to the bit.

Shapes: N test images of a task · S classes of a version
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from adapters.adapter import Adapter, Scores
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
        self._kept = kept if kept.surroundings == surroundings else NOTHING
        self._surroundings = surroundings
        self._same = _common(self._kept.records, self._records)
        self._classes = [entry for record in adapter.records for entry in record.classes]
        self._column = {entry.class_id: column for column, entry in enumerate(self._classes)}
        before, after = adapter.records[: self._same], adapter.records[self._same :]
        self._start = sum(len(record.classes) for record in before)
        lost = {name for names in self._kept.merges[self._same :] for name in names}
        touched = {entry.counts_as for record in after for entry in record.classes} | lost
        self._new_tasks = adapter.scored_with(self._same, lost)
        self._touched = torch.tensor(
            [entry.counts_as in touched for entry in self._classes], dtype=torch.bool
        )
        numbers: dict[str, int] = {}
        self._answers = torch.tensor(
            [numbers.setdefault(entry.counts_as, len(numbers)) for entry in self._classes]
        )
        self._numbers = numbers
        self._places: tuple[Tensor, Tensor] | None = None
        self.answered: dict[str, BestAnswers] = {}

    def kept(self) -> KeptAnswers:
        """Return what has been answered, to be kept for the next version."""
        merges = (
            tuple(entry.merged_into for entry in record.classes if entry.merged_into)
            for record in self._adapter.records
        )
        return KeptAnswers(
            surroundings=self._surroundings,
            records=self._records,
            merges=tuple(merges),
            tasks=self.answered,
        )

    def accuracy(self, task: TaskTestSet) -> float:
        """Return how many images of `task`, one at least, are answered right, from 0 to 1."""
        truth = torch.tensor([self._numbers.get(entry.counts_as, -1) for entry in task.classes])
        found = self._answers[self.answers(task).columns]
        return int((found == truth[task.labels]).sum()) / len(task.labels)

    def answers(self, task: TaskTestSet) -> BestAnswers:
        """Return the answers about the images of `task`, one at least."""
        kept = self._kept.tasks.get(task.digest)
        found = None if kept is None else self._changed(task, kept)
        self.answered[task.digest] = found or self._anew(task)
        return self.answered[task.digest]

    def _changed(self, task: TaskTestSet, kept: BestAnswers) -> BestAnswers | None:
        """Return what becomes of the kept answers; None where they do not tell."""
        if len(kept.columns) != len(task.labels) or bool((kept.columns >= self._start).any()):
            return None
        if not self._new_tasks:
            return kept
        scores = self._scored(task, self._new_tasks)
        places, columns = self._new_columns(scores)
        values = scores.values[:, places]
        best = values.argmax(dim=1)
        highest, whose = values.gather(1, best[:, None])[:, 0], columns[best]
        again = self._touched[kept.columns]
        if not self._still_best(values, columns, kept, again):
            return None
        wins = highest > kept.scores
        wins |= (highest == kept.scores) & (whose < kept.columns)
        return BestAnswers(
            scores=torch.where(wins, highest, kept.scores),
            columns=torch.where(wins, whose, kept.columns),
        )

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
            scores=scores.values.gather(1, best[:, None])[:, 0], columns=columns[best]
        )

    def _scored(self, task: TaskTestSet, tasks: Sequence[str] | None) -> Scores:
        return self._adapter.score(
            task.features, encoder=task.fingerprint, logit_scale=self._scale, tasks=tasks
        )


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many of their first entries are the same."""
    count = 0
    for mine, yours in zip(first, second, strict=False):
        if mine != yours:
            return count
        count += 1
    return count
