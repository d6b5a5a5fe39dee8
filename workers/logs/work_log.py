"""Work logs: what one process wrote while it worked on one attempt at a submission, as it is kept.

worklogs/<submission>/<microseconds>-<role>-<random>.json    replaced as a whole while it grows

They are small and few: of each the beginning and the end are kept, of a submission the newest
`MOST`. Nothing needs them, so that whoever reads them passes over what is damaged or gone.
"""

import logging
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import FiniteFloat

from adapters.errors import CorruptionError, NotFoundError
from workers.concurrency.bounded import pool_of
from workers.formats.documents import Count, encode, validated
from workers.store.base import ObjectStore

PREFIX = "worklogs/"
READING_THREADS = 8
MOST = 64
"""Of one submission; with more attempts and workers the oldest ones go."""
Outcome = Literal["done", "failed", "stopped"]
logger = logging.getLogger("nacre.logs")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkLog:
    """What one process wrote while it worked on one attempt at a submission.

    Attributes:
        role: Of the process: `trainer`.
        stage: Of the submission.
        round: How often somebody had asked for the submission.
        attempt: Which attempt of the round.
        host: Where the process ran.
        pid: Of the process.
        begun_at: When it began, in seconds since the epoch.
        at: When this was written.
        outcome: How it ended; None where it goes on, or nobody could say, as when it was killed.
        head: The first lines, in UTC.
        tail: The last ones, where these are others.
        left_out_bytes: How much stood between them.
        removed: How many older ones of the submission were removed when this one was written.
        trace: The id of its trace; empty where there is none.
    """

    role: str
    stage: str
    round: Count
    attempt: Count
    host: str
    pid: Count
    begun_at: FiniteFloat
    at: FiniteFloat
    outcome: Outcome | None = None
    head: str = ""
    tail: str = ""
    left_out_bytes: Count = 0
    removed: Count = 0
    trace: str = ""

    @property
    def text(self) -> str:
        """All that is kept, and between its parts how much is not."""
        if not self.left_out_bytes:
            return self.head + self.tail
        return f"{self.head}… {self.left_out_bytes} bytes are left out …\n{self.tail}"


def folder_of(submission_id: str) -> str:
    """Return where the logs of a submission are kept."""
    return f"{PREFIX}{submission_id}/"


def write_work_log(store: ObjectStore, key: str, log: WorkLog) -> None:
    """Keep `log` in the place of what was there."""
    store.put(key, encode(asdict(log)))


def make_room(store: ObjectStore, submission_id: str, key: str) -> int:
    """Remove the oldest logs of a submission, and return how many are gone by now.

    Args:
        store: The object store.
        submission_id: Whose.
        key: Of the log that room is made for.
    """
    others = sorted(each.key for each in store.list(folder_of(submission_id)) if each.key != key)
    gone = 0
    for old in others[: max(0, len(others) + 1 - MOST)]:
        found = _read(store, old)
        gone += 1 + (found.removed if found else 0)
        store.delete(old)
    return gone


def read_work_logs(store: ObjectStore, submission_id: str, *, after: float = 0.0) -> list[WorkLog]:
    """Return the logs of a submission that were written later than `after`, the oldest first."""
    keys = sorted(listed.key for listed in store.list(folder_of(submission_id)))
    with pool_of(READING_THREADS) as threads:
        found = threads.map(lambda key: _read(store, key), keys)
        return [log for log in found if log is not None and log.at > after]


def _read(store: ObjectStore, key: str) -> WorkLog | None:
    try:
        return validated(WorkLog, store.get(key).data, f"the log {key!r}")
    except NotFoundError:  # removed meanwhile
        return None
    except CorruptionError as error:
        logger.warning("a log is passed over: %s", error.message)
        return None
