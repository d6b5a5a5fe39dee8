"""Measured tasks: the test sets on which a new version is measured, its own and earlier ones."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from adapters.errors import MissingError, NotFoundError
from adapters.towers.image_tower import ImageTower
from workers.encoding.encoder import Encoder
from workers.encoding.shard_encoder import ShardEncoder
from workers.learning.evaluation import TaskTestSet, task_test_set
from workers.registry import TaskRef
from workers.store.base import ObjectStore
from workers.tasks.submission import PREFIX, Submission, is_swept, submission_at_once


class MeasuredTasks:
    """Reads test features, and makes those of a tower that the version brings.

    Args:
        encoder: Its own tower's features are stored.
        store: The object store.
    """

    # Owns: nothing.

    def __init__(self, encoder: Encoder, store: ObjectStore) -> None:
        self._encoder = encoder
        self._store = store
        self._shard_encoder = ShardEncoder(encoder, store)

    def own(self, submission: Submission, tower: ImageTower) -> TaskTestSet:
        """Return the test images of a submission that is being learnt, under `tower`.

        Raises:
            NotFoundError: a shard has not been embedded, or its features are gone.
        """
        if tower is not self._encoder.image_tower:
            self._shard_encoder.embed_split(submission, "held_out", tower)
        patience = self._store.patience.longer
        return task_test_set(
            self._store, submission, fingerprint=tower.fingerprint, patience=patience
        )

    def earlier(self, tasks: Sequence[TaskRef], tower: ImageTower) -> Iterator[TaskTestSet]:
        """Yield the test images of earlier tasks, but of those whose versions were imported.

        What the store denies is asked for again before it counts as that.
        """
        for submission in self._submissions(tasks):
            with suppress(NotFoundError):
                yield self._earlier(submission, tower)

    def _earlier(self, submission: Submission, tower: ImageTower) -> TaskTestSet:
        own_tower = tower is self._encoder.image_tower
        if not own_tower and is_swept(self._store, submission.submission_id):
            # Its images are gone, so that nothing can be made of them that is not there.
            return task_test_set(self._store, submission, fingerprint=tower.fingerprint)
        return self.own(submission, tower)

    def _submissions(self, tasks: Sequence[TaskRef]) -> list[Submission]:
        """Return the submissions of `tasks` that are in this store, all asked for together."""
        found: dict[str, Submission] = {}

        def read() -> None:
            denied: list[NotFoundError] = []
            for task in tasks:
                if task.submission not in found:
                    try:
                        found[task.submission] = submission_at_once(self._store, task.submission)
                    except NotFoundError as error:
                        denied.append(error)
            if denied:
                raise denied[0]

        because = "earlier tasks were submitted"
        with suppress(MissingError):
            self._store.patience.ask(read, key=PREFIX, url=self._store.url, because=because)
        return [found[task.submission] for task in tasks if task.submission in found]
