"""Calls that move aliases, or grow one: promote, roll back, name a version, drop, relearn."""

from cluster.client.remote.call import Call, asking, change
from cluster.client.remote.part import CallPart
from cluster.wire.versions import DroppedTask, Moved, RelearntAdapter


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
        with_head: bool = False,
        why: str = "",
    ) -> Call[Moved]:
        """Move `alias` to a version, so that replicas serve it, and return what has moved.

        Args:
            version: Its number, or an alias.
            adapter: Which adapter.
            alias: Any alias but `head`.
            with_head: Move `head` in the same instant, so that the next task builds on it.
            why: The reason.

        Raises:
            NotFoundError: no such version.
            InputError: `alias` is `head`, or a task of the version was purged.
            SettingsError: `head` is to be moved, and tasks of the adapter are learnt by another
                method than the version was.
        """
        path = self._of(adapter, "promote")
        return change(Moved, path, version=version, alias=alias, with_head=with_head, why=why)

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

    def relearn(
        self,
        encoder: str,
        *,
        adapter: str | None = None,
        alias: str | None = None,
        partial: bool = False,
        dry_run: bool = False,
    ) -> Call[RelearntAdapter]:
        """Submit all tasks of an adapter to a branch of it, which is learnt under another encoder.

        The images are those that are stored, and nothing that is served changes. Asked again, it
        adds what `head` has and the branch has not.

        Args:
            encoder: `tiny`, `tiny-vit`, or a name under `encoders:` in the system's configuration.
            adapter: Which adapter.
            alias: The alias of the branch; what the encoder is called where None.
            partial: Leave out the tasks that cannot be learnt anew.
            dry_run: Submit nothing; say what it would take.

        Raises:
            NotFoundError: nothing is published of the adapter.
            InputError: no such encoder, or images of a task are not stored any more.
            SettingsError: `head` is learnt under that encoder already, the alias is at a version of
                another one, or the method cannot learn on it.
        """
        return change(
            RelearntAdapter,
            self._of(adapter, "relearn"),
            encoder=encoder,
            alias=alias,
            partial=partial,
            dry_run=dry_run,
        )
