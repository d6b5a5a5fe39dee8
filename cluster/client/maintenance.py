"""The client's verbs for the maintenance of a store: export, import, verify, purge, gc."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from adapters.contract.nearest import did_you_mean
from adapters.errors import ConflictError, NotFoundError
from cluster.client.part import ClientPart
from cluster.client.relearning import check_others, others_relearnt
from cluster.client.requester import By
from workers import registry
from workers.housekeeping.leftovers import (
    NEEDED,
    every_submission,
    half_learnt,
    purged_submissions,
    traces,
)
from workers.housekeeping.settling import Settlement, lost_publications, settle
from workers.learning.handover import answers_key
from workers.progress_callbacks import ProgressCallback, unwatched
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.progress import read_state
from workers.queue.ticket import ENDED, LEARNING
from workers.registry import (
    Author,
    Damage,
    Garbage,
    Imported,
    Manifest,
    Purged,
    RegisteredAdapter,
    Verification,
)
from workers.registry.documents.layout import adapter_prefix, refs_key
from workers.registry.documents.purged import towers_of
from workers.registry.reach import published_versions
from workers.tasks.submission import Submission

DAY_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Where a task is to be found.

    Attributes:
        versions: The versions that hold it, and those whose shared state has learnt from it.
        submissions: The submissions it was learnt from.
    """

    versions: tuple[int, ...]
    submissions: tuple[str, ...]


def _forks(handle: RegisteredAdapter) -> Iterator[Damage]:
    for fork in handle.refs().forks:
        yield _damage(handle, str(fork), f"the store has lost an acknowledged change: {fork}")


def _lost(handle: RegisteredAdapter, lost: Mapping[str, int]) -> Iterator[Damage]:
    for submission, version in lost.items():
        message = f"{submission} was published as version {version}, which the history has lost"
        yield _damage(handle, submission, message)


def _damage(handle: RegisteredAdapter, used_by: str, message: str) -> Damage:
    advice = f"look at the store, then `nacre settle --adapter {handle.name} --why REASON`"
    return Damage(key=refs_key(handle.name), used_by=used_by, message=f"{message}; {advice}")


