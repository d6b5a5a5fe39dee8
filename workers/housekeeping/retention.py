"""Retention: images and features are removed some days after their submission has ended.

submissions/<id>/swept.json    written when its images were removed

What is removed: its image shards and the features of its training images. What stays: its record,
its test features, which every later version is measured on, and the submission itself. The audit
log is kept for a time of its own.
"""

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from adapters.errors import CorruptionError, NacreError
from workers.access.audit import remove_older
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.encoding.blocks import FEATURES, block_blob
from workers.formats.documents import encode
from workers.queue.ledger import read_outcome, read_pages
from workers.queue.ticket import ENDED, Ticket
from workers.store import absent
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, blob_key
from workers.tasks.submission import PREFIX, SHARDS, Shard, existing_submission, swept_key

DAY_S = 24 * 3600.0
logger = logging.getLogger("nacre.coordinator")


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """How long images, features and the audit log are kept.

    Attributes:
        days: Images and features: days after a submission has ended; `null` keeps them for ever.
        audit_days: The audit log: days after a call was made; `null` keeps it for ever.
    """

    days: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = 7.0
    audit_days: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = 365.0


class PeriodicRetention:
    """Removes what has expired from time to time, in a thread.

    Args:
        store: The object store.
        retention: How long things are kept.
        every_s: Seconds between two removals.
        threads: In which it removes.
    """

    # Owns: the removal that is under way.

    def __init__(
        self,
        store: ObjectStore,
        retention: Retention,
        *,
        every_s: float,
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self._store = store
        self._retention = retention
        self._every_s = every_s
        self._threads = threads
        self._began_at = float("-inf")
        self._removing: asyncio.Task[None] | None = None

    def begin_if_due(self, now: float) -> None:
        """Begin to remove, unless there was one lately or one is under way."""
        if now - self._began_at >= self._every_s and self._removing is None:
            self._began_at = now
            self._removing = asyncio.create_task(self._remove(now))

    async def stop(self) -> None:
        """Wait until the removal under way has ended; it may be left at any moment."""
        if self._removing is not None:
            self._removing.cancel()
            await asyncio.gather(self._removing, return_exceptions=True)

    async def _remove(self, now: float) -> None:
        try:
            names = await self._threads.call(
                remove_all_expired, self._store, self._retention, now=now, threads=self._threads
            )
            if names:
                logger.info("images removed", extra={"submissions": names})
        except NacreError as error:
            logger.warning("nothing is removed this time: %s", error.message)
        except Exception:
            logger.exception("nothing is removed this time")
        finally:
            self._removing = None


def remove_all_expired(
    store: ObjectStore, retention: Retention, *, now: float, threads: Threads = SYSTEM_THREADS
) -> list[str]:
    """Do as `remove_expired` does, and remove what of the audit log is kept no longer, too."""
    names = remove_expired(store, retention, now=now, threads=threads)
    if retention.audit_days is not None:
        remove_older(store, now=now, days=retention.audit_days)
    return names


def remove_expired(
    store: ObjectStore, retention: Retention, *, now: float, threads: Threads = SYSTEM_THREADS
) -> list[str]:
    """Remove what is kept no longer, and return the ids of the submissions that it belonged to.

    What another submission needs too stays, and so does whatever is younger than a day: shards go
    up before the submission that names them.

    Args:
        store: The object store.
        retention: How long things are kept.
        now: Seconds since the epoch.
        threads: In which pages of the queue are read.

    Raises:
        MissingError: something that must be there is not to be found: nothing is removed.
    """
    if retention.days is None:
        return []
    on_page = {ticket.submission_id: ticket for ticket in read_pages(store, threads=threads)}
    submitted = _submitted(store)
    ended, open_ones = _unswept(submitted, on_page)
    limit = now - retention.days * DAY_S
    expired = [name for name in ended if _ended_before(store, name, limit, on_page)]
    if not expired:
        return []
    shards = partial(_shards, store, submitted, on_page)
    needed = {shard.digest for name in {*open_ones, *ended} - {*expired} for shard in shards(name)}
    going = {shard for name in expired for shard in shards(name) if shard.digest not in needed}
    for key in _keys(store, going, before=now - DAY_S):
        store.delete(key)
    for name in expired:
        store.put(swept_key(name), encode({"at": now}))
    return expired


def _submitted(store: ObjectStore) -> Mapping[str, set[str]]:
    """Return what is kept of each submission, by its id."""
    kinds: dict[str, set[str]] = {}
    for listed in store.list(PREFIX):
        name, _, kind = listed.key.removeprefix(PREFIX).partition("/")
        kinds.setdefault(name, set()).add(kind)
    return kinds


def _unswept(
    submitted: Mapping[str, set[str]], on_page: Mapping[str, Ticket]
) -> tuple[set[str], set[str]]:
    """Return the ids of submissions that have ended, and of those that have not."""
    # A page counts more than an outcome: what failed long ago may be learnt again by now.
    begun = {name for name, ticket in on_page.items() if ticket.stage not in ENDED}
    unswept = {name for name, found in submitted.items() if "swept.json" not in found}
    ended = {name for name in unswept - begun if "state.json" in submitted[name]}
    return ended, unswept - ended | begun


def _ended_before(
    store: ObjectStore, name: str, limit: float, on_page: Mapping[str, Ticket]
) -> bool:
    try:
        outcome = on_page.get(name) or read_outcome(store, name)
    except CorruptionError:
        return False
    return outcome is not None and outcome.since < limit


def _shards(
    store: ObjectStore,
    submitted: Mapping[str, set[str]],
    on_page: Mapping[str, Ticket],
    name: str,
) -> tuple[Shard, ...]:
    """Return the shards of a submission; none of what has left nothing but an outcome."""
    if "submission.json" in submitted.get(name, ()):
        return existing_submission(store, name, because=absent.LISTED).shards
    if name in on_page:
        return existing_submission(store, name, because="its ticket names it").shards
    return ()


def _keys(store: ObjectStore, shards: Collection[Shard], *, before: float) -> Iterator[str]:
    """Yield the keys of what belongs to `shards` alone and was written before that time."""
    keys = {blob_key(BlobRef(sha256=s.digest, size=s.size), SHARDS) for s in shards}
    yield from (
        listed.key
        for listed in store.list(SHARDS)
        if listed.key in keys and listed.modified < before
    )
    # What one task learns from, another may be measured on: with one view, both have one block.
    measured_on = {shard.digest for shard in shards if shard.split == "held_out"}
    learnt_from = {shard.digest for shard in shards} - measured_on
    for listed in store.list(FEATURES):
        if PurePosixPath(listed.key).stem in learnt_from and listed.modified < before:
            blob = block_blob(store, listed.key)
            yield from (key for key in (blob, listed.key) if key)
