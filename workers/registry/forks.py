"""Forks: acknowledged changes that a store has lost because it let two writers win.

Whoever was told that its change was made, and finds it neither in the refs nor in the history
behind them, notes it in the refs. Until a person has settled that, nothing is published; what
answers goes on answering. What the lost change published lies under its digest, so that it can be
published again.
"""

from dataclasses import dataclass
from typing import Any

from adapters.errors import CorruptionError, ForkedError
from workers.registry.layout import Stored, stored_from_json
from workers.registry.manifest import VersionRef, version_from_json


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


def fork_from_json(value: Any) -> Fork:
    """Return the reverse of `Fork.to_json`; CorruptionError when it is not one."""
    try:
        write_id, action, history, published = value
        return Fork(
            write_id=str(write_id),
            action=str(action),
            history=stored_from_json(history),
            published=version_from_json(published),
        )
    except (TypeError, ValueError) as error:
        raise CorruptionError(f"expected a fork in the refs, found {value!r}") from error


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
