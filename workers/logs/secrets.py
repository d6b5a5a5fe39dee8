"""Secrets that are known by what they are called, as those in variables are."""

import re
from collections.abc import Mapping

LEAST_IDENTITY = 12
"""Characters of the name of a key, as of Amazon's: who has it alone has nothing."""
_NAME_ALONE = re.compile(
    r"(?i)secret|passw|passphrase|pwd|token|key|auth|credential|cookie|signature|salt|bearer|"
    r"webhook|hook_url|dsn|headers$"
)
_HARMLESS = re.compile(r"(?i)(_file|_mode|_path|_arn|_s|_uri|_bytes)$")
_IDENTITY = re.compile(r"(?i)access_key(_id)?$")
_USER = re.compile(r"://([^/\s@]+)@")
_HEADER = re.compile(r"=\s*([^,]+)")


def secrets_in(named: Mapping[str, str]) -> list[str]:
    """Return the values that may be secrets, by what they are called."""
    found = [value for name, value in named.items() if _is_secret(name, value)]
    # As OTEL_EXPORTER_OTLP_HEADERS has them: names and values.
    lists = (value for name, value in named.items() if name.upper().endswith("HEADERS"))
    return found + [each.strip() for value in lists for each in _HEADER.findall(value)]


def _is_secret(name: str, value: str) -> bool:
    if _IDENTITY.search(name) and len(value) < LEAST_IDENTITY:
        return False  # a word, as `nacre`, whose absence would leave nothing to read
    return bool(_NAME_ALONE.search(name)) and not _HARMLESS.search(name)


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Return the values of variables that may be secrets, and what addresses in others have."""
    inside = (_USER.findall(value) for value in environment.values())
    return [
        *secrets_in(environment),
        *(part for found in inside for user in found for part in (user, *user.split(":", 1))),
    ]
