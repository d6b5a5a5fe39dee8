"""Every error that nacre raises on purpose, grouped by what the caller can do about it.

    NacreError
    ├── InputError            change the request and try again                    exit 2
    │   ├── SettingsError         an unknown or impossible setting
    │   ├── ImageError            an image that cannot be read or is not allowed
    │   ├── ClassNameError        empty, duplicated or already existing classes
    │   ├── FeatureError          features of the wrong width, or not finite
    │   ├── EncoderMismatchError  features of another encoder than the adapter's
    │   ├── NotFoundError         no such task, version, alias or object
    │   ├── UnauthorizedError     nobody known asks: the token is missing, wrong or over
    │   └── ForbiddenError        whoever asks is known, and may not do this
    ├── ConflictError         somebody else was first: look again, then retry     exit 3
    ├── UnavailableError      nothing is wrong with the request: wait and retry   exit 4
    │   ├── NothingPublishedError an adapter that has no version in production yet
    │   ├── StoreRefusedError     the store does not let us in: keys, rights, clock     exit 2
    │   ├── LimitError            whoever asks uses as much as they may: ask again later
    │   ├── MissingError          stored, and not to be found now: nodes may be starting
    │   ├── ForkedError           the store has lost acknowledged changes: settle that    exit 3
    │   └── WorkerLostError       the worker that did it has died
    ├── UnknownOutcomeError   it may have happened: read back before anything     exit 5
    ├── CorruptionError       stored bytes are not what was written: call a human exit 6
    │   └── DamagedFileError      a file that was given is damaged: give it whole
    └── RejectedError         learnt and kept, but not published: the gate said no  exit 7

A message says what was expected, what was found, on what, and what to do. `fields` repeats the
facts of the message for machines. Every error pickles and comes back equal, because errors cross
process boundaries.
"""

import re
from typing import ClassVar, Self

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_BYTE_IN_REPR = re.compile(r"\\udc([89a-f][0-9a-f])")
"""How `repr` writes a byte that is no UTF-8."""

WAIT = "retry_after_s"
"""The field of an error that says after how many whole seconds to ask again."""
FieldValue = str | int | float | bool | None | tuple[str, ...]


def printable(text: str) -> str:
    """Return `text` without what no terminal should be sent and UTF-8 cannot write, escaped.

    These are control characters, and the bytes of names that are no UTF-8: `caf\\xe9`.
    """
    return _BYTE_IN_REPR.sub(r"\\x\1", _UNPRINTABLE.sub(lambda found: _escaped(found[0]), text))


def one_line(text: str) -> str:
    """Return `text` as `printable` does, and line breaks and tabs escaped too."""
    return printable(text).replace("\n", r"\n").replace("\t", r"\t")


MOST_REASON = 2000
"""Characters of an error that is none of ours, in a sentence of ours."""


def reason_of(error: BaseException) -> str:
    """Return `error` as a reason that can be told, whatever it is and however it is written.

    Errors of libraries and of methods that others wrote may fail to say what they are.
    """
    if isinstance(error, NacreError):
        return error.message
    try:
        text = repr(error)
    except Exception as failed:  # noqa: BLE001 - whatever it is, what happened is told
        text = f"{type(error).__name__}, which cannot be written ({type(failed).__name__})"
    return printable(text if len(text) <= MOST_REASON else f"{text[:MOST_REASON]} …")


class NacreError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: One sentence for a person: expected, found, on what, what to do. It may quote names
            as they were found; what cannot be printed is escaped.
        **fields: The same facts for a machine.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **fields: FieldValue) -> None:
        self.message = printable(message)
        super().__init__(self.message)
        self.fields = {name: _printable_field(value) for name, value in fields.items()}

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NacreError) or type(self) is not type(other):
            return NotImplemented
        return (self.message, self.fields) == (other.message, other.fields)

    def __hash__(self) -> int:
        return hash((type(self), self.message))

    @classmethod
    def rebuild(cls, message: str, fields: dict[str, FieldValue]) -> Self:
        """Return the error that was pickled as `message` and `fields`."""
        return cls(message, **fields)


class InputError(NacreError):
    """The request cannot be carried out as it stands."""

    exit_code = 2


class SettingsError(InputError):
    """A setting is unknown or impossible."""


class ImageError(InputError):
    """An image cannot be read, or is larger than is allowed."""


class ClassNameError(InputError):
    """Classes are empty, duplicated, or exist already."""


class FeatureError(InputError):
    """Features have the wrong shape or dtype, or are not finite."""


class EncoderMismatchError(InputError):
    """Features come from another encoder than the one the adapter was learnt with."""


class NotFoundError(InputError):
    """No such task, version, alias or object."""


class UnauthorizedError(InputError):
    """Nobody knows who asks: the token is missing or wrong, has expired or was revoked."""


class ForbiddenError(InputError):
    """Whoever asks is known, and their role does not permit what they ask for."""


class ConflictError(NacreError):
    """Somebody else was first; the state has changed since it was read."""

    exit_code = 3


class UnavailableError(NacreError):
    """A service that is needed cannot be reached now."""

    exit_code = 4


class NothingPublishedError(UnavailableError):
    """An adapter has no version in production yet; somebody must publish one first."""


class LimitError(UnavailableError):
    """Whoever asks has as much under way, or stored, as they may; later there is room again."""


class StoreRefusedError(UnavailableError):
    """The store does not let this process in now.

    A person who waits is told at once, and changes keys, rights or the clock; what runs for ever
    waits for that, since keys are rotated and rights attached while things run.
    """

    exit_code = 2


class MissingError(UnavailableError):
    """Something that must be stored is not to be found, however often it is asked for.

    Nodes of a store that start say so for a while of what they have. What stays away for good is
    restored by a person, and then everything goes on.
    """


class ForkedError(UnavailableError):
    """A store has lost acknowledged changes; nothing is published until a person settles that."""

    exit_code = 3


class WorkerLostError(UnavailableError):
    """A worker died while it did the work; another one can do it again."""


class UnknownOutcomeError(NacreError):
    """A write was sent and its answer was lost: it may or may not have happened."""

    exit_code = 5


class CorruptionError(NacreError):
    """Stored bytes differ from what their digest promises."""

    exit_code = 6


class DamagedFileError(CorruptionError):
    """A file that was given, such as an exported version, is not whole; the store is."""


class RejectedError(NacreError):
    """The gate has rejected a version: it is kept, and neither served nor built upon."""

    exit_code = 7


def error_called(name: str) -> type[NacreError] | None:
    """Return the kind of error of that name; None where it is none of these."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, NacreError) else None


def _rebuild(
    error_type: type[NacreError], message: str, fields: dict[str, FieldValue]
) -> NacreError:
    return error_type.rebuild(message, fields)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # how Python keeps a byte that is no UTF-8
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _printable_field(value: FieldValue) -> FieldValue:
    if isinstance(value, tuple):
        return tuple(map(printable, value))
    return printable(value) if isinstance(value, str) else value
