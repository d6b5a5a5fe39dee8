"""Repeated evaluation of versions on the test images of submissions, learnt or still queued."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import torch

from adapters.adapter import Adapter
from adapters.errors import InputError, NotFoundError, UnavailableError
from adapters.reliability import Reliability
from adapters.towers.image_tower import ImageTower
from cluster.config import Config
from cluster.stores.open import open_store
from cluster.stores.versions import open_versions
from workers.concurrency.threads import SYSTEM_THREADS
from workers.encoding.blocks import block_key, has_block
from workers.encoding.encoder import Encoder
from workers.encoding.shard_encoder import ShardEncoder
from workers.learning.evaluation import (
    Answers,
    MeasuredAccuracy,
    ServedAnswers,
    TaskTestSet,
    accuracy_of,
    answers,
    served_answers,
    task_test_set,
)
from workers.learning.rejection import Rejection, rejection
from workers.tasks.submission import Submission

POLL_S = 0.3
THREADS = 16
"""Submissions of which test features are read at once."""
TestSource = Callable[[ImageTower], TaskTestSet]
"""Gives the features of test images under a tower."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredRow:
    """What one version, or the encoder alone, answers about every set.

    Attributes:
        answers: Among the classes of all sets.
        accuracies: Of these, by set.
        served: The same as `predict` answers, among the learnt classes; None of a set with others.
        served_candidates: How many these are.
        reliability: How far what is served can be believed; None where nothing was measured of it.
        rejected: Of each set, which share of its images is of none of the learnt classes; None of a
            set of which nothing was measured. None where that is not asked.
        unmeasured: Why nothing is rejected, where it was asked and cannot be told.
        seconds: How long it took.
    """

    answers: Answers
    accuracies: tuple[MeasuredAccuracy, ...]
    served: tuple[MeasuredAccuracy | None, ...]
    served_candidates: int
    reliability: Reliability | None
    rejected: tuple[Rejection | None, ...] | None = None
    unmeasured: InputError | None = None
    seconds: float


