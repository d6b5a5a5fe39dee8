"""Calls for the maintenance of a store: export, import, verify, purge, gc."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from cluster.client.remote.archives import ReceivedFile, sent_archive
from cluster.client.remote.call import Call, in_lines
from cluster.client.remote.part import CallPart
from cluster.client.remote.submissions import UPLOAD_S
from cluster.wire.outputs.maintenance import (
    CheckedAdapter,
    CollectedGarbage,
    PurgedTask,
    SettledChange,
)
from cluster.wire.outputs.versions import ExportedVersion, ImportedVersion
from workers.progress_callbacks import ProgressCallback, unwatched

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class MaintenanceCalls(CallPart):
    """Carries, checks and removes what is stored; `adapter` is the configured one where None.

    Each takes as long as it needs, and tells how far it is.
    """

    def export(
        self,
        version: int | str,
        path: Path | str,
        *,
        adapter: str | None = None,
        on_progress: ProgressCallback = unwatched,
    ) -> Call[ExportedVersion]:
        """Write a version to the new file `path`, and return what was written.

        Args:
            version: Its number, or an alias.
            path: The file.
            adapter: Which adapter.
            on_progress: Called with mebibytes received and mebibytes in all.

        Raises:
            NotFoundError: no such version.
            InputError: the file exists.
        """
        file = ReceivedFile(Path(path), on_progress)
        return Call(
            kind=ExportedVersion,
            verb="GET",
            path=self._of(adapter, "versions", str(version), "export"),
            opened=file.opened,
            reads=file.reading,
            timeout_s=UPLOAD_S,
        )

    def import_(
        self,
        path: Path | str,
        *,
        adapter: str | None = None,
        aliases: tuple[str, ...] = ("head",),
        purged: bool = False,
        why: str = "",
        on_progress: ProgressCallback = unwatched,
    ) -> Call[ImportedVersion]:
        """Publish the version in the file `path`, in an adapter that is made where it is missing.

        Where the adapter has it already, nothing is published: those of `aliases` that do not exist
        point to it then, and the others stay where they are.

        Args:
            path: The file.
            adapter: Which adapter.
            aliases: They point to the version.
            purged: Whether the version may bring back what was purged of the store.
            why: The reason.
            on_progress: Called with mebibytes sent and mebibytes in all.

        Raises:
            NotFoundError: there is no such file.
            InputError: it is no exported version, it holds what was purged, or the adapter has
                other versions and `head` is in `aliases`.
            SettingsError: it is of another method than the tasks of the adapter.
            DamagedFileError: the file is damaged.
        """
        fields = {"alias": list(aliases), "purged": str(purged).lower(), "why": why}
        call = in_lines(
            ImportedVersion,
            self._of(adapter, "import"),
            opened=partial(sent_archive, Path(path), fields, on_progress),
            timeout_s=UPLOAD_S,
        )
        # The service knows the file by its name alone.
        return replace(call, becomes=lambda found: found.model_copy(update={"file": str(path)}))

    def verify(
        self, adapter: str | None = None, *, on_progress: ProgressCallback = unwatched
    ) -> Call[CheckedAdapter]:
        """Have every byte read and checked that any alias or earlier version leads to.

        What the queue was told to be published and the history does not know is a problem, too.
        """
        path = self._of(adapter, "verify")
        return in_lines(CheckedAdapter, path, on_progress=on_progress, changes=False)

    def settle(self, adapter: str | None = None, *, why: str = "") -> Call[list[SettledChange]]:
        """Settle what the store has lost of acknowledged changes, so that publishing goes on.

        Lost versions are published again from their stored records, without learning.

        Args:
            adapter: The adapter; the configured one where None.
            why: What was wrong with the store, and why it is not any more.

        Raises:
            NotFoundError: there is no such adapter.
            InputError: no reason is given.
            MissingError: a lost record is not to be found.
        """
        return in_lines(list[SettledChange], self._of(adapter, "settle"), body={"why": why})

    def purge(
        self, task: str, *, adapter: str | None = None, relearn: bool = False, why: str = ""
    ) -> Call[PurgedTask]:
        """Remove `task` for good: its records, and the images and features that only it has.

        With it goes every shared state that has learnt from it. The same images must not be
        submitted meanwhile: shards are shared by their digest.

        Args:
            task: The task's name.
            adapter: Which adapter.
            relearn: Submit those tasks again that no version can answer for any more.
            why: The reason.

        Raises:
            InputError: an alias still points to a version that holds the task, or whose shared
                state has learnt from it; or a task cannot be learnt again.
            ConflictError: a training is under way.
            NotFoundError: no version has ever held it.
            CorruptionError: a submission is damaged, so that nobody can say what it shares.
        """
        body = {"task": task, "relearn": relearn, "why": why}
        return in_lines(PurgedTask, self._of(adapter, "purge"), body=body)

    def gc(
        self,
        adapter: str | None = None,
        *,
        grace_s: float = DAY_S,
        dry_run: bool = True,
        blobs: bool = False,
        on_progress: ProgressCallback = unwatched,
    ) -> Call[CollectedGarbage]:
        """Find, and unless it is a dry run remove, what nothing leads to; return what was found.

        Args:
            adapter: Which adapter.
            grace_s: Younger objects stay, in seconds; of blobs never less than a day.
            dry_run: Only look.
            blobs: Also shards, features and handovers of the whole store that nothing names.
                Nothing may be submitted meanwhile: shards go up before the submission that names
                them.
            on_progress: Called with objects removed so far, and objects to remove.

        Raises:
            ConflictError: the history has lost what may be published again: settle that first.
        """
        return in_lines(
            CollectedGarbage,
            self._of(adapter, "gc"),
            body={"delete": not dry_run, "grace_h": grace_s / HOUR_S, "blobs": blobs},
            on_progress=on_progress,
            changes=not dry_run,
        )
