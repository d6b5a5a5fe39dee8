"""Files with credentials: profiles, and tokens, whoever writes them and whenever."""

import configparser
from pathlib import Path

from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider

from cluster.stores.credentials.errors import NotGivenError

MOST_BYTES = 2**20
_ACCESS, _SECRET, _TOKEN = "aws_access_key_id", "aws_secret_access_key", "aws_session_token"


class ProfileProvider(Provider):
    """Credentials of a profile of a file as Amazon's tools have it.

    minio's own reads a `%` in a key as the beginning of a reference, and has lines of the file in
    its errors.

    Args:
        file: The file.
        profile: Which part of it.
    """

    def __init__(self, file: Path, profile: str) -> None:
        self._file = file
        self._profile = profile

    def retrieve(self) -> Credentials:
        """Read the file.

        Raises:
            NotGivenError: it has no such profile, or cannot be read.
        """
        section = profiles_of(self._file).get(self._profile)
        where = f"profile {self._profile!r} of {self._file}"
        if section is None:
            raise NotGivenError(
                f"expected {where}, which AWS_PROFILE or the default name, found no such profile; "
                "name another one, or add it",
                passes=False,
            )
        access, secret, token = (section.get(name, "") for name in (_ACCESS, _SECRET, _TOKEN))
        for name, value in ((_ACCESS, access), (_SECRET, secret)):
            if not value:
                raise NotGivenError(
                    f"expected {name} in {where}, found none; add it. Roles, single sign-on and "
                    "programs are not read there",
                    passes=False,
                )
        for name, value in ((_ACCESS, access), (_SECRET, secret), (_TOKEN, token)):
            if not is_sendable(value):
                raise NotGivenError(
                    f"expected printable ASCII as {name} in {where}, found other characters; "
                    "write it anew",
                    passes=False,
                )
        return Credentials(access, secret, token or None)


def profiles_of(file: Path) -> dict[str, dict[str, str]]:
    """Return what a file says, by profile.

    Raises:
        NotGivenError: it cannot be read.
    """
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(read_text(file))
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or next(
            (number for number, _ in getattr(error, "errors", ())), None
        )
        raise NotGivenError(
            f"{file} cannot be read as profiles{f', from its line {line} on' if line else ''}; "
            "write it as `[NAME]` with `KEY = VALUE` below",
            passes=False,
        ) from None
    return {name.strip(): dict(parser[name]) for name in parser.sections()}


def read_text(file: Path) -> str:
    """Return what a small file says.

    Raises:
        NotGivenError: it is not there, not to be read, too large, or no text.
    """
    try:
        if not file.is_file():  # a pipe or a device would be waited for
            found = "no such file" if not file.exists() else "something else"
            raise NotGivenError(
                f"expected credentials in the file {file}, found {found}; see that it is written",
                passes=False,
            )
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise NotGivenError(
            f"{file} cannot be read ({error.strerror}); let this user read it", passes=False
        ) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if len(data) > MOST_BYTES or "\0" in text:
        raise NotGivenError(
            f"expected text in {file}, found other bytes or more than {MOST_BYTES}; write it anew",
            passes=False,
        )
    return text


def token_of(file: Path) -> str:
    """Return the token that a file has.

    Raises:
        NotGivenError: there is none.
    """
    token = read_text(file).strip()
    if not token or not is_sendable(token):
        found = "nothing" if not token else "other characters"
        raise NotGivenError(
            f"expected a token of printable ASCII in {file}, found {found}; see that it is written",
            passes=False,
        )
    return token


def is_sendable(value: str) -> bool:
    """Return whether `value` can stand in a header."""
    return value.isascii() and value.isprintable()
