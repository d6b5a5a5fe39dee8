"""Audit log: one entry for each call that changes something, and for each that was denied.

    audit/<day>/<adapter>/<nanoseconds>-<random>.json

`_all` stands for calls that concern no adapter, all of them, or what can be none. An entry is
written before the call is carried out, so that nothing changes without one, and once more when it
has ended. What has not ended says `begun`: whoever did it may have died, and it may have happened.
"""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial

from pydantic import FiniteFloat

from adapters.errors import ForbiddenError, NacreError, UnknownOutcomeError, reason_of
from workers.concurrency.bounded import in_threads
from workers.formats.documents import Count, encode, validated
from workers.queue.machine import EVERY_ADAPTER
from workers.registry.documents.layout import is_adapter
from workers.store import absent
from workers.store.base import ObjectStore

PREFIX = "audit/"
EVERY = "_all"
READING_THREADS = 8
LONGEST_REASON = 500
GAP_DAYS = 40
"""So many days without an entry are the end of what is kept."""
_DAY_S = timedelta(days=1).total_seconds()

logger = logging.getLogger("nacre.audit")


class Outcome(StrEnum):
    """What became of a call."""

    BEGUN = "begun"  # nobody has written down how it ended
    DONE = "done"
    DENIED = "denied"  # whoever asked may not do this, or is not known
    FAILED = "failed"  # an error has ended it
    UNKNOWN = "unknown"  # it may have happened


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One call.

    Attributes:
        at: When it was made, in seconds since the epoch.
        who: Who made it.
        road: How it came in: `cli`, `http`, `console`, `python` or `job`.
        verb: What was asked for.
        adapter: Of which adapter; `*` where of none or of all.
        target: Of what: a version, a task, a submission, a token.
        outcome: What became of it.
        reason: Why it was not done; empty where it was.
        request_id: Of the request over HTTP; empty elsewhere.
        times: How many calls alike it stands for.
    """

    at: FiniteFloat
    who: str
    road: str
    verb: str
    adapter: str = EVERY_ADAPTER
    target: str = ""
    outcome: Outcome = Outcome.BEGUN
    reason: str = ""
    request_id: str = ""
    times: Count = 1


@dataclass(slots=True)
class Ending:
    """How a call has ended, where no error says it; set by whoever carries it out.

    Attributes:
        outcome: What became of it.
        reason: Why it was not done.
    """

    outcome: Outcome = Outcome.DONE
    reason: str = ""


def write_entry(store: ObjectStore, entry: AuditEntry) -> str:
    """Keep an entry, and return its key; durable when this returns."""
    key = f"{_folder(_day(entry.at), entry.adapter)}{_name(entry.at)}"
    store.put(key, _to_bytes(entry))
    return key


@contextmanager
def audited(
    store: ObjectStore, entry: AuditEntry, *, said: Callable[[str], str] = str
) -> Iterator[Ending]:
    """Keep `entry` while something is done, and how that has ended, which may be set.

    Args:
        store: The object store.
        entry: What is done.
        said: Returns a reason as it may be read.

    Raises:
        UnavailableError: it cannot be kept; nothing has been done.
    """
    key, ending = write_entry(store, entry), Ending()

    def end(outcome: Outcome, reason: str) -> None:
        _end(store, key, entry, outcome, said(reason))

    try:
        yield ending
    except ForbiddenError as error:
        end(Outcome.DENIED, reason_of(error))
        raise
    except UnknownOutcomeError as error:
        end(Outcome.UNKNOWN, reason_of(error))
        raise
    except Exception as error:
        end(Outcome.FAILED, reason_of(error))
        raise
    except BaseException as error:  # whoever did it is ended from outside
        end(Outcome.UNKNOWN, reason_of(error))
        raise
    end(ending.outcome, ending.reason)


def read_audit(
    store: ObjectStore, *, now: float, days: int, adapter: str | None = None
) -> Iterator[AuditEntry]:
    """Yield what was asked for, the latest first.

    Args:
        store: The object store.
        now: Seconds since the epoch.
        days: Today, and so many days in all.
        adapter: Only of this adapter; of all where None.

    Raises:
        CorruptionError: an entry is damaged.
    """
    for back in range(days):
        day = _day(now - timedelta(days=back).total_seconds())
        keys, read = _keys(store, day, adapter), partial(_read, store)
        for entry in in_threads(read, keys, threads=READING_THREADS, ahead=READING_THREADS):
            if entry is not None:
                yield entry


def remove_older(store: ObjectStore, *, now: float, days: float) -> int:
    """Remove the days that are older than so many, and return how many entries they had."""
    removed = gap = back = 0
    while gap < GAP_DAYS:
        back += 1
        at = now - (days + back) * _DAY_S
        if at < 0:
            break  # before 1970, and no call is as old
        day = _day(at)
        keys = [listed.key for listed in store.list(f"{PREFIX}{day}/")]
        for key in keys:
            store.delete(key)
        removed, gap = removed + len(keys), 0 if keys else gap + 1
    return removed


def entry_from_bytes(data: bytes, what: str) -> AuditEntry:
    """Return the entry in `data`; CorruptionError naming `what` when there is none."""
    return validated(AuditEntry, data, what)


def _end(
    store: ObjectStore,
    key: str,
    entry: AuditEntry,
    outcome: Outcome,
    reason: str,
) -> None:
    ended = replace(entry, outcome=outcome, reason=reason[:LONGEST_REASON])
    try:
        store.put(key, _to_bytes(ended))
    except NacreError as failed:  # what was done is done
        logger.warning("%r stays at `begun`: %s", key, failed.message)


def _to_bytes(entry: AuditEntry) -> bytes:
    return encode(asdict(entry))


def _keys(store: ObjectStore, day: str, adapter: str | None) -> list[str]:
    """Return the keys of a day, the latest first."""
    folder = f"{PREFIX}{day}/" if adapter is None else _folder(day, adapter)
    return sorted(
        (listed.key for listed in store.list(folder)),
        key=lambda key: key.rpartition("/")[2],
        reverse=True,
    )


def _read(store: ObjectStore, key: str) -> AuditEntry | None:
    """Return an entry; None where it was removed since it was listed."""
    found = absent.find(store, key)
    return None if found is None else entry_from_bytes(found.data, f"the audit entry {key!r}")


def _folder(day: str, adapter: str) -> str:
    # What can be no adapter gets no folder, which could lie in that of another one.
    return f"{PREFIX}{day}/{adapter if is_adapter(adapter) else EVERY}/"


def _name(at: float) -> str:
    return f"{int(at * 1e9):020d}-{secrets.token_hex(4)}.json"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
