"""Audience, the observers of `production`: told before and after it moves.

What takes effect is the replacement of the refs alone. An audience that is told in time has the new
version ready when that happens, so that all of it moves at once; one that is not told finds out by
looking. What goes wrong with an audience never keeps an alias from moving.
"""

from typing import Protocol

from workers.registry.documents.layout import PRODUCTION
from workers.registry.documents.manifest import VersionRef
from workers.registry.documents.refs import Refs


class Audience(Protocol):
    """Replicas, wherever they are. Neither call may raise, nor take long."""

    def prepare(self, adapter: str, version: VersionRef) -> None:
        """Have a version ready: `production` of `adapter` is about to point to it."""

    def follow(self, adapter: str, serial: int) -> None:
        """Look where `production` of `adapter` points to: change `serial` has just moved it."""


class Nobody:
    """An audience of nobody."""

    def prepare(self, adapter: str, version: VersionRef) -> None:
        """Do nothing."""

    def follow(self, adapter: str, serial: int) -> None:
        """Do nothing."""


def moved_production(before: Refs, after: Refs) -> VersionRef | None:
    """Return the version that `production` moves to; None where it stays."""
    version = after.find(PRODUCTION)
    return version if version != before.find(PRODUCTION) else None
