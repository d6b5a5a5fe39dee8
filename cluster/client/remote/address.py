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
from cluster.config import (
    PREDICT_TOKEN,
    TOKEN,
    TOKEN_FILE,
    URL,
    Config,
    is_private,
    token_in,
)
from cluster.wire.headers import LONGEST_TOKEN

MOST_BYTES = 4 * LONGEST_TOKEN
"""Read of a file with a token."""
_TOKEN = re.compile(r"[\x21-\x7e]+")
_SCHEME = re.compile(r"\Abearer +", re.IGNORECASE)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a system answers, and what is sent there.

    Attributes:
        url: Scheme, host and port, and the path that it is behind.
        token: The token; None where there is none.
        warning: What may not be as whoever keeps the token thinks; empty where it is.
        is_here: Whether nobody has named it: it is what the configuration says listens here.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    warning: str = ""
    is_here: bool = False


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
    given = token_in(environment, TOKEN)
    if file is None and not given and own:
        file = config.remote.token_file
    token: str | None
    warning = ""
    if file is not None:
        token, warning = _read(Path(file).expanduser())
    else:
        variable = TOKEN if given else PREDICT_TOKEN
        found = given or token_in(environment, PREDICT_TOKEN)
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
    if not token:
        raise SettingsError(
            f"expected one token in {where}, found none; `nacre token create` makes one"
        )
    if not _TOKEN.fullmatch(token):
        lines = counted(len(token.splitlines()), "line")
        raise SettingsError(
            f"expected one token in {where}, in ASCII and without blanks, found {lines} that "
            "cannot be one; write the token there, and nothing else"
        )
    if len(token) > LONGEST_TOKEN:
        raise SettingsError(
            f"expected one token in {where}, of at most {LONGEST_TOKEN} characters, found "
            f"{len(token)}; where a provider has made it, have it name fewer groups in its tokens"
        )
    return token


def _checked(url: str) -> str:
    """Return an address without a slash at its end; SettingsError where it can be none."""
    wrong = _wrong_with(url)
    if wrong:
        # It may hold a password, and is not said.
        raise SettingsError(
            f"expected the address of a system, as in https://nacre.example.com, found {wrong}"
        )
    return url.rstrip("/")


def _wrong_with(url: str) -> str:
    """Return what keeps a text from being an address; nothing where it is one."""
    if not url.lower().startswith(("http://", "https://")):
        return "one that does not begin with https:// or http://"
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or not url.isprintable() or " " in url:
        return "one whose host or port cannot be read"
    if "@" in parts.netloc:
        return "a user in it; a token goes into a file that `--token-file` names"
    if parts.query or parts.fragment:
        return "a query or a fragment behind it; leave it out"
    return ""


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
    # As editors and scripts write it: with a mark of its encoding, or as a header has it.
    written = content.decode("utf-8-sig", errors="replace").strip()
    token = checked_token(_SCHEME.sub("", written, count=1), str(path))
    if mode & _OTHERS:
        return token, f"others can read {path}, which holds a token: `chmod 600 {path}`"
    return token, ""
