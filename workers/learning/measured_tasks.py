"""Measured tasks: the test sets on which a new version is measured, its own and earlier ones."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from cachetools import LRUCache

from adapters.errors import MissingError, NotFoundError
from adapters.towers.image_tower import ImageTower
from workers.concurrency.bounded import in_threads, pool_of
from workers.encoding.encoder import Encoder
from workers.encoding.shard_encoder import ShardEncoder
from workers.learning.evaluation import TaskTestSet, task_test_set
from workers.registry import TaskRef
from workers.store.base import ObjectStore
from workers.tasks.submission import PREFIX, Submission, is_swept, submission_at_once

THREADS = 16
"""Objects read side by side: each is small, and a store answers after milliseconds."""
REMEMBERED_BYTES = 256 * 2**20
"""Of test features in memory: twice what a thousand tasks of sixty images have at width 512."""


class MeasuredTasks:
    """Reads test features, and makes those of a tower that the version brings.

    Args:
        encoder: Its own tower's features are stored.
        store: The object store.
        remembered: Bytes of features under the encoder's own tower that are kept in memory.
    """

    # Owns: `_remembered`, guarded by `_lock`.

    def __init__(
        self, encoder: Encoder, store: ObjectStore, *, remembered: int = REMEMBERED_BYTES
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._shard_encoder = ShardEncoder(encoder, store)
        self._lock = threading.Lock()
        self._remembered: LRUCache[str, TaskTestSet] = LRUCache(
            remembered, getsizeof=lambda found: found.features.nbytes + found.labels.nbytes
        )

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

        What the store denies is asked for again before it counts as that. Under the encoder's own
        tower they are read side by side, and remembered: they never change.
        """
        if tower is not self._encoder.image_tower:
            for submission in self._submissions(tasks):
                with suppress(NotFoundError):
                    yield self._embedded(submission, tower)
            return
        with self._lock:
            names = [task.submission for task in tasks]
            known = {name: self._remembered.get(name) for name in names}
        new = [task for task in tasks if known[task.submission] is None]
        read = in_threads(
            partial(self._read, tower=tower),
            self._submissions(new),
            threads=THREADS,
            ahead=2 * THREADS,
        )
        found = dict(read)
        for name in names:
            test_set = known[name] or found.get(name)
            if test_set is not None:
                yield test_set

    def _read(self, submission: Submission, *, tower: ImageTower) -> tuple[str, TaskTestSet | None]:
        name = submission.submission_id
        try:
            found = self.own(submission, tower)
        except NotFoundError:
            return name, None
        with self._lock, suppress(ValueError):  # larger than all that is remembered
            self._remembered[name] = found
        return name, found

    def _embedded(self, submission: Submission, tower: ImageTower) -> TaskTestSet:
        if is_swept(self._store, submission.submission_id):
            # Its images are gone, so that nothing can be made of them that is not there.
            return task_test_set(self._store, submission, fingerprint=tower.fingerprint)
        return self.own(submission, tower)

    def _submissions(self, tasks: Sequence[TaskRef]) -> list[Submission]:
        """Return the submissions of `tasks` that are in this store, all asked for together."""
        found: dict[str, Submission] = {}

        def read_one(name: str) -> Submission | NotFoundError:
            try:
                return submission_at_once(self._store, name)
            except NotFoundError as error:
                return error

        def read() -> None:
            wanted = [task.submission for task in tasks if task.submission not in found]
            with pool_of(THREADS) as pool:
                answers = list(pool.map(read_one, wanted))
            pairs = zip(wanted, answers, strict=True)
            found.update({name: one for name, one in pairs if isinstance(one, Submission)})
            for answer in answers:
                if isinstance(answer, NotFoundError):
                    raise answer

        because = "earlier tasks were submitted"
        with suppress(MissingError):
            self._store.patience.ask(read, key=PREFIX, url=self._store.url, because=because)
        return [found[task.submission] for task in tasks if task.submission in found]
