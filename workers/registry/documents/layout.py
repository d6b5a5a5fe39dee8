"""Key layout: where an adapter's objects lie, and which names are allowed.

    refs/<adapter>.json                                the only object that is ever replaced
    adapters/<adapter>/<area>/records/<sha256>         what a task left behind
    adapters/<adapter>/<area>/manifests/<sha256>       a version
    adapters/<adapter>/<area>/history/<sha256>         a move of the aliases
    adapters/<adapter>/<area>/tombstones/<sha256>      what was purged
    adapters/<adapter>/<area>/accuracies/<sha256>      of the version with that manifest
    adapters/<adapter>/<area>/answers/<sha256>         its answers, likewise

An area is six digits. New objects go into the area that the refs object names. `gc` opens a new
area before it removes anything from the older ones, so it never meets an object being written.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from adapters.errors import InputError
from workers.formats.documents import Count, Digest, Size
from workers.store.blobs import BlobRef

REFS = "refs/"
HEAD = "head"
PRODUCTION = "production"

_ADAPTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ALIAS = re.compile(r"(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Kind(Enum):
    """What an immutable object is; the name of its folder."""

    RECORD = "records"
    MANIFEST = "manifests"
    HISTORY = "history"
    TOMBSTONES = "tombstones"


ACCURACIES, ANSWERS = "accuracies", "answers"
_FOLDERS = "|".join((*(kind.value for kind in Kind), ACCURACIES, ANSWERS))
_OBJECT = re.compile(rf"([0-9]{{6,18}})/({_FOLDERS})/[0-9a-f]{{64}}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Names an immutable object of one adapter: digest, bytes, and the area it lies in."""

    sha256: str
    size: int
    area: int

    @property
    def ref(self) -> BlobRef:
        """The digest and size without the area."""
        return BlobRef(sha256=self.sha256, size=self.size)

    def to_json(self) -> list[Any]:
        """Return [digest, size, area]."""
        return [self.sha256, self.size, self.area]


StoredJson = tuple[Digest, Size, Count]
"""What `Stored.to_json` writes, as documents are validated."""


def stored_of(value: StoredJson) -> Stored:
    """Return the reverse of `Stored.to_json`."""
    sha256, size, area = value
    return Stored(sha256=sha256, size=size, area=area)


def refs_key(adapter: str) -> str:
    """Return the key of the refs object of `adapter`."""
    return f"{REFS}{adapter}.json"


def adapter_prefix(adapter: str) -> str:
    """Return the prefix of everything of `adapter` but its refs."""
    return f"adapters/{adapter}/"


def object_key(adapter: str, kind: Kind, stored: Stored) -> str:
    """Return the key of an immutable object."""
    return f"{adapter_prefix(adapter)}{stored.area:06d}/{kind.value}/{stored.sha256}"


def accuracies_key(adapter: str, manifest: Stored) -> str:
    """Return the key of the accuracies of the version that `manifest` describes."""
    return f"{adapter_prefix(adapter)}{manifest.area:06d}/{ACCURACIES}/{manifest.sha256}"


def answers_key(adapter: str, manifest: Stored) -> str:
    """Return the key of the answer sheet of the version that `manifest` describes."""
    return f"{adapter_prefix(adapter)}{manifest.area:06d}/{ANSWERS}/{manifest.sha256}"


def area_of(adapter: str, key: str) -> int | None:
    """Return the area in which an object of `adapter` lies; None where `key` is of no object."""
    found = _OBJECT.fullmatch(key.removeprefix(adapter_prefix(adapter)))
    return int(found[1]) if found else None


def is_adapter(name: str) -> bool:
    """Return whether an adapter can be called so."""
    return _ADAPTER.fullmatch(name) is not None


def check_adapter(name: str) -> str:
    """Return `name`, or raise InputError when no adapter can be called so."""
    if not is_adapter(name):
        raise InputError(
            f"{name!r} cannot name an adapter: expected 1 to 64 letters, digits, dots, dashes or "
            "underscores, the first a letter or digit",
            adapter=name,
        )
    return name


def check_alias(name: str) -> str:
    """Return `name`, or raise InputError when no alias can be called so."""
    if not _ALIAS.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name an alias: expected 1 to 64 letters, digits, dots, dashes or "
            "underscores, the first a letter or digit, and not digits alone",
            alias=name,
        )
    return name