class MaintenanceVerbs(ClientPart):
    """Carries, checks and removes what is stored; `adapter` is the configured one where None."""

    def export(
        self,
        version: int | str,
        path: Path | str,
        *,
        adapter: str | None = None,
        on_progress: ProgressCallback = unwatched,
    ) -> Manifest:
        """Write a version to the new file `path`, and return its manifest.

        Raises:
            NotFoundError: no such version.
            InputError: the file exists.
        """
        handle = self._adapter(adapter)
        return registry.export_version(handle, version, Path(path), progress=on_progress)

    def import_(
        self,
        path: Path | str,
        *,
        adapter: str | None = None,
        aliases: tuple[str, ...] = ("head",),
        purged: bool = False,
        by: By = None,
        why: str = "",
    ) -> Imported:
        """Publish the version in the file `path`, in an adapter that is made where it is missing.

        Where the adapter has it already, nothing is published: those of `aliases` that do not exist
        point to it then, and the others stay where they are.

        Args:
            path: The file.
            adapter: Which adapter.
            aliases: They point to the version.
            purged: Whether the version may bring back what was purged of this store.
            by: Who imports it.
            why: The reason.

        Raises:
            NotFoundError: there is no such file.
            InputError: it is no exported version, it holds what was purged, or the adapter has
                other versions and `head` is in `aliases`.
            SettingsError: it is of another method than the tasks of the adapter.
            DamagedFileError: the file is damaged.
        """
        handle = self._adapter(adapter)
        name = Path(path).name
        with self._changing("import", handle.name, target=name, by=by, why=why) as author:
            if purged:  # only who may purge may undo it
                self._requester(by).check("purge", handle.name)
            return registry.import_version(
                handle,
                Path(path),
                by=author,
                aliases=aliases,
                method=self.config.of_adapter(handle.name).method,
                create=partial(self._registry.create, handle.name),
                purged=purged,
            )

    def verify(
        self, adapter: str | None = None, *, on_progress: ProgressCallback = unwatched
    ) -> Verification:
        """Read and check every byte that any alias or earlier version leads to.

        What the queue was told to be published and the history does not know is a problem, too.
        """
        handle = self._adapter(adapter)
        found = registry.verify(self._store, handle.name, progress=on_progress)
        if not found.clean or handle.refs().forks:
            return replace(found, problems=(*found.problems, *_forks(handle)))
        lost = lost_publications(self._store, handle)
        return replace(found, problems=tuple(_lost(handle, lost)))

    def settle(
        self, adapter: str | None = None, *, by: By = None, why: str = ""
    ) -> tuple[Settlement, ...]:
        """Settle what the store has lost of acknowledged changes, so that publishing goes on.

        Lost versions are published again from their stored records, without learning.

        Args:
            adapter: The adapter; the configured one where None.
            by: Who has looked at the store.
            why: What was wrong with it, and why it is not any more.

        Raises:
            NotFoundError: there is no such adapter.
            InputError: no reason is given.
            MissingError: a lost record is not to be found.
        """
        handle = self._adapter(adapter)
        with self._changing("settle", handle.name, by=by, why=why) as author:
            return settle(handle, by=author, lost=lost_publications(self._store, handle))

    def held(self, task: str, *, adapter: str | None = None) -> Held:
        """Return where `task` is.

        Raises:
            NotFoundError: no version has ever held it.
        """
        found = self._holding(self._adapter(adapter), task)
        return Held(versions=found.versions, submissions=found.submissions)

    def _holding(self, handle: RegisteredAdapter, task: str) -> registry.Holding:
        refs = handle.refs()
        found = registry.holding_of(handle, refs, task)
        if not found.versions:
            published = published_versions(handle, refs)
            near = did_you_mean(
                task, (each.task for version in published for each in version.tasks)
            )
            raise NotFoundError(
                f"no version of {handle.name!r} has ever held {task!r}{near}", task=task
            )
        return found

    def purge(
        self,
        task: str,
        *,
        adapter: str | None = None,
        relearn: bool = False,
        by: By = None,
        why: str = "",
    ) -> Purged:
        """Remove `task` for good: its records, and the images and features that only it has.

        With it goes every shared state that has learnt from it. The same images must not be
        submitted meanwhile: shards are shared by their digest.

        Args:
            task: The task's name.
            adapter: Which adapter.
            relearn: Submit those tasks again that no version can answer for any more.
            by: Who purges it.
            why: The reason.

        Raises:
            InputError: an alias still points to a version that holds the task, or whose shared
                state has learnt from it; or a task cannot be learnt again.
            ConflictError: a training is under way.
            NotFoundError: no version has ever held it.
            CorruptionError: a submission is damaged, so that nobody can say what it shares.
        """
        handle = self._adapter(adapter)
        with self._changing("purge", handle.name, target=task, by=by, why=why) as author:
            return self._purged(handle, task, author, relearn=relearn)

    def _purged(
        self, handle: RegisteredAdapter, task: str, author: Author, *, relearn: bool
    ) -> Purged:
        from workers.housekeeping.purged_towers import purged_towers  # needs torch

        holding = self._holding(handle, task)
        submissions = every_submission(self._store)
        own = _submitted_as(submissions, handle.name, task, holding.submissions)
        self._check_idle(submissions, handle.name, own)
        if relearn:
            check_others(handle, holding)
        made = purged_towers(handle, holding)
        purged = registry.purge(handle, task, by=author, submissions=own, towers=made)
        # Those of a purge that was interrupted, too, whose states are gone.
        towers = towers_of(task, handle.tombstones(handle.refs()))
        self._store.delete(answers_key(handle.name))
        removed = [
            *(half_learnt(self._store, handle.name, purged.versions) if holding.states else ()),
            *traces(self._store, own, purged=purged_submissions(self._registry), towers=towers),
        ]
        for key in removed:
            self._store.delete(key)
        again = others_relearnt(handle, holding, by=author) if relearn else ()
        return replace(purged, keys=(*purged.keys, *removed), relearnt=again)

    def gc(
        self,
        adapter: str | None = None,
        *,
        grace_s: float = DAY_S,
        dry_run: bool = True,
        blobs: bool = False,
        by: By = None,
        on_progress: ProgressCallback = unwatched,
    ) -> dict[str, Garbage]:
        """Find, and unless it is a dry run remove, what nothing leads to.

        Args:
            adapter: Which adapter.
            grace_s: Younger objects stay, in seconds; of blobs never less than a day.
            dry_run: Only look.
            blobs: Also shards, features and handovers of the whole store that nothing names, for
                whoever may do this to all adapters. Nothing may be submitted meanwhile: shards go
                up before the submission that names them.
            by: Who removes it.
            on_progress: Called with objects removed so far, and objects to remove.

        Returns:
            What was found, by the prefix of its keys.

        Raises:
            ConflictError: the history has lost what may be published again: settle that first.
        """
        handle = self._adapter(adapter)
        of = EVERY_ADAPTER if blobs else handle.name
        looks = dry_run and self._requester(by).grants.permits("gc", of)
        with nullcontext() if looks else self._changing("gc", of, by=by):
            if not dry_run:
                self._check_nothing_lost(handle)
            collect = partial(
                registry.collect, now=time.time(), dry_run=dry_run, progress=on_progress
            )
            found = {adapter_prefix(handle.name): collect(handle, grace_s=grace_s)}
            if not blobs:
                return found
            return found | self._collect_blobs(
                grace_s=grace_s, dry_run=dry_run, on_progress=on_progress
            )

    def _check_nothing_lost(self, handle: RegisteredAdapter) -> None:
        """Raise ConflictError while there is something that `settle` could publish again."""
        lost = lost_publications(self._store, handle)
        if lost:
            raise ConflictError(
                f"the history of adapter {handle.name!r} has lost {', '.join(sorted(lost))}; what "
                "they had published is collected only after `nacre settle --adapter "
                f"{handle.name} --why REASON` has looked for it, and they were submitted again "
                "where it says so",
                adapter=handle.name,
            )

    def _collect_blobs(
        self, *, grace_s: float, dry_run: bool, on_progress: ProgressCallback
    ) -> dict[str, Garbage]:
        return {
            prefix: registry.collect_blobs(
                self._store,
                prefix,
                needed=partial(needed, self._store),
                now=time.time(),
                grace_s=max(grace_s, DAY_S),
                dry_run=dry_run,
                progress=on_progress,
            )
            for prefix, needed in NEEDED.items()
        }

    def _check_idle(
        self, submissions: Iterable[Submission], adapter: str, forgotten: tuple[str, ...]
    ) -> None:
        """Raise ConflictError while a training may use what is about to be removed."""
        for submission in submissions:
            stage = read_state(self._store, submission).ticket.stage
            unfinished = submission.submission_id in forgotten and stage not in ENDED
            if unfinished or (submission.adapter == adapter and stage in LEARNING):
                raise ConflictError(
                    f"submission {submission.submission_id} is {stage.value}: let it end, for "
                    "which the system must run, or take it back with `nacre cancel "
                    f"{submission.submission_id}`, then purge again",
                    submission=submission.submission_id,
                )


def _submitted_as(
    submissions: Iterable[Submission], adapter: str, task: str, published: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the submissions to `adapter` that have the images of `task`.

    Those are the published ones and all others of its name, which hold the same images: what has
    failed or was cancelled, and what is learnt again. The images of others, whose versions were
    imported, belong to where they were learnt.
    """
    return tuple(
        each.submission_id
        for each in submissions
        if each.adapter == adapter and (each.task == task or each.submission_id in published)
    )
