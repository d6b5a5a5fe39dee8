"""Calls that look at versions: list, show, aliases, history, differences."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from adapters.contract.counts import whole_number
from cluster.client.remote.call import Call, asking, look, path_to
from cluster.client.remote.part import CallPart
from cluster.wire.mistakes import VersionMistakes
from cluster.wire.versions import (
    MOST_MOVES,
    MOST_VERSIONS,
    Aliases,
    HeldTask,
    HistoryEntry,
    PublishedVersion,
    ServedBehind,
    ShownVersion,
    VersionDifference,
)

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """A page of a list, the latest first, and all pages behind it.

    Attributes:
        path: Of the list.
        limit: Most items in all; all where 0.
        before: Only items before the one at this place.
        most: Of one page.
    """

    path: str
    limit: int
    before: int | None
    most: int

    @classmethod
    def of(cls, path: str, limit: int, before: int | None, *, most: int) -> "_Page":
        """Return the first page; InputError where `limit` or `before` is no number from 0 on."""
        before = None if before is None else whole_number("before", before)
        return cls(path=path, limit=whole_number("limit", limit), before=before, most=most)

    def call(
        self,
        kind: type[list[Item]],
        *,
        place: Callable[[Item], int],
        first: int,
        missing: Any = None,
    ) -> Call[list[Item]]:
        """Return the call for items whose places go down to `first`."""
        size = min(self.limit or self.most, self.most)

        def further(found: list[Item]) -> Call[list[Item]] | None:
            if len(found) < size or size == self.limit or place(found[-1]) == first:
                return None
            left = self.limit and self.limit - size
            behind = replace(self, limit=left, before=place(found[-1]))
            return behind.call(kind, place=place, first=first, missing=missing)

        return Call(
            kind=kind,
            verb="GET",
            path=self.path,
            arguments=asking({"limit": size, "before": self.before}),
            missing=missing,
            further=further,
        )


class VersionCalls(CallPart):
    """Looks at the versions of adapters; `adapter` is the configured one where it is None."""

    def adapters(self) -> Call[list[str]]:
        """Return the names of all adapters that may be looked at, sorted."""
        return Call(
            kind=list[Aliases],
            verb="GET",
            path=path_to("adapters"),
            becomes=lambda found: [each.adapter for each in found],
        )

    def versions(
        self, adapter: str | None = None, *, limit: int = 0, before: int | None = None
    ) -> Call[list[PublishedVersion]]:
        """Return the versions of an adapter, newest first; empty for one that does not exist.

        Args:
            adapter: Which adapter.
            limit: Most versions; all where 0.
            before: Only versions before the one of this number, to go on there.
        """
        return self._page(self._of(adapter, "versions"), limit, before)

    def _page(
        self, path: str, limit: int, before: int | None, *, most: int = MOST_VERSIONS
    ) -> Call[list[PublishedVersion]]:
        page = _Page.of(path, limit, before, most=most)
        return page.call(
            list[PublishedVersion], place=lambda each: each.number, first=1, missing=[]
        )

    def show(self, version: int | str, *, adapter: str | None = None) -> Call[ShownVersion]:
        """Return one version, given by alias or number.

        Raises:
            NotFoundError: no such adapter or version.
        """
        return look(ShownVersion, self._of(adapter, "versions", str(version)))

    def aliases(self, adapter: str | None = None) -> Call[dict[str, int]]:
        """Return the number of the version that each alias points to.

        Raises:
            NotFoundError: there is no such adapter.
        """
        return Call(
            kind=Aliases,
            verb="GET",
            path=self._of(adapter, "aliases"),
            becomes=lambda found: found.aliases,
        )

    def history(self, adapter: str | None = None, *, limit: int = 0) -> Call[list[HistoryEntry]]:
        """Return the moves of an adapter's aliases, the latest first.

        Args:
            adapter: Which adapter.
            limit: Most moves; all where 0.

        Raises:
            NotFoundError: there is no such adapter.
        """
        return self._moves(self._of(adapter, "history"), limit, None)

    def _moves(
        self, path: str, limit: int, before: int | None, *, most: int = MOST_MOVES
    ) -> Call[list[HistoryEntry]]:
        page = _Page.of(path, limit, before, most=most)
        return page.call(list[HistoryEntry], place=lambda each: each.index, first=0)

    def diff(
        self, before: int | str, after: int | str, *, adapter: str | None = None
    ) -> Call[VersionDifference]:
        """Return what changed from one version to another, given by alias or number.

        Raises:
            NotFoundError: no such adapter or version.
        """
        path = self._of(adapter, "diff")
        return look(VersionDifference, path, before=str(before), after=str(after))

    def mistakes(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        task: str | None = None,
        truth: str | None = None,
        answer: str | None = None,
        limit: int = 20,
    ) -> Call[VersionMistakes]:
        """Return what a version, given by alias or number, gets wrong about its test images.

        Args:
            version: The version.
            adapter: Which adapter.
            task: Only the test images of this task.
            truth: Of wrong images, only those of this class, by its id.
            answer: Of wrong images, only those that are taken for this class.
            limit: Most classes, pairs and images of each task.

        Raises:
            NotFoundError: no such adapter, version, task or class, or its answers were not kept.
        """
        whole_number("limit", limit, least=1)
        path = self._of(adapter, "versions", str(version), "mistakes")
        return Call(
            kind=VersionMistakes,
            verb="GET",
            path=path,
            arguments=asking({"task": task, "truth": truth, "answer": answer, "limit": limit}),
        )

    def refusals(self) -> Call[list[HistoryEntry]]:
        """Return the refusals by replicas that nothing has followed."""
        return look(list[HistoryEntry], path_to("refusals"))

    def behind(self, *adapters: str) -> Call[list[ServedBehind]]:
        """Return the adapters of which the newest version does not answer, or nothing does.

        Args:
            adapters: Only these; all where none is named.
        """

        def wanted(found: list[ServedBehind]) -> list[ServedBehind]:
            return [each for each in found if each.adapter in adapters or not adapters]

        return Call(kind=list[ServedBehind], verb="GET", path=path_to("behind"), becomes=wanted)

    def held(self, task: str, *, adapter: str | None = None) -> Call[HeldTask]:
        """Return which versions hold a task, or have learnt from it.

        Raises:
            NotFoundError: no version has ever held it.
        """
        return look(HeldTask, self._of(adapter, "held", task))
