"""The refs object: the one mutable object; its replacement makes anything take effect.

Everything here is a value or a pure function on values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.errors import ConflictError, CorruptionError, NotFoundError
from workers.formats.documents import seal, unseal
from workers.registry.layout import Stored, stored_from_json
from workers.registry.manifest import VersionRef, version_from_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right to train an adapter.

    Attributes:
        owner: Who has it; empty when nobody does.
        epoch: Rises whenever it changes hands; a commit that requires an older one is refused.
        expires: From then on anybody may take it over; seconds since 1970.
    """

    owner: str = ""
    epoch: int = 0
    expires: float = 0.0

    def held_by_another(self, owner: str, now: float) -> bool:
        """Say whether somebody other than `owner` has the lease at `now`."""
        return bool(self.owner) and self.owner != owner and now < self.expires


@dataclass(frozen=True, kw_only=True, slots=True)
class Refs:
    """Everything about an adapter that can change.

    Attributes:
        adapter: The adapter's name.
        aliases: Versions by alias.
        next_version: The number that the next version gets.
        encoder: Fingerprint of the encoder, fixed by the first version; empty before.
        lease: The right to train.
        history: The latest history entry; None before the first.
        tombstones: What was purged; None when nothing was.
        area: The area into which new objects go.
        write_id: Names the change that wrote these refs. No two changes share one, so no two
            refs objects have equal bytes, and an etag never comes back.
    """

    adapter: str
    aliases: Mapping[str, VersionRef] = field(default_factory=dict)
    next_version: int = 1
    encoder: str = ""
    lease: Lease = field(default_factory=Lease)
    history: Stored | None = None
    tombstones: Stored | None = None
    area: int = 0
    write_id: str = ""

    def find(self, alias: str) -> VersionRef | None:
        """Return the version that `alias` points to; None when there is no such alias."""
        return self.aliases.get(alias)

    def version(self, alias: str) -> VersionRef:
        """Return the version that `alias` points to; NotFoundError naming the aliases."""
        found = self.find(alias)
        if found is None:
            known = ", ".join(sorted(self.aliases)) or "none yet"
            raise NotFoundError(
                f"adapter {self.adapter!r} has no alias {alias!r}; it has: {known}",
                adapter=self.adapter,
                alias=alias,
            )
        return found

    def moved(self, aliases: Mapping[str, VersionRef | None]) -> "Refs":
        """Return the refs with `aliases` set, or removed where the value is None."""
        merged = {**self.aliases, **aliases}
        return replace(self, aliases={name: ref for name, ref in merged.items() if ref})

    def to_bytes(self) -> bytes:
        """Return the sealed canonical document."""
        return seal(
            {
                "adapter": self.adapter,
                "aliases": {name: ref.to_json() for name, ref in self.aliases.items()},
                "next_version": self.next_version,
                "encoder": self.encoder,
                "lease": [self.lease.owner, self.lease.epoch, self.lease.expires],
                "history": self.history and self.history.to_json(),
                "tombstones": self.tombstones and self.tombstones.to_json(),
                "area": self.area,
                "write_id": self.write_id,
            }
        )


def refs_from_bytes(data: bytes, what: str) -> Refs:
    """Return the refs in `data`; CorruptionError naming `what` when they are damaged."""
    fields = unseal(data, what)
    try:
        owner, epoch, expires = fields["lease"]
        aliases = {name: version_from_json(ref) for name, ref in fields["aliases"].items()}
        return Refs(
            adapter=fields["adapter"],
            aliases={name: ref for name, ref in aliases.items() if ref},
            next_version=fields["next_version"],
            encoder=fields["encoder"],
            lease=Lease(owner=owner, epoch=epoch, expires=expires),
            history=_optional(fields["history"]),
            tombstones=_optional(fields["tombstones"]),
            area=fields["area"],
            write_id=fields["write_id"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptionError(f"{what} is not a refs object: {error!r}") from error


def acquired(refs: Refs, *, owner: str, expires: float, now: float) -> Refs:
    """Return refs in which `owner` has the lease until `expires`.

    The epoch rises unless `owner` has the lease already.

    Raises:
        ConflictError: Somebody else has it until later than `now`.
    """
    lease = refs.lease
    if lease.held_by_another(owner, now):
        raise ConflictError(
            f"the lease of adapter {refs.adapter!r} is held by {lease.owner!r} for another "
            f"{lease.expires - now:.0f} s; wait, or let it expire",
            adapter=refs.adapter,
            owner=lease.owner,
            epoch=lease.epoch,
        )
    epoch = lease.epoch if lease.owner == owner else lease.epoch + 1
    return replace(refs, lease=Lease(owner=owner, epoch=epoch, expires=expires))


def fenced(refs: Refs, *, owner: str) -> Refs:
    """Return refs in which `owner` has a lease under a new epoch that anybody may take over."""
    return replace(refs, lease=Lease(owner=owner, epoch=refs.lease.epoch + 1, expires=0.0))


def renewed(refs: Refs, lease: Lease, *, expires: float) -> Refs:
    """Return refs in which `lease` lasts until `expires`; ConflictError when it was taken over."""
    check_epoch(refs, lease.epoch)
    if refs.lease.owner != lease.owner:
        raise ConflictError(
            f"the lease of adapter {refs.adapter!r} was given back; acquire it anew",
            adapter=refs.adapter,
            epoch=lease.epoch,
        )
    return replace(refs, lease=replace(refs.lease, expires=expires))


def released(refs: Refs, lease: Lease) -> Refs:
    """Return refs in which nobody has the lease; unchanged when `lease` was taken over."""
    if (refs.lease.owner, refs.lease.epoch) != (lease.owner, lease.epoch):
        return refs
    return replace(refs, lease=Lease(epoch=lease.epoch))


def check_epoch(refs: Refs, epoch: int) -> None:
    """Raise ConflictError unless the lease still has `epoch`."""
    if refs.lease.epoch != epoch:
        raise ConflictError(
            f"the lease of adapter {refs.adapter!r} was taken over by {refs.lease.owner!r}: "
            f"expected epoch {epoch}, found {refs.lease.epoch}; stop, another trainer is at work",
            adapter=refs.adapter,
            expected=epoch,
            found=refs.lease.epoch,
            owner=refs.lease.owner,
        )


def _optional(value: Any) -> Stored | None:
    return None if value is None else stored_from_json(value)
