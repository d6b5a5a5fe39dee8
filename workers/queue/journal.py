"""Journal, the event log of a submission: one small immutable object per event.

journal/<submission>/<microseconds>-<epoch>.json
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from pydantic import FiniteFloat

from workers.concurrency.bounded import pool_of
from workers.formats.documents import Count, encode, validated
from workers.queue.ticket import ENDED, Stage, Ticket
from workers.store import absent
from workers.store.base import ObjectStore

PREFIX = "journal/"
READING_THREADS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """One event.

    Attributes:
        at: When, in seconds since the epoch.
        stage: The stage that the submission was in afterwards.
        message: What happened.
        took_s: How long the stage before had taken, in seconds; None where it goes on.
        version: The version that it was published as; None before.
        epoch: Of the coordinator that wrote it.
    """

    at: FiniteFloat
    stage: str
    message: str
    took_s: FiniteFloat | None = None
    version: int | None = None
    epoch: Count = 0


def entry_of(before: Ticket, after: Ticket, *, now: float, epoch: int) -> JournalEntry:
    """Return what is written down of a ticket that has changed."""
    moved = after.stage is not before.stage
    return JournalEntry(
        at=now,
        stage=after.stage.value,
        message=_message(before, after),
        took_s=now - before.since if moved else None,
        version=after.version,
        epoch=epoch,
    )


def write_entry(store: ObjectStore, submission_id: str, entry: JournalEntry) -> None:
    """Keep `entry`."""
    name = f"{int(entry.at * 1e6):020d}-{entry.epoch}.json"
    store.put(f"{PREFIX}{submission_id}/{name}", encode(asdict(entry)))


def read_journal(
    store: ObjectStore, submission_id: str, *, after: float = 0.0
) -> Iterator[JournalEntry]:
    """Yield the events of a submission that are later than `after`, oldest first.

    Raises:
        CorruptionError: one is damaged.
    """
    folder = f"{PREFIX}{submission_id}/"
    keys = sorted(listed.key for listed in store.list(folder))
    wanted = [key for key in keys if int(key.removeprefix(folder)[:20]) > int(after * 1e6)]
    with pool_of(READING_THREADS) as threads:
        contents = threads.map(
            lambda key: store.get_existing(key, because=absent.LISTED).data, wanted
        )
        for key, content in zip(wanted, contents, strict=True):
            yield _entry(key, content)


def _entry(key: str, content: bytes) -> JournalEntry:
    return validated(JournalEntry, content, f"the event {key!r}")


_BEGUN = {
    Stage.ACCEPTED: "waits to be embedded",
    Stage.ENCODING: "its images are being embedded",
    Stage.WAITING: "embedded; waits for its turn",
    Stage.TRAINING: "is being learnt",
    Stage.COMPRESSING: "learnt; its mixtures are being fitted",
    Stage.CHECKING: "its new version is being measured and published",
    Stage.PUBLISHED: "published",
    Stage.REJECTED: "refused by the gate",
    Stage.FAILED: "failed for good",
    Stage.CANCELLED: "cancelled",
}


def _message(before: Ticket, after: Ticket) -> str:
    if after.failures != before.failures:
        failure = after.failures[-1]
        what = "failed for good" if after.stage in ENDED else "to be tried again"
        return f"{failure.stage.value} broke ({failure.cause.value}): {failure.error}; {what}"
    if after.round != before.round:
        return "to be tried again, as somebody asked"
    if after.parent != before.parent and after.stage is Stage.TRAINING:
        return f"is being learnt on version {after.parent}" if after.parent else "is being learnt"
    said = _BEGUN[after.stage]
    if after.version is not None:
        said += f" as version {after.version}"
    return f"{said}: {after.note}" if after.note else said
