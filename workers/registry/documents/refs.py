"""The refs object: the one mutable object; its replacement makes anything take effect.

Everything here is a value or a pure function on values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import FiniteFloat

from adapters.errors import ConflictError, NotFoundError
from workers.formats.documents import Count, next_count, seal, unsealed
from workers.registry.documents.forks import Fork, ForkJson, fork_of
from workers.registry.documents.layout import Stored, StoredJson, stored_of
from workers.registry.documents.manifest import VersionJson, VersionRef, version_of

NEVER_HELD = 0.0
"""Stands where refs once said until when the fence keeps others from beginning: it keeps nobody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fence:
    """What keeps back whoever began to learn for an adapter before somebody else did.

    Attributes:
        owner: Who began last, for people; empty before anybody did.
        epoch: Rises whenever somebody begins; a commit that requires an older one is refused.
    """

    owner: str = ""
    epoch: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Refs:
    """Everything about an adapter that can change.

    Attributes:
        adapter: The adapter's name.
        aliases: Versions by alias.
        next_version: The number that the next version gets.
        encoder: Fingerprint of the encoder of the latest version that was published at `head`;
            empty before the first.
        fence: Who began to learn for it last.
        history: The latest history entry; None before the first.
        tombstones: What was purged; None when nothing was.
        area: The area into which new objects go.
        serial: Grows by one with every change, however small; 0 in refs of the first days.
        before: SHA-256 of the refs that these replaced; empty for the first, and after those.
        forks: Acknowledged changes that are not in the history any more; while there are some, no
            version is published.
        write_id: Names the change that wrote these refs. No two changes share one, so no two
            refs objects have equal bytes, and an etag never comes back.
    """

    adapter: str
    aliases: Mapping[str, VersionRef] = field(default_factory=dict)
    next_version: int = 1
    encoder: str = ""
    fence: Fence = field(default_factory=Fence)
    history: Stored | None = None
    tombstones: Stored | None = None
    area: int = 0
    serial: int = 0
    before: str = ""
    forks: tuple[Fork, ...] = ()
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
                "lease": [self.fence.owner, self.fence.epoch, NEVER_HELD],
                "history": self.history and self.history.to_json(),
                "tombstones": self.tombstones and self.tombstones.to_json(),
                "area": self.area,
                "write_id": self.write_id,
                **({"serial": self.serial, "before": self.before} if self.serial else {}),
                **({"forks": [fork.to_json() for fork in self.forks]} if self.forks else {}),
            }
        )


def refs_from_bytes(data: bytes, what: str) -> Refs:
    """Return the refs in `data`; CorruptionError naming `what` when they are damaged."""
    stored = unsealed(_StoredRefs, data, what)
    owner, epoch, _ = stored.lease
    return Refs(
        adapter=stored.adapter,
        aliases={name: version_of(ref) for name, ref in stored.aliases.items()},
        next_version=stored.next_version,
        encoder=stored.encoder,
        fence=Fence(owner=owner, epoch=epoch),
        history=stored.history and stored_of(stored.history),
        tombstones=stored.tombstones and stored_of(stored.tombstones),
        area=stored.area,
        serial=stored.serial,
        before=stored.before,
        forks=tuple(map(fork_of, stored.forks)),
        write_id=stored.write_id,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredRefs:
    adapter: str
    aliases: dict[str, VersionJson]
    next_version: Count
    encoder: str
    lease: tuple[str, Count, FiniteFloat]
    history: StoredJson | None
    tombstones: StoredJson | None
    area: Count
    write_id: str
    serial: Count = 0
    before: str = ""
    forks: tuple[ForkJson, ...] = ()


def fenced(refs: Refs, *, owner: str) -> Refs:
    """Return refs with a new epoch, begun by `owner`."""
    return replace(refs, fence=Fence(owner=owner, epoch=next_count(refs.fence.epoch, "an epoch")))


def check_epoch(refs: Refs, epoch: int) -> None:
    """Raise ConflictError unless nobody has begun to learn since `epoch`."""
    if refs.fence.epoch != epoch:
        raise ConflictError(
            f"{refs.fence.owner!r} has begun to learn for adapter {refs.adapter!r} meanwhile: "
            f"expected epoch {epoch}, found {refs.fence.epoch}; stop, another trainer is at work",
            adapter=refs.adapter,
            expected=epoch,
            found=refs.fence.epoch,
            owner=refs.fence.owner,
        )
