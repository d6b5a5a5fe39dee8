"""The object store interface: bytes under keys, and conditional writes that say whether they won.

A conditional write (`create`, `replace`) has three outcomes. Done: it returns the new etag.
Lost: `ConflictError`, nothing was written. Unknown: `UnknownOutcomeError`, it may have happened;
only a caller that can recognise its own bytes may decide, and nobody may clean up.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from adapters.errors import ConflictError, InputError, NotFoundError
from workers.store.patience import AT_ONCE, Patience

MAX_SEGMENT_BYTES = 254
"""Longest part of a key between two slashes: file systems stop at 255 bytes."""

MAX_KEY_BYTES = 900
"""Longest key; S3 stops at 1024 bytes, and a bucket prefix needs room too."""

MAX_CONDITIONAL_BYTES = 4 * 2**20
"""Largest conditional write: it must fit into one single put on every server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Object:
    """The bytes of one object, and the etag that `replace` expects.

    Equal bytes may have equal etags: whoever replaces an object must write bytes that never
    occurred under that key before.
    """

    data: bytes
    etag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One line of a listing. `modified` is in seconds since 1970, by the store's own clock."""

    key: str
    size_bytes: int
    modified: float


class ObjectStore(ABC):
    """Durable bytes under keys. Safe to use from many threads and many processes at once.

    Keys are slash-separated segments that neither start with a dot nor are empty. No key is a
    folder of another one (`a` and `a/b` cannot both exist).

    Every method raises `UnavailableError` when the store cannot be reached; reads, `put` and
    `delete` can then simply be repeated.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the store is, without secrets."""

    @property
    def patience(self) -> Patience:
        """How long what must be there is asked for again when this store says that it is not."""
        return AT_ONCE

    @property
    def at_hand(self) -> bool:
        """Whether objects lie on this machine, so that nothing is gained by asking ahead."""
        return False

    def get_existing(self, key: str, *, because: str) -> Object:
        """Return the object under `key`, of which something says that it exists.

        Args:
            key: Its key.
            because: What says so, as half a sentence: "a ticket names it".

        Raises:
            MissingError: it is not to be found, however often it was asked for.
        """
        return self.patience.ask(lambda: self.get(key), key=key, url=self.url, because=because)

    @abstractmethod
    def get(self, key: str) -> Object:
        """Return the object under `key`; NotFoundError when there is none."""

    @abstractmethod
    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from byte `start` on, fewer where the object ends.

        Raises:
            NotFoundError: There is no such object.
        """

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Write `data` under `key` whatever was there; durable when this returns."""

    @abstractmethod
    def create(self, key: str, data: bytes) -> str:
        """Write `data` under `key` if nothing is there, and return its etag.

        Raises:
            ConflictError: Something is there; nothing was written.
            UnknownOutcomeError: The answer was lost and reading back does not tell.
        """

    @abstractmethod
    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        """Write `data` if the object still has `expected_etag`, and return its new etag.

        Raises:
            ConflictError: The object changed or is gone; nothing was written.
            UnknownOutcomeError: The answer was lost and reading back does not tell.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[Listed]:
        """Yield the objects whose key starts with `prefix`, in no particular order.

        `prefix` is empty or ends with a slash. Objects written or deleted meanwhile may or may
        not appear. What lies there under a name that is no key was put there by somebody else, as
        consoles and desktops do, and is passed over.
        """

    def list_all(self, prefix: str) -> Iterator[Listed]:
        """Yield what `list` does, and what it passes over, by names that no other method takes."""
        return self.list(prefix)

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object under `key`; nothing happens when there is none."""

    def sweep(self, before: float) -> int:  # noqa: ARG002
        """Remove what interrupted writes left behind before that time; return how many."""
        return 0


def is_there(store: ObjectStore, key: str) -> bool:
    """Return whether there is an object at `key`, for a byte of it."""
    try:
        store.get_range(key, 0, 1)
    except NotFoundError:
        return False
    return True


def check_key(key: str) -> str:
    """Return `key`, or raise InputError when it is not one that every store can hold."""
    segments = key.split("/")
    # First, because what is no text has no bytes: half a surrogate pair, or a name not in UTF-8.
    for segment in segments:
        if not segment or segment.startswith(".") or not segment.isprintable():
            raise InputError(
                f"key {key!r} is not usable: its parts must be printable, not empty and must "
                "not start with a dot",
                key=key,
            )
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InputError(f"a key has at most {MAX_KEY_BYTES} bytes; this one is longer: {key!r}")
    for segment in segments:
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            raise InputError(
                f"key {key!r} is not usable: a part has at most {MAX_SEGMENT_BYTES} bytes", key=key
            )
    return key


def is_key(key: str) -> bool:
    """Return whether every store can hold `key`, so that it may be one of ours."""
    try:
        check_key(key)
    except InputError:
        return False
    return True


def check_prefix(prefix: str) -> str:
    """Return `prefix`, or raise InputError unless it is empty or a key with a slash behind."""
    if not prefix:
        return prefix
    if not prefix.endswith("/"):
        raise InputError(f"prefix {prefix!r} must end with a slash", prefix=prefix)
    check_key(prefix[:-1])
    return prefix


def check_conditional(key: str, data: bytes) -> None:
    """Raise InputError when `data` is too large for a conditional write to be portable."""
    if len(data) > MAX_CONDITIONAL_BYTES:
        raise InputError(
            f"a conditional write has at most {MAX_CONDITIONAL_BYTES} bytes, found {len(data)} "
            f"for {key!r}: store the bytes as a blob and replace a reference to it",
            key=key,
            size_bytes=len(data),
        )


def check_etag(store: ObjectStore, key: str, *, expected: str, found: str | None) -> None:
    """Raise ConflictError unless the object under `key` still has the etag that was expected."""
    if found != expected:
        raise ConflictError(
            f"{key!r} in {store.url} changed: expected etag {expected}, found {found}; nothing was "
            "written, read it again",
            key=key,
            expected=expected,
            found=found,
        )
