"""Measuring versions on the held-out images of submissions, learnt or still queued."""

import time
from collections.abc import Sequence

import torch

from adapters.errors import NotFoundError, UnavailableError
from adapters.inference import Adapter
from cluster.config import Config
from cluster.stores import open_store
from cluster.versions import open_versions
from workers.encoder import Encoder
from workers.evaluation import HeldOut, Share, held_out, shares
from workers.submission import Submission

POLL_S = 0.3


class Measuring:
    """Measures versions of one adapter on the same tasks again and again."""

    # Owns: the held-out features, read once.

    def __init__(self, config: Config, submissions: Sequence[Submission]) -> None:
        torch.set_num_threads(config.workers.threads)
        self._encoder = Encoder(config.encoder)
        self._store = open_store(config.store)
        self._versions = open_versions(config)
        self._adapter = config.adapter
        self._submissions = tuple(submissions)
        self._tasks: list[HeldOut] = []

    def wait_until_embedded(self, *, timeout_s: float = 600) -> None:
        """Wait until the held-out images of all submissions have been embedded.

        Raises:
            UnavailableError: they have not been after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while len(self._tasks) < len(self._submissions):
            entry = self._submissions[len(self._tasks)]
            try:
                fingerprint = self._encoder.fingerprint
                self._tasks.append(held_out(self._store, entry, fingerprint=fingerprint))
            except NotFoundError:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"{entry.submission_id} has not been embedded after {timeout_s:.0f} s; see "
                        "`nacre status`"
                    ) from None
                time.sleep(POLL_S)

    @property
    def tasks(self) -> tuple[HeldOut, ...]:
        """The held-out images that have been read."""
        return tuple(self._tasks)

    @property
    def fingerprint(self) -> str:
        """Names the encoder."""
        return self._encoder.fingerprint

    def row(self, version: int | None) -> tuple[float, ...]:
        """Return the accuracy of `version` on every task; see `shares`."""
        return tuple(share.accuracy for share in self.shares(version))

    def shares(self, version: int | None) -> tuple[Share, ...]:
        """Return what `version` answers right of every task, in the order of the submissions.

        The candidates are the classes of all of them. None measures the encoder alone.
        """
        records = self._versions.records(self._adapter, version) if version else ()
        adapter = Adapter(records) if records else None
        found = shares(adapter, self._tasks, self._encoder)
        return tuple(found[task.task] for task in self._tasks if len(task.labels))