class Measuring:
    """Measures versions of one adapter on the same test images again and again.

    Args:
        config: Of the system; its adapter is the one that is measured.
        submissions: What is measured, learnt or not.
        device: Where the encoder embeds what else is measured.
    """

    # Owns: the test features, read once.

    def __init__(
        self, config: Config, submissions: Sequence[Submission], *, device: str = "cpu"
    ) -> None:
        torch.set_num_threads(config.workers.threads)
        self.encoder = Encoder(config.encoder, device=device)
        self._store = open_store(config.store)
        self._versions = open_versions(config)
        self._adapter = config.adapter
        self._submissions = tuple(submissions)
        self._embedder = ShardEncoder(self.encoder, self._store)
        self._sources: list[TestSource] = []
        self._found: dict[tuple[int, str], TaskTestSet] = {}

    def embedded(self, submissions: Sequence[Submission]) -> list[Submission]:
        """Return those whose test images have been embedded by this encoder, and not purged."""
        fingerprint = self.encoder.fingerprint

        def is_embedded(submission: Submission) -> bool:
            shards = submission.of_split("held_out")
            return all(has_block(self._store, block_key(fingerprint, "1", s)) for s in shards)

        found = SYSTEM_THREADS.map(is_embedded, submissions, most=THREADS)
        return [one for one, is_there in zip(submissions, found, strict=True) if is_there]

    def take(self, submissions: Sequence[Submission]) -> None:
        """Measure on these, too, once they are read."""
        self._submissions = (*self._submissions, *submissions)

    def read(self) -> None:
        """Read the test features of all submissions.

        Raises:
            UnavailableError: some have not been embedded by this encoder.
        """
        base = self.encoder.image_tower
        new = list(enumerate(self._submissions))[len(self._sources) :]
        SYSTEM_THREADS.map(self._look, new, most=THREADS)
        for place, entry in new:
            if (place, base.fingerprint) not in self._found:
                raise UnavailableError(
                    f"the test images of {entry.submission_id} have not been embedded by the "
                    f"configured encoder {base.fingerprint}; they are when the task is learnt "
                    f"(`nacre status {entry.submission_id}`)",
                    submission=entry.submission_id,
                )
            self.add(partial(self._of_submission, entry))

    def _look(self, placed: tuple[int, Submission]) -> None:
        """Read the test features of a submission, unless they are known or not there yet."""
        with suppress(NotFoundError):
            place, entry = placed
            key = (place, self.encoder.fingerprint)
            if key not in self._found:
                self._found[key] = self._of_submission(entry, self.encoder.image_tower)

    def wait_until_embedded(self, *, timeout_s: float = 600) -> None:
        """Read the test features as soon as all of them have been embedded.

        Raises:
            UnavailableError: they have not been after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self.read()
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_S)

    def add(self, further: TestSource) -> None:
        """Measure on this, too."""
        self._sources.append(further)

    @property
    def tasks(self) -> tuple[TaskTestSet, ...]:
        """What is measured, under the encoder's own tower: all that was read and has images."""
        return tuple(task for task in self._under(self.encoder.image_tower) if len(task.labels))

    def answers(self, version: int | None) -> tuple[Answers, ServedAnswers]:
        """Return what `version` answers about the images of each of `tasks`.

        First where the candidates are the classes of all that was read, then as it is served. None
        asks the encoder alone, which serves nothing.
        """
        state = self._versions.state(self._adapter, version or 0)
        adapter = Adapter(state.records, shared=state.shared) if state.records else None
        base = self.encoder.image_tower
        under = self._under(adapter.image_tower(base) if adapter else base)
        tasks = [task for task in under if len(task.labels)]
        # Classes of tasks without images are candidates, too.
        found = answers(adapter, under, self.encoder, with_losses=True)
        pairs = zip(under, found.sets, strict=True)
        found = replace(found, sets=tuple(sets for task, sets in pairs if len(task.labels)))
        if adapter is None:
            return found, ServedAnswers(sets=(None,) * len(tasks), candidates=0)
        return found, served_answers(adapter, tasks, self.encoder, among_all=found)

    def rejected(self, version: int, rate: float) -> tuple[Rejection | None, ...]:
        """Return what `version` rejects of the images of each of `tasks`.

        Raises:
            InputError: as `Adapter.verdicts`.
        """
        state = self._versions.state(self._adapter, version)
        adapter = Adapter(state.records, shared=state.shared)
        under = self._under(adapter.image_tower(self.encoder.image_tower))
        return tuple(
            rejection(adapter, task, self.encoder, rate=rate) for task in under if len(task.labels)
        )

    def _under(self, tower: ImageTower) -> tuple[TaskTestSet, ...]:
        return tuple(self._features(place, tower) for place in range(len(self._sources)))

    def _features(self, place: int, tower: ImageTower) -> TaskTestSet:
        key = (place, tower.fingerprint)
        if key not in self._found:
            self._found[key] = self._sources[place](tower)
        return self._found[key]

    def _of_submission(self, submission: Submission, tower: ImageTower) -> TaskTestSet:
        if tower is not self.encoder.image_tower:
            self._embedder.embed_split(submission, "held_out", tower)
        return task_test_set(self._store, submission, fingerprint=tower.fingerprint)

    def row(self, version: int | None, *, reject: float | None = None) -> MeasuredRow:
        """Return the accuracies of `version` on each of `tasks`; see `answers` and `rejected`.

        Args:
            version: Its number; None for the encoder alone, which rejects nothing.
            reject: A rate of false alarms; None where nothing is to be rejected.
        """
        started = time.perf_counter()
        found, served = self.answers(version)
        truths = [task.truth for task in self.tasks]
        rejected, unmeasured = None, None
        if version is not None and reject is not None:
            try:
                rejected = self.rejected(version, reject)
            except InputError as error:
                unmeasured = error
        return MeasuredRow(
            answers=found,
            accuracies=tuple(
                accuracy_of(predicted.classes, truth)
                for truth, predicted in zip(truths, found.sets, strict=True)
            ),
            served=tuple(
                None if predicted is None else accuracy_of(predicted.classes, truth)
                for truth, predicted in zip(truths, served.sets, strict=True)
            ),
            served_candidates=served.candidates,
            reliability=served.reliability(truths),
            rejected=rejected,
            unmeasured=unmeasured,
            seconds=time.perf_counter() - started,
        )
