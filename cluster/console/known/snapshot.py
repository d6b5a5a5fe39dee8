"""Snapshot of a system, as of one moment: queue, versions, moves and replicas.

It is read through the client, once for all who look.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile

from adapters.errors import NacreError, NotFoundError, one_line
from cluster.client.client import Client
from cluster.console.known.replicas import Answering, Replicas
from cluster.wire.facts import entry_document, version_document
from cluster.wire.health import Status
from cluster.wire.versions import HistoryEntry, PublishedVersion
from workers.queue.leadership import Leadership
from workers.queue.progress import State
from workers.queue.ticket import ENDED, Stage
from workers.registry import Action, Entry

MOST_MOVES = 2000
"""Of an adapter's history; older ones are read from the command line."""
MOST_VERSIONS = 60
"""Of an adapter; older ones are read when somebody looks at them."""
CHANGING_THE_PAST = frozenset({Action.PURGE, Action.SETTLE})
"""After which versions that were known may be shown otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leader:
    """Who coordinates the queue, or did last.

    Attributes:
        host: Where it runs.
        since: When it took the lead, in seconds since the epoch.
        alive: Whether it still leads.
        paused: Adapters of which nothing new is begun; `*` is all.
    """

    host: str
    since: float
    alive: bool
    paused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """The queue.

    Attributes:
        leader: Who coordinates it; None where nobody ever did.
        states: Open submissions in the order of acceptance, then those that ended lately, the
            latest first.
        counts: How many there are of each adapter in each stage.
        unread: Requests that nobody has taken note of yet.
    """

    leader: Leader | None = None
    states: tuple[State, ...] = ()
    counts: Mapping[tuple[str, Stage], int] = field(default_factory=dict)
    unread: int = 0

    @property
    def is_coordinated(self) -> bool:
        """Whether anybody coordinates it now."""
        return self.leader is not None and self.leader.alive


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownAdapter:
    """One adapter.

    Attributes:
        name: Its name.
        aliases: The number of the version that each points to.
        versions: The newest ones, the newest first; all where they are fewer than `MOST_VERSIONS`.
        pointed: Older ones that aliases point to, the newest first.
        moves: Of its aliases, the latest first.
    """

    name: str
    aliases: Mapping[str, int]
    versions: tuple[PublishedVersion, ...] = ()
    pointed: tuple[PublishedVersion, ...] = ()
    moves: tuple[HistoryEntry, ...] = ()

    @property
    def production(self) -> int | None:
        """The number of the version that is served."""
        return self.aliases.get("production")

    @property
    def count(self) -> int:
        """How many versions there are."""
        are_all = len(self.versions) < MOST_VERSIONS
        return len(self.versions) if are_all else self.versions[0].number

    def number(self, named: int | str) -> int | None:
        """Return the number of a version given by it or by an alias; None for no such alias."""
        text = str(named)
        return int(text) if text.isdecimal() and len(text) < 12 else self.aliases.get(text)

    def find(self, named: int | str) -> PublishedVersion | None:
        """Return a version by its number or an alias; None where it is not known."""
        number = self.number(named)
        known = (*self.versions, *self.pointed)
        return next((each for each in known if each.number == number), None)

    def with_others(self, *others: PublishedVersion) -> list[PublishedVersion]:
        """Return the versions that are known and some others, the newest first."""
        found = {each.number: each for each in (*others, *self.pointed, *self.versions)}
        return [found[number] for number in sorted(found, reverse=True)]

    def version(self, named: int | str) -> PublishedVersion:
        """Return a version by its number or an alias; NotFoundError where it is not known."""
        text, found = str(named), self.find(named)
        if found is None:
            newest = self.versions[0].number if self.versions else 0
            raise NotFoundError(
                f"adapter {self.name!r} has no version {text[:64]!r}; its newest is {newest}",
                adapter=self.name,
            )
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Everything that the console knows.

    Attributes:
        revision: Grows by one with every change.
        at: When it was read, in seconds since the epoch.
        queue: The queue.
        adapters: By name, sorted.
        replicas: What answers at the endpoint of the configuration.
        contradicted: Sentences on adapters that are learnt otherwise than is configured.
        away: Why the store could not be read; empty where it could.
    """

    revision: int = 0
    at: float = 0.0
    queue: Queue = field(default_factory=Queue)
    adapters: Mapping[str, KnownAdapter] = field(default_factory=dict)
    replicas: Replicas = field(default_factory=Replicas)
    contradicted: tuple[str, ...] = ()
    away: str = ""

    @property
    def answering(self) -> Mapping[str, Answering] | None:
        """Of each adapter that is served, what a replica answers with; None where none answers."""
        latest = self.replicas.latest
        return None if latest is None else self.replicas.known[latest].adapters

    def adapter(self, name: str) -> KnownAdapter:
        """Return an adapter; NotFoundError where there is none."""
        found = self.adapters.get(name)
        if found is None:
            raise NotFoundError(
                f"there is no adapter {name[:64]!r}; the first task that is learnt for it makes it",
                adapter=name,
            )
        return found

    def after(self, before: "Snapshot") -> "Snapshot":
        """Return this one with the revision that it has behind another."""
        same = replace(self, revision=before.revision, at=before.at) == before
        return replace(self, revision=before.revision + (not same))


