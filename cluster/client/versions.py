"""The client's verbs that look at versions: list, show, aliases, history, what is wrong."""

from collections.abc import Iterator
from contextlib import suppress

from adapters.contract.counts import whole_number
from adapters.errors import NotFoundError
from adapters.mistakes import Most
from cluster.client.part import ClientPart
from cluster.client.requester import By
from workers.learning.version_mistakes import VersionMistakes, version_mistakes
from workers.registry import (
    Action,
    Difference,
    Entry,
    Version,
    diff,
    newest_servable,
    read_version,
    read_versions,
)
from workers.registry.documents.layout import HEAD, PRODUCTION


class VersionVerbs(ClientPart):
    """Looks at the versions of adapters; `adapter` is the configured one where it is None."""

    def adapters(self) -> list[str]:
        """Return the names of all adapters in the store, sorted."""
        return sorted(self._registry.adapters())

    def versions(
        self, adapter: str | None = None, *, limit: int = 0, before: int | None = None
    ) -> list[Version]:
        """Return the versions of an adapter, newest first; empty for one that does not exist.

        Args:
            adapter: Which adapter.
            limit: Most versions; all where 0.
            before: Only versions before the one of this number, to go on there.
        """
        with suppress(NotFoundError):
            return read_versions(self._adapter(adapter), limit=limit, before=before)
        return []

    def show(self, version: int | str, *, adapter: str | None = None) -> Version:
        """Return one version, given by alias or number.

        Raises:
            NotFoundError: no such adapter or version.
        """
        return read_version(self._adapter(adapter), version)

    def aliases(self, adapter: str | None = None) -> dict[str, int]:
        """Return the number of the version that each alias points to.

        Raises:
            NotFoundError: there is no such adapter.
        """
        pointed = self._adapter(adapter).refs().aliases
        return {alias: version.number for alias, version in pointed.items()}

    def behind(self, adapter: str | None = None) -> tuple[int | None, int] | None:
        """Return the version in production and the newest one, where that is not in production.

        The first is None where no version is in production. The newest is one that could be: what
        was purged cannot be served any more, nor can a version without a task.

        Raises:
            NotFoundError: there is no such adapter.
        """
        handle = self._adapter(adapter)
        refs = handle.refs()
        served = refs.find(PRODUCTION)
        number = served.number if served else None
        newest = newest_servable(handle, refs, after=number or 0)
        return (number, newest) if newest != (number or 0) else None

    def contradicted(self) -> list[str]:
        """Return a sentence on each adapter that is learnt by another method than is configured."""
        return [said for name in self.adapters() if (said := self._contradicted(name))]

    def history(self, adapter: str | None = None) -> Iterator[Entry]:
        """Yield every move of an adapter's aliases, the latest first.

        Raises:
            NotFoundError: there is no such adapter.
        """
        return self._adapter(adapter).history()

    def diff(
        self, before: int | str, after: int | str, *, adapter: str | None = None
    ) -> Difference:
        """Return what changed from one version to another, given by alias or number.

        Raises:
            NotFoundError: no such adapter or version.
        """
        return diff(self._adapter(adapter), before, after)

    def mistakes(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        task: str | None = None,
        truth: str | None = None,
        answer: str | None = None,
        limit: int = 20,
    ) -> VersionMistakes:
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
        limit = whole_number("limit", limit, least=1)
        return version_mistakes(
            self._adapter(adapter),
            version,
            task=task,
            truth=[truth] if truth else (),
            answer=[answer] if answer else (),
            most=Most(classes=limit, confusions=limit, images=limit),
        )

    def refusals(self, *, by: By = None) -> list[Entry]:
        """Return the refusals by replicas that nothing has followed, of the adapters served.

        Args:
            by: Who looks; those of adapters that they may not look at are left out.
        """
        requester = self._requester(by)
        latest = (self._latest(name) for name in self.config.served if requester.sees(name))
        return [entry for entry in latest if entry and entry.action is Action.REFUSE]

    def removals(self) -> dict[str, Entry]:
        """Return the moves that removed `production`, where it is away, by the adapters served."""
        found = {name: self._removal(name) for name in self.config.served}
        return {name: entry for name, entry in found.items() if entry}

    def _removal(self, adapter: str) -> Entry | None:
        with suppress(NotFoundError):
            if self._adapter(adapter).refs().find(PRODUCTION) is None:
                moves = (entry for entry in self.history(adapter) if PRODUCTION in entry.moves)
                return next(moves, None)
        return None

    def _latest(self, adapter: str) -> Entry | None:
        with suppress(NotFoundError):
            return next(self.history(adapter), None)
        return None

    def _contradicted(self, adapter: str) -> str | None:
        with suppress(NotFoundError):
            head, expected = self._adapter(adapter).manifest(HEAD), self.config.of_adapter(adapter)
            if head.tasks and head.method != expected.method:
                return (
                    f"adapter {adapter!r} is learnt by {head.method!r} (version {head.number}), "
                    f"and the configuration says {expected.method!r}: tasks for it are refused "
                    f"until that says `adapters: {{{adapter}: {{method: {head.method}}}}}`; "
                    "another adapter may have another method"
                )
        return None
