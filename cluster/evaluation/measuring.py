"""Repeated evaluation of versions on the test images of submissions, learnt or still queued."""

import time
from collections.abc import Sequence

import torch

from adapters.adapter import Adapter
from adapters.contract.records import ClassEntry
from adapters.errors import NotFoundError, UnavailableError
from cluster.config import Config
from cluster.stores.open import open_store
from cluster.stores.versions import open_versions
from workers.encoding.encoder import Encoder
from workers.learning.evaluation import TaskTestSet, accuracy_of, answers, task_test_set
from workers.tasks.submission import Submission

POLL_S = 0.3


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
        self._tasks: list[TaskTestSet] = []

    def read(self) -> None:
        """Read the test features of all submissions.

        Raises:
            UnavailableError: some have not been embedded by this encoder.
        """
        fingerprint = self.encoder.fingerprint
        for entry in self._submissions[len(self._tasks) :]:
            try:
                self._tasks.append(task_test_set(self._store, entry, fingerprint=fingerprint))
            except NotFoundError:
                raise UnavailableError(
                    f"the test images of {entry.submission_id} have not been embedded by the "
                    f"configured encoder {fingerprint}; they are when the task is learnt "
                    f"(`nacre status {entry.submission_id}`)",
                    submission=entry.submission_id,
                ) from None

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

    def add(self, further: TaskTestSet) -> None:
        """Measure on this, too."""
        self._tasks.append(further)

    @property
    def tasks(self) -> tuple[TaskTestSet, ...]:
        """What is measured: all that was read and has images."""
        return tuple(task for task in self._tasks if len(task.labels))

    def answers(self, version: int | None) -> tuple[tuple[ClassEntry, ...], ...]:
        """Return what `version` answers about the images of each of `tasks`.

        The candidates are the classes of all that was read. None asks the encoder alone.
        """
        records = self._versions.records(self._adapter, version) if version else ()
        found = answers(Adapter(records) if records else None, self._tasks, self.encoder)
        pairs = zip(self._tasks, found, strict=True)
        return tuple(predicted for task, predicted in pairs if len(task.labels))

    def row(self, version: int | None) -> tuple[float, ...]:
        """Return the accuracy of `version` on each of `tasks`; see `answers`."""
        return tuple(
            accuracy_of(predicted, task.truth).accuracy
            for task, predicted in zip(self.tasks, self.answers(version), strict=True)
        )
