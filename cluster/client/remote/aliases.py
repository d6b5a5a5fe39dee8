"""Calls that move aliases: promote, roll back, name a version, drop a task."""

from cluster.client.remote.call import Call, asking, change
from cluster.client.remote.part import CallPart
from cluster.wire.versions import DroppedTask, Moved


class AliasCalls(CallPart):
    """Moves the aliases of adapters; nothing is deleted.

    `adapter` is the configured one where it is None; `why` is the reason, as the history keeps it,
    beside whose token was sent. Each call takes effect in one instant or not at all.
    """

    def rollback(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        serving_only: bool = False,
        why: str = "",
    ) -> Call[Moved]:
        """Serve an earlier version again, build the next task on it, and return what has moved.

        Args:
            version: Its number, or an alias.
            adapter: Which adapter.
            serving_only: Leave `head` alone, so that the next task still builds on it.
            why: The reason.

        Raises:
            NotFoundError: no such version.
            InputError: a task of the version was purged.
            SettingsError: tasks of the adapter are learnt by another method than the version was.
        """
        path = self._of(adapter, "rollback")
        return change(Moved, path, version=version, serving_only=serving_only, why=why)

    def promote(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        alias: str = "production",
        why: str = "",
    ) -> Call[Moved]:
        """Move `alias` to a version, so that replicas serve it, and return what has moved.

        Raises:
            NotFoundError: no such version.
            InputError: `alias` is `head`, or a task of the version was purged.
        """
        path = self._of(adapter, "promote")
        return change(Moved, path, version=version, alias=alias, why=why)

    def alias(
        self, alias: str, version: int | str, *, adapter: str | None = None, why: str = ""
    ) -> Call[Moved]:
        """Set an alias of the user's own, and return what has moved.

        Raises:
            NotFoundError: no such version.
        """
        path = self._of(adapter, "aliases", alias)
        return change(Moved, path, verb="PUT", version=version, why=why)

    def remove_alias(self, alias: str, *, adapter: str | None = None, why: str = "") -> Call[Moved]:
        """Remove an alias, and return which version it pointed to.

        Raises:
            NotFoundError: there is no such alias.
        """
        return Call(
            kind=Moved,
            verb="DELETE",
            path=self._of(adapter, "aliases", alias),
            arguments=asking({"why": why or None}),
            changes=True,
        )

    def drop(
        self,
        task: str,
        *,
        adapter: str | None = None,
        promoted: bool = False,
        relearn: bool = False,
        why: str = "",
    ) -> Call[DroppedTask]:
        """Publish a version of `head` without `task`; `promoted` serves it at once.

        Raises:
            NotFoundError: `head` has no such task.
            InputError: later tasks share a state that has learnt from it, and `relearn` does not
                say that they are to be learnt again, or the images of one are not stored any more.
        """
        path = self._of(adapter, "drop")
        return change(DroppedTask, path, task=task, promote=promoted, relearn=relearn, why=why)
