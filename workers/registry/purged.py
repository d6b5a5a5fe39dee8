"""Tombstones: records that were removed for good, and versions that can no longer be served."""

from dataclasses import asdict, dataclass
from typing import Any

from adapters.errors import CorruptionError
from workers.formats.documents import decode, encode
from workers.registry.history import Author
from workers.registry.layout import Stored, stored_from_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstone:
    """One task that was purged.

    Attributes:
        task: The task's name.
        submissions: The submissions it was learnt from.
        records: Its records; their bytes are removed.
        versions: The versions that held one of them.
        author: Who removed it, why and when.
    """

    task: str
    submissions: tuple[str, ...]
    records: tuple[Stored, ...]
    versions: tuple[int, ...]
    author: Author


def tombstones_to_bytes(tombstones: tuple[Tombstone, ...]) -> bytes:
    """Return the canonical document."""
    return encode({"purged": [_to_json(tombstone) for tombstone in tombstones]})


def tombstones_from_bytes(data: bytes, what: str) -> tuple[Tombstone, ...]:
    """Return the tombstones in `data`; CorruptionError naming `what` when there are none."""
    fields = decode(data, what)
    try:
        return tuple(_from_json(value) for value in fields["purged"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptionError(f"{what} does not hold tombstones: {error!r}") from error


def _to_json(tombstone: Tombstone) -> dict[str, Any]:
    return {
        "task": tombstone.task,
        "submissions": list(tombstone.submissions),
        "records": [record.to_json() for record in tombstone.records],
        "versions": list(tombstone.versions),
        "author": asdict(tombstone.author),
    }


def _from_json(value: Any) -> Tombstone:
    return Tombstone(
        task=value["task"],
        submissions=tuple(value["submissions"]),
        records=tuple(stored_from_json(record) for record in value["records"]),
        versions=tuple(value["versions"]),
        author=Author(**value["author"]),
    )
