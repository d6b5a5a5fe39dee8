"""Guidance: which section of the page of operations says what to do about an error.

One table for all roads: the command line puts it behind the sentence, a problem document has it as
`help`. An error of a kind that several things lead to names its section itself, in the field HELP.
"""

from enum import StrEnum

from adapters.errors import (
    CorruptionError,
    DamagedFileError,
    EncoderMismatchError,
    ForkedError,
    LimitError,
    MissingError,
    NacreError,
    NothingPublishedError,
    RejectedError,
    StoreRefusedError,
    UnknownOutcomeError,
    WorkerLostError,
)

PAGE = "docs/operations.md"
HELP = "help"
"""The field of an error that names its section."""


class Section(StrEnum):
    """Sections of the page, by what their headings are made to in addresses."""

    NOT_STARTED = "it-does-not-start"
    STORE_AWAY = "the-store-is-away"
    STORE_REFUSES = "the-store-does-not-let-us-in"
    CREDENTIALS = "credentials-are-not-renewed"
    STORE_UNFIT = "the-store-is-not-fit"
    STORE_FORKED = "the-store-has-lost-changes"
    MISSING = "something-stored-is-missing"
    DAMAGED = "stored-bytes-are-damaged"
    UNKNOWN = "the-outcome-is-not-known"
    WORKER_LOST = "a-worker-has-died"
    REJECTED = "a-version-was-rejected"
    TOO_MUCH = "too-much-is-asked"
    NOTHING_PUBLISHED = "nothing-is-published-yet"
    OTHER_ENCODER = "another-encoder"


OF_KIND: tuple[tuple[type[NacreError], Section | None], ...] = (
    (StoreRefusedError, Section.STORE_REFUSES),
    (ForkedError, Section.STORE_FORKED),
    (MissingError, Section.MISSING),
    (NothingPublishedError, Section.NOTHING_PUBLISHED),
    (LimitError, Section.TOO_MUCH),
    (WorkerLostError, Section.WORKER_LOST),
    (EncoderMismatchError, Section.OTHER_ENCODER),
    (UnknownOutcomeError, Section.UNKNOWN),
    (DamagedFileError, None),  # of whoever gave the file
    (CorruptionError, Section.DAMAGED),
    (RejectedError, Section.REJECTED),
)
"""By kind, the first that fits; what is not here is no failure, or several."""


def help_of(error: NacreError) -> str | None:
    """Return where the page says what to do about an error; None where it says nothing."""
    named = error.fields.get(HELP)
    if isinstance(named, str) and named in {str(each) for each in Section}:
        return f"{PAGE}#{named}"
    return help_of_kind(type(error))


def help_of_kind(kind: type[NacreError] | None) -> str | None:
    """Return the same of a kind of error."""
    if kind is None:
        return None
    found = next((section for each, section in OF_KIND if issubclass(kind, each)), None)
    return f"{PAGE}#{found}" if found else None
