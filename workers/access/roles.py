"""Access roles: what somebody may do with an adapter, and which role each verb needs.

Everything here is a value or a pure function on values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from adapters.errors import InputError
from workers.queue.machine import EVERY_ADAPTER

RoleName = Literal["viewer", "asker", "submitter", "operator", "admin"]
"""The access roles as documents name them."""


class AccessRole(StrEnum):
    """What somebody may do with an adapter; each may do what those before it may."""

    VIEWER = "viewer"  # look at everything
    ASKER = "asker"  # ask what images show
    SUBMITTER = "submitter"  # submit tasks, take them back, try them again
    OPERATOR = "operator"  # move aliases, drop tasks, pause, measure, carry versions in and out
    ADMIN = "admin"  # purge, settle, give roles, register webhooks, read the audit log

    @property
    def rank(self) -> int:
        """How many roles come before."""
        return list(AccessRole).index(self)

    def covers(self, needed: "AccessRole") -> bool:
        """Return whether it may do what `needed` may."""
        return self.rank >= needed.rank


def role_named(name: str) -> AccessRole:
    """Return the role of that name; InputError where there is none."""
    try:
        return AccessRole(name)
    except ValueError as error:
        known = ", ".join(AccessRole)
        raise InputError(f"expected a role of {known}, found {name!r}", role=name) from error


NEEDED: Mapping[str, AccessRole] = {
    verb: role
    for role, verbs in {
        AccessRole.VIEWER: (
            *("accuracy", "aliases", "diff", "held", "history", "logs", "methods"),
            *("metrics", "mistakes", "refusals", "show", "status", "versions", "watch"),
        ),
        AccessRole.ASKER: ("embed", "predict"),
        AccessRole.SUBMITTER: ("cancel", "inspect", "retry", "submit", "worker_logs"),
        AccessRole.OPERATOR: (
            *("alias", "drop", "evaluate", "export", "follow", "import"),
            *("pause", "prepare", "promote", "relearn", "resume", "rollback", "verify"),
        ),
        AccessRole.ADMIN: ("audit", "gc", "purge", "session", "settle", "token", "webhook"),
    }.items()
    for verb in verbs
}
"""The role that each verb needs, over every road."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grants:
    """The roles of one requester.

    Attributes:
        roles: By adapter; `*` stands for all.
    """

    roles: Mapping[str, AccessRole]

    def role(self, adapter: str) -> AccessRole | None:
        """Return the role on an adapter, or on all of them (`*`); None for none."""
        held = {self.roles.get(adapter), self.roles.get(EVERY_ADAPTER)} - {None}
        return max((role for role in held if role), key=lambda role: role.rank, default=None)

    def permits(self, verb: str, adapter: str) -> bool:
        """Return whether they permit a verb on an adapter, or on all of them (`*`)."""
        held = self.role(adapter)
        return held is not None and held.covers(NEEDED[verb])

    def permits_somewhere(self, verb: str) -> bool:
        """Return whether they permit a verb on some adapter."""
        return any(role.covers(NEEDED[verb]) for role in self.roles.values())

    def __str__(self) -> str:
        named = (f"{role} of {of_adapter(adapter)}" for adapter, role in self.roles.items())
        return " and ".join(named) or "without a role"


EVERYTHING = Grants(roles={EVERY_ADAPTER: AccessRole.ADMIN})
"""Of whoever is trusted entirely."""
NOTHING = Grants(roles={})


def of_adapter(adapter: str) -> str:
    """Return an adapter as sentences name it; `*` is all adapters."""
    return "all adapters" if adapter == EVERY_ADAPTER else repr(adapter)
