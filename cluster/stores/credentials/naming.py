"""Names: of credentials in an address, and of the variables that hold them."""

import re

from adapters.errors import SettingsError

REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
OF_NAME = (
    *("NACRE_S3_NAME_ACCESS_KEY", "NACRE_S3_NAME_SECRET_KEY", "NACRE_S3_NAME_SESSION_TOKEN"),
    *("NACRE_S3_NAME_ROLE_ARN", "NACRE_S3_NAME_WEB_IDENTITY_TOKEN_FILE", "NACRE_S3_NAME_PROFILE"),
)
"""The variables of credentials that are called `name`."""
_NAMED = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


def variables_of(named: str) -> tuple[str, ...]:
    """Return the variables of named credentials, in the order of OF_NAME.

    Raises:
        SettingsError: it is no name.
    """
    if not _NAMED.fullmatch(named):
        raise SettingsError(
            "expected the name of credentials, at most 40 letters, digits, dashes and underscores, "
            f"behind `credentials=`, found {named[:40]!r}; the credentials themselves belong into "
            "the environment"
        )
    called = named.upper().replace("-", "_")
    return tuple(name.replace("NAME", called, 1) for name in OF_NAME)
