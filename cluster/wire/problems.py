"""Errors as problem documents, the same over HTTP and of a command with `--output json`."""

from pydantic import BaseModel, Field

from adapters.errors import (
    ConflictError,
    DamagedFileError,
    ForbiddenError,
    InputError,
    LimitError,
    NacreError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    UnknownOutcomeError,
    error_called,
    printable,
)
from adapters.guidance import help_of, help_of_kind

LONGEST_DETAIL = 8_000
"""Characters; what is wrong with a thousand labels need not be said a thousand times."""

STATUS: tuple[tuple[type[NacreError], int], ...] = (
    (NotFoundError, 404),
    (UnauthorizedError, 401),
    (ForbiddenError, 403),
    (InputError, 422),
    (DamagedFileError, 422),
    (ConflictError, 409),
    (UnknownOutcomeError, 504),
    (LimitError, 429),
    (UnavailableError, 503),
)


NO_ROUTE = "urn:nacre:no-route"
"""The type of the answer where the API has no such route, as with a wrong path in an address."""


class Problem(BaseModel):
    """An error, after RFC 9457."""

    type: str = Field(
        default="about:blank",
        description=f"`{NO_ROUTE}` where the API has no such route; else nothing beside the title.",
    )
    title: str = Field(examples=["NotFoundError"])
    status: int = Field(examples=[404])
    detail: str = Field(
        examples=["adapter 'main' has no version 7; the next one will be 6"],
        description="What was expected and found, and what to do.",
    )
    help: str | None = Field(
        default=None,
        examples=["docs/operations.md#the-store-is-away"],
        description="Where the pages of nacre say more of it; null where they say nothing.",
    )


def status_of(error: NacreError) -> int:
    """Return the HTTP status of an error."""
    return next((code for kind, code in STATUS if isinstance(error, kind)), 500)


def problem_document(status: int, title: str, detail: str, *, more: str | None = None) -> Problem:
    """Return an error; what cannot be printed in `detail` is escaped, what is long is cut.

    Args:
        status: Of HTTP.
        title: The name of the error.
        detail: Its sentence.
        more: Where more is said of it, where that is not said by its name.
    """
    detail = printable(detail)
    if len(detail) > LONGEST_DETAIL:
        detail = f"{detail[:LONGEST_DETAIL]}…"
    help_ = more or help_of_kind(error_called(title))
    return Problem(title=title, status=status, detail=detail, help=help_)


def how_to_look(path: str) -> str:
    """Return what may have become of a change that was sent to a path, and how to find out."""
    if path == "/v1/tasks":
        return (
            "the task may be accepted all the same: look for its name with `nacre status` or GET "
            "/v1/tasks/NAME before anything else; sent again, the same task finds its submission"
        )
    if path.startswith("/v1/tokens"):
        return (
            "it may be done all the same: look with `nacre token list` or GET /v1/tokens, and "
            "revoke a token whose secret nobody has seen"
        )
    return "it may be done all the same: look with `nacre history` or `nacre status` first"


def error_document(error: NacreError) -> Problem:
    """Return the document of one of nacre's own errors."""
    name = type(error).__name__
    return problem_document(status_of(error), name, error.message, more=help_of(error))
