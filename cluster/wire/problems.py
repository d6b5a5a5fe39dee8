"""Errors as problem documents, the same over HTTP and of a command with `--output json`."""

from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
    printable,
)
from cluster.wire.documents import Problem

LONGEST_DETAIL = 8_000
"""Characters; what is wrong with a thousand labels need not be said a thousand times."""

STATUS: tuple[tuple[type[NacreError], int], ...] = (
    (NotFoundError, 404),
    (InputError, 422),
    (ConflictError, 409),
    (UnknownOutcomeError, 504),
    (UnavailableError, 503),
)


def status_of(error: NacreError) -> int:
    """Return the HTTP status of an error."""
    return next((code for kind, code in STATUS if isinstance(error, kind)), 500)


def problem_document(status: int, title: str, detail: str) -> Problem:
    """Return an error; what cannot be printed in `detail` is escaped, what is long is cut."""
    detail = printable(detail)
    if len(detail) > LONGEST_DETAIL:
        detail = f"{detail[:LONGEST_DETAIL]}…"
    return Problem(title=title, status=status, detail=detail)
