"""Logs of workers as they lie in a store."""

from workers.logs.work_log import WorkLog, folder_of, write_work_log
from workers.store import ObjectStore

WROTE = """2026-11-30T12:00:00.000Z INFO nacre.trainer: learns on version 0 with lada on cpu
2026-11-30T12:00:01.000Z ERROR broke
    Traceback (most recent call last):
    ValueError: the <b>matrix</b> is singular
"""


def wrote(store: ObjectStore, submission_id: str, *, text: str = WROTE) -> WorkLog:
    """Let a trainer have failed on a submission, and return its log."""
    log = WorkLog(
        role="trainer",
        stage="training",
        round=1,
        attempt=1,
        host="node-1",
        pid=77,
        begun_at=1_000.0,
        at=1_001.0,
        outcome="failed",
        head=text,
    )
    write_work_log(store, f"{folder_of(submission_id)}{10**9:020d}-trainer-00.json", log)
    return log
