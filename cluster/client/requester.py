"""The requester: in whose name something is changed, as history, submissions and queue keep it."""

import getpass
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from adapters.errors import ForbiddenError, InputError, printable
from cluster.config import IN_RAY_JOB
from workers.access.audit import AuditEntry
from workers.access.roles import EVERYTHING, NEEDED, Grants, of_adapter
from workers.registry import Author

LONGEST_NAME = 200
LONGEST_TARGET = 200
CLI, HTTP, PYTHON, JOB, CONSOLE = "cli", "http", "python", "job", "console"
"""The roads over which requests come in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Requester:
    """Who asks for a change.

    Made at the edge where a request comes in, and an argument from there on: the command line and
    Python name the user of their process unless they are given a name, and whoever has the store
    may do everything with it. The HTTP API names the token, and the roles that this has.

    Attributes:
        name: As history, submissions and the queue's requests keep it.
        grants: What they may do.
        road: How the request has come in.
        request_id: Of the request over HTTP; empty elsewhere.
        contact: Who could let them do more.
        said: Returns a reason as the audit log may keep it: without folders of the service.

    Raises:
        InputError: nobody can be called so.
    """

    name: str
    grants: Grants = EVERYTHING
    road: str = PYTHON
    request_id: str = ""
    contact: str = "an admin of this service"
    said: Callable[[str], str] = str

    def __post_init__(self) -> None:
        if not (0 < len(self.name) <= LONGEST_NAME and self.name.isprintable()):
            raise InputError(
                f"expected the name of who asks, 1 to {LONGEST_NAME} printable characters, found "
                f"{self.name[:LONGEST_NAME]!r}"
            )

    def author(self, why: str = "") -> Author:
        """Return the author of a change that is made now, for the reason `why`."""
        return Author(who=self.name, why=why, now=time.time())

    def sees(self, adapter: str) -> bool:
        """Return whether they may look at an adapter."""
        return self.grants.permits("status", adapter)

    def check(self, verb: str, adapter: str) -> None:
        """Raise ForbiddenError unless they may do this to an adapter, or to all of them (`*`)."""
        if not self.grants.permits(verb, adapter):
            raise self._forbidden(verb, of_adapter(adapter))

    def check_somewhere(self, verb: str) -> None:
        """Raise ForbiddenError unless they may do this to some adapter."""
        if not self.grants.permits_somewhere(verb):
            raise self._forbidden(verb, "an adapter")

    def entry(self, verb: str, adapter: str, target: str = "") -> AuditEntry:
        """Return what the audit log says of a call that is made now."""
        return AuditEntry(
            at=time.time(),
            who=self.name,
            road=self.road,
            verb=verb,
            adapter=adapter,
            target=printable(target)[:LONGEST_TARGET],
            request_id=self.request_id,
        )

    def _forbidden(self, verb: str, of: str) -> ForbiddenError:
        return ForbiddenError(
            f"{self.name!r} is {self.grants}, and `{verb}` needs {NEEDED[verb]} of {of}; ask "
            f"{self.contact} for it",
            who=self.name,
            verb=verb,
        )


By = Requester | str | None
"""Who asks, as calls take it: a requester, a name, or None for whoever the client stands for."""


def requester_of(by: By, *, road: str = PYTHON) -> Requester:
    """Return who asks; the user of this process where nobody is named.

    Args:
        by: Who.
        road: How requests of this process come in; in a job of Ray, that.
    """
    if isinstance(by, Requester):
        return by
    here = JOB if IN_RAY_JOB in os.environ else road
    return Requester(name=_user() if by is None else by, road=here)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
