"""Webhook: an address that is told of milestones, as the operator has registered it.

webhooks/registered/<name>.json    changed by condition alone; one that was removed stays as a note

The document holds the secrets that deliveries are signed with. Nobody is shown them again once they
were made; whoever may read the store below this prefix can read them.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

from pydantic import FiniteFloat

from adapters.contract.nearest import did_you_mean
from adapters.errors import ConflictError, InputError, NotFoundError
from workers.formats.documents import Count, next_count, seal, unsealed
from workers.registry.documents.layout import check_adapter
from workers.store.base import ObjectStore
from workers.store.serial_document import Held
from workers.store.serial_swap import SerialSwap
from workers.webhooks.milestone import Kind, Milestone

PREFIX = "webhooks/registered/"
MOST = 32
"""Webhooks of one store: each has its own deliveries to carry out."""
KINDS = tuple(kind.value for kind in Kind if kind is not Kind.TEST)


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """What deliveries are signed with.

    Attributes:
        value: As receivers are given it: `whsec_` and base64.
        until: It signs until then, in seconds since the epoch; None for the newest.
    """

    value: str = field(repr=False)
    until: FiniteFloat | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """One of them.

    Attributes:
        name: What the operator calls it.
        id: New whenever one of that name is registered.
        url: Where it is; may hold a secret of the receiver's.
        adapters: Of which it hears; of all where there are none.
        kinds: Of what it hears; of everything where there are none.
        secrets: Newest first; all that still sign do.
        created: When, in seconds since the epoch.
        by: Who registered it.
        begins: By adapter, what it does not hear of: milestones recorded before that sequence
            number, and entries of the history before that index.
        test: Names the latest test that was asked for; empty for none.
        resumed: How often it was resumed.
        removed: Whether it is there no more.
        serial: Grows by one with every change.
        before: SHA-256 of the document that this one replaced; empty for the first.
    """

    name: str
    id: str
    url: str = field(repr=False)
    secrets: tuple[Secret, ...]
    created: FiniteFloat
    by: str
    adapters: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    begins: Mapping[str, tuple[Count, Count]] = field(default_factory=dict)
    test: str = ""
    resumed: Count = 0
    removed: bool = False
    serial: Count = 0
    before: str = ""

    def signing(self, *, now: float) -> tuple[Secret, ...]:
        """Return the secrets that deliveries are signed with at `now`."""
        return tuple(each for each in self.secrets if each.until is None or now < each.until)

    def begins_at(self, adapter: str) -> int:
        """Return the sequence number of the first milestone of an adapter that it may hear of."""
        return self.begins.get(adapter, (0, 0))[0]

    def hears(self, milestone: Milestone) -> bool:
        """Return whether it is told of a milestone."""
        if self.adapters and milestone.adapter not in self.adapters:
            return False
        if self.kinds and milestone.kind not in self.kinds:
            return False
        entry = milestone.entry
        return entry is None or entry[0] >= self.begins.get(milestone.adapter, (0, 0))[1]

    def rotated(self, secret: str, *, until: float) -> "Webhook":
        """Return the webhook with a new secret, beside which the newest signs `until` then."""
        newest = replace(self.secrets[0], until=until)
        return replace(self, secrets=(Secret(value=secret), newest))

    def to_bytes(self) -> bytes:
        """Return the sealed document."""
        return seal(asdict(self))


def registered(store: ObjectStore) -> list[Webhook]:
    """Return all webhooks, by name."""
    names = sorted(name_of(listed.key) for listed in store.list(PREFIX))
    found = (read_webhook(store, name) for name in names)
    return [webhook for webhook in found if webhook is not None]


def read_webhook(store: ObjectStore, name: str) -> Webhook | None:
    """Return the webhook called `name`; None where there is none, or it was removed.

    Raises:
        CorruptionError: it is damaged.
    """
    try:
        webhook = _swap(store, name).document.read().content
    except NotFoundError:
        return None
    return None if webhook.removed else webhook


def existing_webhook(store: ObjectStore, name: str) -> Webhook:
    """Return the webhook called `name`.

    Raises:
        NotFoundError: there is none.
        CorruptionError: it is damaged.
    """
    return read_webhook(store, name) or _existing(store, name, None)


def register(store: ObjectStore, webhook: Webhook) -> Webhook:
    """Make a webhook durable, and return it.

    Raises:
        ConflictError: there is one of that name.
        InputError: there are too many.
    """
    others = registered(store)
    if len(others) >= MOST:
        raise InputError(f"expected at most {MOST} webhooks, found as many: remove one first")

    def decide(held: Webhook | None) -> Webhook:
        if held is not None and not held.removed:
            raise ConflictError(
                f"there is a webhook {webhook.name!r}: choose another name, or remove it first",
                name=webhook.name,
            )
        return webhook

    return _changed(store, webhook.name, decide)


def change(store: ObjectStore, name: str, decide: Callable[[Webhook], Webhook]) -> Webhook:
    """Replace the webhook called `name` by what `decide` makes of it, and return that.

    Raises:
        NotFoundError: there is none.
    """
    return _changed(store, name, lambda held: decide(_existing(store, name, held)))


def remove(store: ObjectStore, name: str) -> Webhook:
    """Remove the webhook called `name`, with its secrets and its address.

    Raises:
        NotFoundError: there is none.
    """
    return change(store, name, lambda held: replace(held, removed=True, url="", secrets=()))


def check_name(name: str) -> str:
    """Return `name`, or raise InputError where no webhook can be called so."""
    try:
        return check_adapter(name)
    except InputError:
        raise InputError(
            f"{name[:80]!r} cannot name a webhook: expected 1 to 64 letters, digits, dots, dashes "
            "or underscores, the first a letter or digit"
        ) from None


def check_kind(kind: str) -> str:
    """Return `kind`, or raise InputError where nothing of that kind is ever told."""
    if kind not in KINDS:
        raise InputError(
            f"expected a kind of event of {', '.join(KINDS)}, found {kind[:80]!r}"
            f"{did_you_mean(kind, KINDS)}"
        )
    return kind


def name_of(key: str) -> str:
    """Return the name of the webhook that lies under `key`."""
    return key.removeprefix(PREFIX).removesuffix(".json")


def _existing(store: ObjectStore, name: str, held: Webhook | None) -> Webhook:
    if held is not None and not held.removed:
        return held
    names = [each.name for each in registered(store)]
    raise NotFoundError(
        f"expected the name of a webhook ({', '.join(names) or 'there is none yet'}), found "
        f"{name!r}{did_you_mean(name, names)}",
        name=name,
    )


def _changed(store: ObjectStore, name: str, decide: Callable[[Webhook | None], Webhook]) -> Webhook:
    def decided(held: Held[Webhook] | None) -> Webhook:
        wanted = decide(held.content if held else None)
        above = held.above if held else 0
        serial = next_count(above, f"the serial of webhook {name!r}")
        return replace(wanted, serial=serial, before=held.digest if held else "")

    return _swap(store, name).change(decided).content


def _swap(store: ObjectStore, name: str) -> SerialSwap[Webhook]:
    return SerialSwap(store, f"{PREFIX}{check_name(name)}.json", _webhook)


def _webhook(data: bytes, what: str) -> Webhook:
    return unsealed(Webhook, data, what)
