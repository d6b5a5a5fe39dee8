"""Address of a remote system, and the token that is sent there: from flags, variables and files.

A token is read from a file or a variable. It is in no error, is sent to one address, and not
unencrypted to another machine unless somebody has said so.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from adapters.contract.counts import counted
from adapters.errors import InputError, NotFoundError, SettingsError
from cluster.config import PREDICT_TOKEN, TOKEN, TOKEN_FILE, URL, Config, is_private

MOST_BYTES = 16 * 1024
"""Read of a file with a token."""
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a system answers, and what is sent there.

    Attributes:
        url: Scheme, host and port, and the path that it is behind.
        token: The token; None where there is none.
        warning: What may not be as whoever keeps the token thinks; empty where it is.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    warning: str = ""


def remote_address(
    config: Config,
    *,
    url: str | None = None,
    token_file: Path | str | None = None,
    insecure: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Address | None:
    """Return the remote system that is to be acted on; None where none is named.

    Args:
        config: Names one, where neither `url` nor the environment does.
        url: Its address.
        token_file: File with the token; the environment's, or that of the configuration for the
            address there, where None.
        insecure: Whether the token may be sent over plain HTTP to another machine.
        environment: The variables.

    Raises:
        SettingsError: the address or the token cannot be used, or would be sent unencrypted.
        NotFoundError: there is no such file.
    """
    named = url or environment.get(URL)
    chosen = named or config.remote.url
    if chosen is None:
        if token_file is not None or insecure:
            raise InputError(
                "`--token-file` and `--insecure` are for a system elsewhere: name it with `--url`, "
                f"{URL} or `remote: {{url: …}}` in the configuration, or leave them out"
            )
        return None
    checked = _checked(chosen)
    own = config.remote.url is not None and checked == _checked(config.remote.url)
    file: Path | str | None = token_file or environment.get(TOKEN_FILE)
    given = environment.get(TOKEN)
    if file is None and not given and own:
        file = config.remote.token_file
    token: str | None
    warning = ""
    if file is not None:
        token, warning = _read(Path(file).expanduser())
    else:
        variable = TOKEN if given else PREDICT_TOKEN
        found = given or environment.get(PREDICT_TOKEN)
        token = checked_token(found, variable) if found else None
    if token and not (insecure or (own and config.remote.insecure)):
        _check_encrypted(checked)
    return Address(url=checked, token=token, warning=warning)


def checked_token(token: str, where: str) -> str:
    """Return a token that a header can carry.

    Args:
        token: The token.
        where: Where it is from, for the error, which does not say what was found.

    Raises:
        SettingsError: it cannot be one.
    """
    if not _TOKEN.fullmatch(token):
        lines = counted(len(token.splitlines()), "line") if token else "nothing"
        raise SettingsError(
            f"expected one token in {where}, in ASCII and without blanks, found {lines} that "
            "cannot be one"
        )
    return token


def _checked(url: str) -> str:
    """Return an address without a slash at its end; SettingsError where it can be none."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        extra = parts.query or parts.fragment or "@" in parts.netloc or not url.isprintable()
    except ValueError:
        known, extra = False, False
    if not known or extra or " " in url:
        # It may hold a password, and is not said.
        raise SettingsError(
            "expected the address of a system, as in https://nacre.example.com, with nothing of a "
            "user, a query or a fragment in it, found another one; a token goes into a file that "
            "`--token-file` names"
        )
    return url.rstrip("/")


def _check_encrypted(url: str) -> None:
    if not is_private(url):
        raise SettingsError(
            f"the token would be sent to {urlsplit(url).hostname} unencrypted: name an https:// "
            "address, or say `--insecure` (`remote: {insecure: true}`) where nobody listens on the "
            "way"
        )


def _read(path: Path) -> tuple[str, str]:
    """Return the token in a file, and a warning where others can read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MOST_BYTES)
    except OSError as error:
        raise NotFoundError(
            f"expected a file with a token at {path}, found that it cannot be read: "
            f"{error.strerror}; `nacre token create` makes a token",
            path=str(path),
        ) from error
    token = checked_token(content.decode(errors="replace").strip(), str(path))
    if mode & _OTHERS:
        return token, f"others can read {path}, which holds a token: `chmod 600 {path}`"
    return token, ""
