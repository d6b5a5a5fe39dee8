"""Administration of one adapter's versions: show, promote, alias, drop, export, verify, collect.

Everything works on the object store alone, so no cluster needs to be running.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from adapters.errors import ConflictError, NotFoundError
from cluster.client.client import Version, user
from cluster.client.distant_replicas import DistantReplicas
from cluster.client.joined import configured
from cluster.config import Config
from cluster.stores.open import open_store
from workers import registry
from workers.housekeeping.leftovers import NEEDED, every_submission, traces
from workers.progress_callbacks import ProgressCallback, unwatched
from workers.queue.progress import read_state
from workers.queue.ticket import ENDED, LEARNING
from workers.registry.reach import published_versions

DAY_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Where a task is to be found.

    Attributes:
        versions: The versions that hold it.
        submissions: The submissions it was learnt from.
    """

    versions: tuple[int, ...]
    submissions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One version, with what was purged of it.

    Attributes:
        version: The version, its aliases and its accuracies.
        purged: Its tasks whose records are gone for good.
    """

    version: Version
    purged: tuple[str, ...]


class Administration:
    """Looks after one adapter.

    Args:
        config: Where the object store is; looked for as `load_config` says where None.
        adapter: Which adapter; the configured one where None.
        audience: Is told when `production` moves; the API's replicas where None.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        adapter: str | None = None,
        audience: registry.Audience | None = None,
    ) -> None:
        config = config or configured()
        self._store = open_store(config.store)
        self._registry = registry.Registry(
            self._store, audience=audience or DistantReplicas(config)
        )
        self._adapter = self._registry.adapter(adapter or config.adapter)

    @property
    def name(self) -> str:
        """The adapter's name."""
        return self._adapter.name

    def refs(self) -> registry.Refs:
        """Return the aliases of the adapter, and what else of it can change.

        Raises:
            NotFoundError: There is no such adapter.
        """
        return self._adapter.refs()

    def history(self) -> Iterator[registry.Entry]:
        """Yield every move of the adapter's aliases, the latest first."""
        return self._adapter.history()

    def show(self, version: int | str) -> Shown:
        """Return everything about one version, given by alias or number."""
        refs = self._adapter.refs()
        number = self._adapter.version_in(refs, version).number
        pointing = (name for name, ref in refs.aliases.items() if ref.number == number)
        stones = self._adapter.tombstones(refs)
        shown = Version(
            manifest=self._adapter.manifest(number),
            digest=self._adapter.version_in(refs, version).manifest.sha256,
            aliases=tuple(sorted(pointing)),
            accuracies=self._adapter.accuracies(number),
        )
        return Shown(
            version=shown, purged=tuple(stone.task for stone in stones if number in stone.versions)
        )

    def diff(self, before: int | str, after: int | str) -> registry.Difference:
        """Return what changed from one version to another."""
        return registry.diff(self._adapter, before, after)

    def promote(self, version: int | str, *, alias: str = "production", why: str = "") -> int:
        """Move `alias` to a version, so that replicas serve it, and return its number."""
        return self._adapter.promote(version, by=_by(why), alias=alias)

    def alias(self, alias: str, version: int | str, *, why: str = "") -> int:
        """Set an alias of the user's own, and return the version's number."""
        return self._adapter.alias(alias, version, by=_by(why))

    def remove_alias(self, alias: str, *, why: str = "") -> int:
        """Remove an alias, and return the number of the version that it pointed to.

        Raises:
            NotFoundError: There is no such alias.
        """
        pointed = self._adapter.refs().version(alias)
        self._adapter.remove_alias(alias, by=_by(why))
        return pointed.number

    def drop(self, task: str, *, promoted: bool = False, why: str = "") -> registry.Manifest:
        """Publish a version of `head` without `task`; `promoted` serves it at once."""
        return registry.drop(self._adapter, task, by=_by(why), promoted=promoted)

    def held(self, task: str) -> Held:
        """Return where `task` is.

        Raises:
            NotFoundError: No version has ever held it.
        """
        found = [
            (manifest.number, entry.submission)
            for manifest in published_versions(self._adapter, self._adapter.refs())
            for entry in manifest.tasks
            if entry.task == task
        ]
        if not found:
            raise NotFoundError(f"no version of {self.name!r} has ever held {task!r}", task=task)
        return Held(
            versions=tuple(sorted({number for number, _ in found})),
            submissions=tuple(sorted({submission for _, submission in found})),
        )

    def purge(self, task: str, *, why: str = "") -> registry.Purged:
        """Remove `task` for good: its records, and the images and features that only it has.

        The same images must not be submitted meanwhile: shards are shared by their digest.

        Raises:
            InputError: An alias still points to a version that holds the task.
            ConflictError: A training is under way.
            NotFoundError: No version has ever held it.
            CorruptionError: A submission is damaged, so that nobody can say what it shares.
        """
        self._check_idle(self.held(task).submissions)
        purged = registry.purge(self._adapter, task, by=_by(why))
        removed = traces(self._store, purged.submissions, purged=self._purged_submissions())
        for key in removed:
            self._store.delete(key)
        return replace(purged, keys=(*purged.keys, *removed))

    def export(
        self, version: int | str, path: Path, *, on_progress: ProgressCallback = unwatched
    ) -> registry.Manifest:
        """Write a version to the new file `path`, and return its manifest."""
        return registry.export_version(self._adapter, version, path, progress=on_progress)

    def take_in(
        self, path: Path, *, aliases: tuple[str, ...] = ("head",), why: str = ""
    ) -> registry.Manifest:
        """Publish the version in the file `path`, in an adapter that is made where it is missing.

        Raises:
            InputError: It is no such file, or the adapter has versions and `head` is in `aliases`.
            CorruptionError: The file is damaged.
        """
        adapter = self._registry.create(self.name)
        return registry.import_version(adapter, path, by=_by(why), aliases=aliases)

    def verify(self, *, on_progress: ProgressCallback = unwatched) -> registry.Verification:
        """Read and check every byte that any alias or earlier version leads to."""
        return registry.verify(self._store, self.name, progress=on_progress)

    def collect(
        self,
        *,
        grace_s: float = DAY_S,
        dry_run: bool = True,
        on_progress: ProgressCallback = unwatched,
    ) -> registry.Garbage:
        """Find, and unless it is a dry run remove, what no version of the adapter leads to."""
        return registry.collect(
            self._adapter, now=time.time(), grace_s=grace_s, dry_run=dry_run, progress=on_progress
        )

    def collect_blobs(
        self,
        *,
        grace_s: float = DAY_S,
        dry_run: bool = True,
        on_progress: ProgressCallback = unwatched,
    ) -> dict[str, registry.Garbage]:
        """Find or remove shards, features and handovers that nothing in the store names.

        Nothing may be submitted meanwhile: shards go up before the submission that names them.

        Args:
            grace_s: Younger objects stay, in seconds; never less than a day.
            dry_run: Only look.
            on_progress: Called with objects removed so far, and objects to remove.

        Returns:
            What was found, by the prefix of its keys.
        """
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

    def _check_idle(self, forgotten: tuple[str, ...]) -> None:
        """Raise ConflictError while a training may use what is about to be removed."""
        for submission in every_submission(self._store):
            stage = read_state(self._store, submission).ticket.stage
            unfinished = submission.submission_id in forgotten and stage not in ENDED
            if unfinished or (submission.adapter == self.name and stage in LEARNING):
                raise ConflictError(
                    f"submission {submission.submission_id} is {stage.value}: let it end, with "
                    "`nacre up` where nothing is running, then purge again",
                    submission=submission.submission_id,
                )

    def _purged_submissions(self) -> set[str]:
        adapters = [self._registry.adapter(name) for name in self._registry.adapters()]
        return {
            submission
            for adapter in adapters
            for stone in adapter.tombstones(adapter.refs())
            for submission in stone.submissions
        }


def _by(why: str) -> registry.Author:
    return registry.Author(who=user(), why=why, now=time.time())
