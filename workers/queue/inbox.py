"""Inbox of requests to the coordinator: one small durable object each, until it was taken note of.

queue/inbox/<nanoseconds>-<random>.json

Whoever asks needs nothing but the store, and may be gone by the time somebody coordinates. A
request that was written is durable; the coordinator removes it only when what it asks for is
durable itself, so that one which is carried out twice must do no harm.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.errors import CorruptionError, MissingError
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.formats.documents import decode, encode
from workers.queue.events import Accepted, Cancel, Event, Pause, Resume, Retry
from workers.queue.ticket import Ticket
from workers.queue.ticket_json import ticket_from_json, ticket_to_json
from workers.store import absent
from workers.store.base import Listed, ObjectStore

PREFIX = "queue/inbox/"
READING_THREADS = 8
COARSE_S = 2.0
"""Stores may keep times in whole seconds."""

_OF_SUBMISSION: dict[str, type[Cancel | Retry]] = {"cancel": Cancel, "retry": Retry}
_OF_ADAPTER: dict[str, type[Pause | Resume]] = {"pause": Pause, "resume": Resume}


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueRequest:
    """One request.

    Attributes:
        key: Where it lies.
        event: What the queue is to be told.
        who: Who asks.
        at: When it was written, in seconds since the epoch: by the store's clock, and within what
            that can tell apart by the asking machine's.
    """

    key: str
    event: Event
    who: str
    at: float


def ask(store: ObjectStore, event: Event, *, who: str) -> str:
    """Write a request for the coordinator and return its key; durable when this returns."""
    key = f"{PREFIX}{time.time_ns():020d}-{secrets.token_hex(4)}.json"
    store.put(key, encode({**_to_json(event), "who": who}))
    return key


def waiting(store: ObjectStore) -> list[Listed]:
    """Return what lies in the inbox, the oldest first; only listed, not read."""
    return sorted(store.list(PREFIX), key=lambda entry: (_written_at(entry), entry.key))


def read(
    store: ObjectStore, entries: Sequence[Listed], *, threads: Threads = SYSTEM_THREADS
) -> list[QueueRequest | CorruptionError | MissingError]:
    """Return the requests in `entries`, in their order.

    For one that is damaged, or listed and not to be found, an error whose fields name its `key`.
    What others have removed since it was listed is left out.
    """

    def one(entry: Listed) -> QueueRequest | CorruptionError | MissingError | None:
        try:
            found = absent.find(store, entry.key)
            return None if found is None else _request(entry, found.data)
        except MissingError as error:
            # Taken note of meanwhile by a coordinator that was slow to remove it, or denied.
            return error if absent.is_listed(store, entry.key) else None
        except CorruptionError as error:
            return error

    requests = threads.map(one, entries, most=READING_THREADS)
    return [request for request in requests if request is not None]


def announced(store: ObjectStore, *, threads: Threads = SYSTEM_THREADS) -> list[Ticket]:
    """Return the tickets of submissions that nobody has taken note of yet, in order."""
    return [
        request.event.ticket
        for request in read(store, waiting(store), threads=threads)
        if isinstance(request, QueueRequest) and isinstance(request.event, Accepted)
    ]


def _to_json(event: Event) -> dict[str, Any]:
    match event:
        case Accepted(ticket=ticket):
            return {"wish": "accept", "ticket": ticket_to_json(ticket)}
        case Cancel(submission_id=name):
            return {"wish": "cancel", "submission": name}
        case Retry(submission_id=name):
            return {"wish": "retry", "submission": name}
        case Pause(adapter=adapter):
            return {"wish": "pause", "adapter": adapter}
        case Resume(adapter=adapter):
            return {"wish": "resume", "adapter": adapter}
    raise TypeError(f"nobody may ask for {event}")


def _request(entry: Listed, content: bytes) -> QueueRequest:
    try:
        value, at = decode(content, f"the request {entry.key!r}"), _written_at(entry)
        return QueueRequest(key=entry.key, event=_event(value, at), who=str(value["who"]), at=at)
    except (CorruptionError, KeyError, TypeError, AttributeError) as error:
        raise CorruptionError(f"{entry.key!r} is no request: {error!r}", key=entry.key) from error


def _written_at(entry: Listed) -> float:
    """Return when a request was written.

    Machines' clocks differ, so the store's decides, for all of them alike; but of two requests
    within a second only the machine that wrote both knows which came first.
    """
    try:
        said = int(entry.key.removeprefix(PREFIX).split("-")[0]) / 1e9
    except ValueError:
        return entry.modified
    return said if abs(said - entry.modified) < COARSE_S else entry.modified


def _event(value: dict[str, Any], at: float) -> Event:
    wish = value["wish"]
    if wish == "accept":
        ticket: Ticket = ticket_from_json(value["ticket"])
        return Accepted(ticket=replace(ticket, accepted_at=at, since=at))
    if wish in _OF_SUBMISSION:
        return _OF_SUBMISSION[wish](submission_id=str(value["submission"]))
    return _OF_ADAPTER[wish](adapter=str(value["adapter"]))
