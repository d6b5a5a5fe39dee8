"""Leader election by a lease: of all systems on one store, one coordinates at a time.

queue/lead.json    replaced by compare-and-swap alone

Whoever leads writes its name and how long that lasts, and renews it. Another system takes over when
it has run out. The epoch rises whenever the lead is taken: everything that the leader writes is
conditional, so that one which comes back from the dead changes nothing (see `workers.queue.ledger`
and, for versions, the epoch in the registry's refs).

The clocks of the systems may differ by a little less than the lead lasts: then two may work for a
moment, at the cost of work done twice, and nothing else.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from pydantic import FiniteFloat, TypeAdapter

from adapters.errors import ConflictError, NotFoundError, UnknownOutcomeError
from workers.formats.documents import Count, seal, unseal, validated
from workers.store.base import ObjectStore

KEY = "queue/lead.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Leadership:
    """The right to coordinate.

    Attributes:
        owner: The system that has it; the same for a coordinator that was started again.
        host: Where that runs, for people.
        epoch: Rises whenever the lead is taken.
        expires: From then on another system may take it; seconds since the epoch.
        since: When it was taken, in seconds since the epoch.
        beat: Rises with every renewal, so that no two leads are written alike.
        paused: Adapters of which nothing new is begun; `*` stands for all.
    """

    owner: str
    host: str
    epoch: Count
    expires: FiniteFloat
    since: FiniteFloat
    beat: Count = 0
    paused: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the sealed document."""
        return seal(asdict(self))


_LEADERSHIP = TypeAdapter(Leadership)


def read_leadership(store: ObjectStore) -> Leadership | None:
    """Return who leads or led last; None where nobody ever did."""
    return _read(store)[0]


def take_leadership(
    store: ObjectStore, *, owner: str, host: str, ttl_s: float, now: float
) -> Leadership:
    """Take the lead, which a system does at its start and again whenever its coordinator restarts.

    Raises:
        ConflictError: another system leads; its message says which, and for how long.
    """

    def taken(held: Leadership | None) -> Leadership:
        if held and held.owner != owner and held.expires > now:
            raise ConflictError(
                f"the queue in {store.url} is coordinated by the system on {held.host!r} for "
                f"another {held.expires - now:.0f} s; this one waits",
                owner=held.owner,
                host=held.host,
            )
        return Leadership(
            owner=owner,
            host=host,
            epoch=held.epoch + 1 if held else 1,
            expires=now + ttl_s,
            since=now,
            paused=held.paused if held else (),
        )

    return _swap(store, taken)


def renew_leadership(
    store: ObjectStore, lead: Leadership, *, ttl_s: float, now: float
) -> Leadership:
    """Make `lead` last until `ttl_s` seconds from `now`, with what else it says.

    Raises:
        ConflictError: another system, or another start of this one, has taken it.
    """
    return _swap(store, _following(store, lead, expires=now + ttl_s))


def release_leadership(store: ObjectStore, lead: Leadership) -> None:
    """Let another system take over at once; nothing happens where one already has."""
    try:
        _swap(store, _following(store, lead, expires=0.0))
    except ConflictError:
        return


def _following(
    store: ObjectStore, lead: Leadership, *, expires: float
) -> Callable[[Leadership | None], Leadership]:
    def following(held: Leadership | None) -> Leadership:
        if held is None or (held.owner, held.epoch) != (lead.owner, lead.epoch):
            found = f"{held.host!r}, epoch {held.epoch}" if held else "nobody"
            raise ConflictError(
                f"the lead of the queue in {store.url} was taken over: expected epoch "
                f"{lead.epoch}, found {found}; this coordinator steps back",
                epoch=lead.epoch,
            )
        return replace(lead, expires=expires, beat=held.beat + 1)

    return following


def _swap(store: ObjectStore, decide: Callable[[Leadership | None], Leadership]) -> Leadership:
    """Replace the lead by what `decide` makes of it; a lost race is decided again."""
    while True:
        held, etag = _read(store)
        wanted = decide(held)
        try:
            if etag is None:
                store.create(KEY, wanted.to_bytes())
            else:
                store.replace(KEY, wanted.to_bytes(), etag)
        except ConflictError:
            continue  # also where the winner wrote the same: another start of this system did
        except UnknownOutcomeError:
            if _read(store)[0] != wanted:
                continue
        return wanted


def _read(store: ObjectStore) -> tuple[Leadership | None, str | None]:
    try:
        found = store.get(KEY)
    except NotFoundError:
        return None, None
    what = f"{KEY!r} in {store.url}"
    unseal(found.data, what)
    return validated(_LEADERSHIP, found.data, what), found.etag
