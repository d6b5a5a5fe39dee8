"""The requester: in whose name something is changed, as history, submissions and queue keep it."""

import getpass
import time
from dataclasses import dataclass

from adapters.errors import InputError
from workers.registry import Author

LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Requester:
    """Who asks for a change.

    Made at the edge where a request comes in, and an argument from there on: the command line and
    Python name the user of their process unless they are given a name, the HTTP API names the
    token.

    Attributes:
        name: As history, submissions and the queue's requests keep it.

    Raises:
        InputError: nobody can be called so.
    """

    name: str

    def __post_init__(self) -> None:
        if not (0 < len(self.name) <= LONGEST_NAME and self.name.isprintable()):
            raise InputError(
                f"expected the name of who asks, 1 to {LONGEST_NAME} printable characters, found "
                f"{self.name[:LONGEST_NAME]!r}"
            )

    def author(self, why: str = "") -> Author:
        """Return the author of a change that is made now, for the reason `why`."""
        return Author(who=self.name, why=why, now=time.time())


By = Requester | str | None
"""Who asks, as calls take it: a requester, a name, or None for whoever the client stands for."""


def requester_of(by: By) -> Requester:
    """Return who asks; the user of this process where nobody is named."""
    if isinstance(by, Requester):
        return by
    return Requester(name=_user() if by is None else by)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
