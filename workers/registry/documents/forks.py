"""Forks: acknowledged changes that a store has lost because it let two writers win.

Whoever was told that its change was made, and finds it neither in the refs nor in the history
behind them, notes it in the refs. Until a person has settled that, nothing is published; what
answers goes on answering. What the lost change published lies under its digest, so that it can be
published again.
"""

from dataclasses import dataclass
from typing import Any

from adapters.errors import ForkedError
from workers.registry.documents.layout import Stored, StoredJson, stored_of
from workers.registry.documents.manifest import VersionJson, VersionRef, version_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Fork:
    """A change that was acknowledged and is not there any more.

    Attributes:
        write_id: Of the change.
        action: What was done, as its history entry says.
        history: That entry, which lies under its digest.
        published: The version that it published; None where it published none.
    """

    write_id: str
    action: str
    history: Stored
    published: VersionRef | None = None

    def to_json(self) -> list[Any]:
        """Return [write id, action, entry, version]."""
        version = self.published and self.published.to_json()
        return [self.write_id, self.action, self.history.to_json(), version]

    def __str__(self) -> str:
        """Say what was lost."""
        what = f" of version {self.published.number}" if self.published else ""
        return f"{self.action}{what} (write {self.write_id})"


ForkJson = tuple[str, str, StoredJson, VersionJson | None]
"""What `Fork.to_json` writes, as documents are validated."""


def fork_of(value: ForkJson) -> Fork:
    """Return the reverse of `Fork.to_json`."""
    write_id, action, history, published = value
    return Fork(
        write_id=write_id,
        action=action,
        history=stored_of(history),
        published=published and version_of(published),
    )


def check_no_fork(adapter: str, forks: tuple[Fork, ...]) -> None:
    """Raise ForkedError where changes were lost and nobody has settled that."""
    if forks:
        lost = "; ".join(map(str, forks))
        raise ForkedError(
            f"the store has lost acknowledged changes of adapter {adapter!r} ({lost}): it let two "
            "writers win. Nothing more is published until somebody has looked at the store and "
            f"settled it: `nacre settle --adapter {adapter} --why REASON`; what was lost is then "
            "published again",
            adapter=adapter,
            lost=lost,
        )