def read_snapshot(
    client: Client, before: Snapshot, *, standing: Callable[[], Status | None] = lambda: None
) -> Snapshot:
    """Return what there is now; of what has not changed, what was read `before`.

    Where the store cannot be read, what was known stays, with the reason.

    Args:
        client: Reads the store.
        before: What was read before.
        standing: Says how the replicas are; None where none answers.
    """
    now = time.time()
    try:
        adapters = {
            name: _read_adapter(client, name, before.adapters.get(name))
            for name in client.adapters()
        }
        found = Snapshot(
            at=now,
            queue=_read_queue(client),
            adapters=adapters,
            contradicted=tuple(client.contradicted()),
            replicas=before.replicas.heard(standing(), now),
        )
    except NacreError as error:
        found = replace(before, at=now, away=one_line(error.message))
    return found.after(before)


def _read_queue(client: Client) -> Queue:
    found = client.queue()
    return Queue(
        leader=_leader(found.lead),
        states=tuple(sorted(found.states, key=_order)),
        counts=Counter((state.ticket.adapter, state.ticket.stage) for state in found.states),
        unread=found.unread,
    )


def _order(state: State) -> tuple[bool, float]:
    ticket = state.ticket
    ended = ticket.stage in ENDED
    return ended, -ticket.since if ended else ticket.accepted_at


def _leader(lead: Leadership | None) -> Leader | None:
    if lead is None:
        return None
    alive = lead.lasts(now=time.time())
    return Leader(host=lead.host, since=lead.since, alive=alive, paused=lead.paused)


def _read_adapter(client: Client, name: str, before: KnownAdapter | None) -> KnownAdapter:
    aliases = client.aliases(name)
    latest = before.moves[0].index if before and before.moves else -1
    new = list(
        takewhile(lambda entry: entry.index > latest, islice(client.history(name), MOST_MOVES))
    )
    if before and not new:
        if aliases == before.aliases:
            return before
        versions, known = before.versions, before.pointed
    else:
        versions, known = _read_versions(client, name, before, new)
    moves = (*map(entry_document, new), *(before.moves if before else ()))
    pointed = _pointed(client, name, aliases, newest=versions, known=known)
    return KnownAdapter(
        name=name,
        aliases=aliases,
        versions=_named(versions, aliases),
        pointed=_named(pointed, aliases),
        moves=moves[:MOST_MOVES],
    )


def _read_versions(
    client: Client, name: str, before: KnownAdapter | None, new: list[Entry]
) -> tuple[tuple[PublishedVersion, ...], tuple[PublishedVersion, ...]]:
    """Return the newest versions, and older ones that are known."""
    if before is None or any(entry.action in CHANGING_THE_PAST for entry in new):
        return tuple(map(version_document, client.versions(name, limit=MOST_VERSIONS))), ()
    found = {version.number: version for version in (*before.versions, *before.pointed)}
    published = sorted(entry.published.number for entry in new if entry.published is not None)
    for number in published[-MOST_VERSIONS:]:
        found[number] = version_document(client.show(number, adapter=name))
    older = {version.number for version in before.pointed}
    newest = sorted(found.keys() - older, reverse=True)
    return (
        tuple(found[number] for number in newest[:MOST_VERSIONS]),
        tuple(found[number] for number in (*newest[MOST_VERSIONS:], *older)),
    )


def _pointed(
    client: Client,
    name: str,
    aliases: Mapping[str, int],
    *,
    newest: Sequence[PublishedVersion],
    known: Sequence[PublishedVersion],
) -> tuple[PublishedVersion, ...]:
    """Return the versions that aliases point to and that are none of the newest ones."""
    wanted = set(aliases.values()) - {version.number for version in newest}
    found = {version.number: version for version in known if version.number in wanted}
    for number in wanted - found.keys():
        with suppress(NotFoundError):  # of what the store has lost
            found[number] = version_document(client.show(number, adapter=name))
    return tuple(found[number] for number in sorted(found, reverse=True))


def _named(
    versions: tuple[PublishedVersion, ...], aliases: Mapping[str, int]
) -> tuple[PublishedVersion, ...]:
    """Return versions with the aliases that point to them now."""
    named: dict[int, list[str]] = {}
    for alias, number in sorted(aliases.items()):
        named.setdefault(number, []).append(alias)
    return tuple(
        version
        if version.aliases == named.get(version.number, [])
        else version.model_copy(update={"aliases": named.get(version.number, [])})
        for version in versions
    )
