"""Leader election by a lease: of all systems on one store, one coordinates at a time.

queue/lead.json    replaced by compare-and-swap alone

Whoever leads writes its name and how long that lasts, and renews it. Another system takes over when
it has run out. The epoch rises whenever the lead is taken: everything that the leader writes is
conditional, so that one which comes back from the dead changes nothing (see `workers.queue.ledger`
and, for versions, the epoch in the registry's refs).

The clocks of the systems may differ by a little less than the lead lasts: then two may work for a
moment, at the cost of work done twice, and nothing else. A lead that lasts longer than any system
asks for was written by a clock that was wrong, and keeps nobody from taking over: the epoch fences
whoever wrote it, at the same cost.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import FiniteFloat

from adapters.errors import ConflictError, NotFoundError
from workers.formats.documents import Count, next_count, seal, unsealed
from workers.store.base import ObjectStore
from workers.store.patience import AT_ONCE
from workers.store.serial_document import Held
from workers.store.serial_swap import SerialSwap

KEY = "queue/lead.json"
MOST_AHEAD_S = 3600.0
"""No lead lasts longer from now, in seconds: one that says so is of a clock that is wrong."""
PAGES = "queue/pages/"
"""Below it there is something once anybody has led; see `workers.queue.ledger`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leadership:
    """The right to coordinate.

    Attributes:
        owner: The system that has it; the same for a coordinator that was started again.
        host: Where that runs, for people.
        epoch: Rises whenever the lead is taken.
        expires: From then on another system may take it; seconds since the epoch.
        since: When it was taken, in seconds since the epoch.
        beat: Grows by one with every change, whoever makes it.
        paused: Adapters of which nothing new is begun; `*` stands for all.
        before: SHA-256 of the lead that this one replaced; empty for the first, and in leads of
            the first days, whose beat began anew with every epoch.
        configuration: What the system that leads was configured with, for whoever submits to
            compare; None where it says nothing of that.
    """

    owner: str
    host: str
    epoch: Count
    expires: FiniteFloat
    since: FiniteFloat
    beat: Count = 0
    paused: tuple[str, ...] = ()
    before: str = ""
    configuration: Mapping[str, Any] | None = None

    @property
    def serial(self) -> int:
        """The beat; 0 where it says nothing of the order, as in leads of the first days."""
        return self.beat if self.before else 0

    def lasts(self, *, now: float) -> bool:
        """Return whether it keeps others from taking over at `now`, in seconds since the epoch."""
        return 0.0 < self.expires - now <= MOST_AHEAD_S

    def to_bytes(self) -> bytes:
        """Return the sealed document."""
        fields = asdict(self)
        if not self.before:
            del fields["before"]
        if self.configuration is None:
            del fields["configuration"]
        return seal(fields)


def read_leadership(store: ObjectStore) -> Leadership | None:
    """Return who leads or led last; None where nobody ever did.

    Raises:
        MissingError: somebody has, and the lead is not to be found now.
    """
    document = _swap(store).document
    try:
        return document.read().content
    except NotFoundError:
        if not _is_told_by_pages(store):
            return None
    return document.read(because="the queue has pages").content


def take_leadership(
    store: ObjectStore,
    *,
    owner: str,
    host: str,
    ttl_s: float,
    now: float,
    configuration: Mapping[str, Any] | None = None,
    had: int | None = None,
) -> Leadership:
    """Take the lead, which a system does at its start and again whenever its coordinator restarts.

    Of two coordinators of one system, as there are for a moment while one replaces the other, the
    one that took it last keeps it: the one before, which had it, waits like another system.

    Args:
        store: The object store.
        owner: The system that takes it.
        host: Where that runs, for people.
        ttl_s: For how long, in seconds.
        now: Seconds since the epoch.
        configuration: What the system says of its configuration.
        had: The epoch in which this coordinator had the lead before, if it had.

    Raises:
        ConflictError: another system leads; its message says which, and for how long.
    """

    def taken(held: Leadership | None) -> Leadership:
        ours = held is not None and held.owner == owner and (had is None or held.epoch <= had)
        if held and not ours and held.lasts(now=now):
            raise ConflictError(
                f"the queue in {store.url} is coordinated by the system on {held.host!r} for "
                f"another {held.expires - now:.0f} s; this one waits",
                owner=held.owner,
                host=held.host,
            )
        return Leadership(
            owner=owner,
            host=host,
            epoch=next_count(held.epoch, "the epoch of the lead") if held else 1,
            expires=now + ttl_s,
            since=now,
            paused=held.paused if held else (),
            configuration=configuration,
        )

    return _changed(store, taken)


def renew_leadership(
    store: ObjectStore, lead: Leadership, *, ttl_s: float, now: float
) -> Leadership:
    """Make `lead` last until `ttl_s` seconds from `now`, with what else it says.

    Raises:
        ConflictError: another system, or another start of this one, has taken it.
    """
    return _changed(store, _following(store, lead, expires=now + ttl_s))


def release_leadership(store: ObjectStore, lead: Leadership) -> None:
    """Let another system take over at once; nothing happens where one already has."""
    try:
        _changed(store, _following(store, lead, expires=0.0))
    except ConflictError:
        return


def _following(
    store: ObjectStore, lead: Leadership, *, expires: float
) -> Callable[[Leadership | None], Leadership]:
    def following(held: Leadership | None) -> Leadership:
        if held is None or _is_taken_over(held, lead):
            found = f"{held.host!r}, epoch {held.epoch}" if held else "nobody"
            raise ConflictError(
                f"the lead of the queue in {store.url} was taken over: expected epoch "
                f"{lead.epoch}, found {found}; this coordinator steps back",
                epoch=lead.epoch,
            )
        return replace(lead, expires=expires)

    return following


def _is_taken_over(held: Leadership, lead: Leadership) -> bool:
    # An earlier epoch is what the store had before `lead` was acknowledged: that deposes nobody.
    return held.epoch > lead.epoch or (held.epoch == lead.epoch and held.owner != lead.owner)


def _changed(store: ObjectStore, decide: Callable[[Leadership | None], Leadership]) -> Leadership:
    """Replace the lead by what `decide` makes of it; a lost race is decided again."""

    def decided(held: Held[Leadership] | None) -> Leadership:
        wanted = decide(held.content if held else None)
        if held is None:
            return replace(wanted, beat=1, before="")
        beat = next_count(max(held.above, held.content.beat), "the beat of the lead")
        return replace(wanted, beat=beat, before=held.digest)

    return _swap(store).change(decided).content


def _swap(store: ObjectStore) -> SerialSwap[Leadership]:
    return SerialSwap(store, KEY, _leadership)


def _leadership(data: bytes, what: str) -> Leadership:
    return unsealed(Leadership, data, what)


def _is_told_by_pages(store: ObjectStore) -> bool:
    """Return whether the store, which has denied the lead, lists what only a leader writes."""
    return store.patience != AT_ONCE and any(True for _ in store.list(PAGES))
