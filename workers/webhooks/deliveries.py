"""Deliveries of a webhook: how far it has been told, the latest ones, and what keeps it waiting.

webhooks/deliveries/<name>.json    changed by condition alone, by the coordinator that leads
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from pydantic import FiniteFloat

from adapters.errors import ConflictError, NotFoundError
from workers.formats.documents import Count, next_count, seal, unsealed
from workers.store.base import ObjectStore
from workers.store.serial_document import Held
from workers.store.serial_swap import SerialSwap

PREFIX = "webhooks/deliveries/"
KEPT = 50
MOST_ASIDE = 1000
"""Milestones that are set aside; beyond them the oldest ones are lost."""

Outcome = Literal["delivered", "failed", "set_aside", "lost"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What became of telling one milestone, as of the latest attempt.

    Attributes:
        id: The milestone's.
        kind: Of the milestone.
        adapter: Whose.
        sequence: Which one of the adapter's; None for a test.
        at: When the latest attempt began, in seconds since the epoch.
        took_s: How long it took, in seconds.
        attempts: How many there were.
        status: Of the answer; None where there was none.
        outcome: `delivered`, `failed` (it is tried again unless the webhook has stopped),
            `set_aside` (it was refused too often, and is tried again when somebody resumes the
            webhook) or `lost` (what was stored of it is damaged or gone).
        said: A sentence.
    """

    id: str
    kind: str
    adapter: str
    sequence: Count | None
    at: FiniteFloat
    took_s: FiniteFloat
    attempts: Count
    status: int | None
    outcome: Outcome
    said: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Failing:
    """An adapter's next milestone that could not be told yet.

    Attributes:
        since: When it was tried first, in seconds since the epoch.
        attempts: How often it was tried.
        until: It waits until then.
        refused: How often it was refused by a receiver that is there.
    """

    since: FiniteFloat
    attempts: Count
    until: FiniteFloat
    refused: Count = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """A milestone that the receiver has refused too often.

    Attributes:
        adapter: Whose.
        sequence: Which one of the adapter's.
        due: Whether it is to be tried once more.
    """

    adapter: str
    sequence: Count
    due: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Deliveries:
    """The state of one webhook.

    Attributes:
        name: The webhook's name.
        id: The webhook's; of another one of the same name, it is none of this one's.
        epoch: Of the lead under which it was written.
        next: By adapter, the sequence number of the next milestone.
        latest: The latest deliveries, oldest first.
        failing: By adapter, what waits to be tried again.
        aside: What was set aside, oldest first.
        refusing: By adapter of which something was set aside and nothing taken since, since when
            nothing was taken, in seconds since the epoch.
        stopped: Why nothing is delivered until somebody resumes it; empty where it is.
        resumed: The resumption that was heeded last.
        tested: The test that was carried out last.
        serial: Grows by one with every change.
        before: SHA-256 of the document that this one replaced; empty for the first.
    """

    name: str
    id: str
    epoch: Count = 0
    next: Mapping[str, Count] = field(default_factory=dict)
    latest: tuple[Delivery, ...] = ()
    failing: Mapping[str, Failing] = field(default_factory=dict)
    aside: tuple[SetAside, ...] = ()
    refusing: Mapping[str, FiniteFloat] = field(default_factory=dict)
    stopped: str = ""
    resumed: Count = 0
    tested: str = ""
    serial: Count = 0
    before: str = ""

    def noted(self, delivery: Delivery) -> "Deliveries":
        """Return the state with a delivery, in place of its earlier attempts."""
        others = [each for each in self.latest if each.id != delivery.id]
        return replace(self, latest=(*others, delivery)[-KEPT:])

    def to_bytes(self) -> bytes:
        """Return the sealed document; what was not kept in early releases is left out if empty."""
        written = asdict(self)
        for name in ("aside", "refusing"):
            if not written[name]:
                del written[name]
        for failing in written["failing"].values():
            if not failing["refused"]:
                del failing["refused"]
        return seal(written)


def read_deliveries(store: ObjectStore, name: str, webhook_id: str) -> Deliveries:
    """Return the state of a webhook, given by name and id; that of a new one where there is none.

    Raises:
        CorruptionError: it is damaged.
    """
    try:
        found = _swap(store, name).document.read().content
    except NotFoundError:
        found = None
    if found is None or found.id != webhook_id:
        return Deliveries(name=name, id=webhook_id)
    return found


def write_deliveries(store: ObjectStore, state: Deliveries) -> Deliveries:
    """Make a state durable, unless a later coordinator has written one, and return it.

    Raises:
        ConflictError: one has.
    """

    def decide(held: Held[Deliveries] | None) -> Deliveries:
        found = held.content.epoch if held else 0
        if found > state.epoch:
            raise ConflictError(
                f"webhook {state.name!r} is served by another coordinator: expected epoch "
                f"{state.epoch}, found {found}; this one steps back",
                epoch=state.epoch,
                found=found,
            )
        serial = next_count(held.above if held else 0, f"the serial of webhook {state.name!r}")
        return replace(state, serial=serial, before=held.digest if held else "")

    return _swap(store, state.name).change(decide).content


def _swap(store: ObjectStore, name: str) -> SerialSwap[Deliveries]:
    return SerialSwap(store, f"{PREFIX}{name}.json", _deliveries)


def _deliveries(data: bytes, what: str) -> Deliveries:
    return unsealed(Deliveries, data, what)
