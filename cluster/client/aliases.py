"""The client's verbs that move aliases: promote, roll back, name a version, drop a task."""

from adapters.errors import SettingsError
from cluster.client.part import ClientPart
from cluster.client.relearning import Dropped, dropped_and_relearnt
from cluster.client.requester import By
from workers import registry
from workers.registry import Manifest, RegisteredAdapter
from workers.registry.documents.layout import HEAD


class AliasVerbs(ClientPart):
    """Moves the aliases of adapters; nothing is deleted.

    `adapter` is the configured one where it is None; `by` and `why` are who does it and the reason,
    as the history keeps them. Each call takes effect in one instant or not at all.
    """

    def rollback(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        serving_only: bool = False,
        by: By = None,
        why: str = "",
    ) -> int:
        """Serve an earlier version again, build the next task on it, and return its number.

        Args:
            version: Its number, or an alias.
            adapter: Which adapter.
            serving_only: Leave `head` alone, so that the next task still builds on it.
            by: Who rolls back.
            why: The reason.

        Raises:
            NotFoundError: no such version.
            InputError: a task of the version was purged.
            SettingsError: tasks of the adapter are learnt by another method than the version was,
                so that none could be learnt on it.
        """
        handle = self._adapter(adapter)
        with self._changing("rollback", handle.name, target=version, by=by, why=why) as author:
            if not serving_only:
                self._check_learnt_alike(handle, handle.manifest(version))
            return handle.rollback(version, by=author, serving_only=serving_only)

    def promote(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        alias: str = "production",
        with_head: bool = False,
        by: By = None,
        why: str = "",
    ) -> int:
        """Move `alias` to a version, so that replicas serve it, and return its number.

        Args:
            version: Its number, or an alias.
            adapter: Which adapter.
            alias: Any alias but `head`.
            with_head: Move `head` in the same instant, so that the next task builds on it: that is
                how an adapter goes over to a branch.
            by: Who promotes.
            why: The reason.

        Raises:
            NotFoundError: no such version.
            InputError: `alias` is `head`, or a task of the version was purged.
            SettingsError: `head` is to be moved, and tasks of the adapter are learnt by another
                method than the version was.
        """
        handle = self._adapter(adapter)
        with self._changing(
            "promote", handle.name, target=f"{alias}: {version}", by=by, why=why
        ) as author:
            if with_head:
                self._check_learnt_alike(handle, handle.manifest(version))
            return handle.promote(version, by=author, alias=alias, with_head=with_head)

    def alias(
        self,
        alias: str,
        version: int | str,
        *,
        adapter: str | None = None,
        by: By = None,
        why: str = "",
    ) -> int:
        """Set an alias of the user's own, and return the version's number.

        Raises:
            NotFoundError: no such version.
        """
        handle = self._adapter(adapter)
        with self._changing(
            "alias", handle.name, target=f"{alias}: {version}", by=by, why=why
        ) as author:
            return handle.alias(alias, version, by=author)

    def remove_alias(
        self, alias: str, *, adapter: str | None = None, by: By = None, why: str = ""
    ) -> int:
        """Remove an alias, and return the number of the version that it pointed to.

        Raises:
            NotFoundError: there is no such alias.
        """
        handle = self._adapter(adapter)
        with self._changing(
            "alias", handle.name, target=f"{alias}: removed", by=by, why=why
        ) as author:
            pointed = handle.refs().version(alias)
            handle.remove_alias(alias, by=author)
        return pointed.number

    def drop(
        self,
        task: str,
        *,
        adapter: str | None = None,
        promoted: bool = False,
        relearn: bool = False,
        by: By = None,
        why: str = "",
    ) -> Dropped:
        """Publish a version of `head` without `task`; `promoted` serves it at once.

        Where later tasks were learnt on a state that has learnt from `task`, they are left out with
        it and submitted again, if `relearn` says so. Broken off, it may be asked for again.

        Raises:
            NotFoundError: `head` has no such task.
            InputError: later tasks share a state that has learnt from it, and `relearn` does not
                say that they are to be learnt again, or the images of one are not stored any more.
        """
        handle = self._adapter(adapter)
        with self._changing("drop", handle.name, target=task, by=by, why=why) as author:
            if relearn:
                return dropped_and_relearnt(handle, task, by=author, promoted=promoted)
            return Dropped(manifest=registry.drop(handle, task, by=author, promoted=promoted))

    def _check_learnt_alike(self, adapter: RegisteredAdapter, manifest: Manifest) -> None:
        """Raise SettingsError where no task of an adapter could be learnt on a version."""
        expected = self.config.of_adapter(adapter.name).method
        head = adapter.refs().find(HEAD)
        built_on = adapter.objects.manifest(head.manifest) if head else None
        known = {expected, built_on.method} if built_on and built_on.tasks else {expected}
        if manifest.tasks and manifest.method not in known:
            raise SettingsError(
                f"version {manifest.number} of {adapter.name!r} was learnt with "
                f"{manifest.method!r}, and its tasks are learnt with {expected!r}: no task could "
                "be learnt on it; serve it alone (`--serving-only`), or say "
                f"`adapters: {{{adapter.name}: {{method: {manifest.method}}}}}` in the "
                "configuration first",
                adapter=adapter.name,
                version=manifest.number,
                expected=expected,
                found=manifest.method,
            )
