"""Garbage in the store beside the registry: shards, features and handovers that nothing needs.

Which of it is needed, and which belongs to nothing but submissions that are to be forgotten.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from adapters.errors import CorruptionError, MissingError, NotFoundError
from workers.concurrency.bounded import in_threads
from workers.concurrency.threads import SYSTEM_THREADS
from workers.encoding.blocks import BLOBS, FEATURES
from workers.learning import handover as work
from workers.logs import work_log
from workers.queue.ledger import read_pages
from workers.queue.progress import known_ticket
from workers.queue.ticket import CLEARED, ENDED
from workers.registry import Registry
from workers.registry.documents.layout import HEAD
from workers.registry.documents.purged import purged_ids
from workers.registry.reader import AdapterReader
from workers.store import absent
from workers.store.base import Object, ObjectStore
from workers.store.blobs import BlobRef, blob_key
from workers.tasks.submission import (
    SHARDS,
    Shard,
    Submission,
    existing_submission,
    find_submission,
    read_submission,
    submission_ids,
)

THREADS = 16
"""Objects read at once."""


def every_submission(store: ObjectStore) -> list[Submission]:
    """Return all submissions in `store`: those that it lists, and those that anything names.

    Listings of stores have lacked objects.

    Raises:
        MissingError: One is listed or open, and not to be found, so that nobody can say what it
            needs.
        CorruptionError: One is damaged, so that nobody can say what it needs.
    """
    named = _Named.of(store)
    expected = SYSTEM_THREADS.map(
        lambda name: existing_submission(
            store, name, because=absent.LISTED if name in named.listed else ON_PAGE
        ),
        named.listed | named.open_ones,
        most=THREADS,
    )
    return [*expected, *_found(store, named.others)]


ON_PAGE = "a page of the queue names it"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Named:
    """The ids of submissions, by what names them.

    Attributes:
        listed: What the store lists.
        open_ones: What the queue has not ended; each must be there.
        others: What else the queue or a head names; it may have been removed.
    """

    listed: set[str]
    open_ones: set[str]
    others: set[str]

    @classmethod
    def of(cls, store: ObjectStore) -> Self:
        """Return the ids that anything in `store` names."""
        listed, on_page = set(submission_ids(store)), read_pages(store)
        open_ones = {each.submission_id for each in on_page if each.stage not in ENDED}
        others = {each.submission_id for each in on_page} | _published(store)
        return cls(listed=listed, open_ones=open_ones, others=others - listed - open_ones)


def _published(store: ObjectStore) -> set[str]:
    """Return the submissions of all tasks of all heads."""
    registry = Registry(store)
    found = set[str]()
    for name in registry.adapters():
        handle = registry.adapter(name)
        head = handle.refs().find(HEAD)
        if head is not None:
            found |= {task.submission for task in handle.objects.manifest(head.manifest).tasks}
    return found


def _found(store: ObjectStore, names: Iterable[str]) -> Iterator[Submission]:
    """Yield those that are there: of imported and purged tasks there is no submission."""
    for name in names:
        with suppress(NotFoundError):
            yield read_submission(store, name)


def needed_shards(store: ObjectStore) -> set[str]:
    """Return the keys of the shards of all submissions."""
    return {_shard_key(shard) for entry in every_submission(store) for shard in entry.shards}


def needed_features(store: ObjectStore) -> set[str]:
    """Return the keys of the feature blobs that anything names."""
    return set(_named_features(store).values())


def needed_blocks(store: ObjectStore) -> set[str]:
    """Return the keys of all below `FEATURES` but what names the blocks of unknown shards.

    These are of tasks that were inspected and not submitted, or not as they were.
    """
    known = {shard.digest for entry in every_submission(store) for shard in entry.shards}
    return {
        listed.key
        for listed in store.list(FEATURES)
        if listed.key.startswith(BLOBS) or PurePosixPath(listed.key).stem in known
    }


def needed_work(store: ObjectStore) -> set[str]:
    """Return the keys of what was handed over for submissions that may still be learnt."""
    handed_over: dict[str, set[str]] = {}
    for listed in store.list(work.PREFIX):
        name = listed.key.removeprefix(work.PREFIX).split("/")[0]
        handed_over.setdefault(name, set()).add(listed.key)
    named = _Named.of(store)
    return {
        key
        for name in handed_over.keys() & (named.listed | named.open_ones | named.others)
        if (ticket := known_ticket(store, name)) is None or ticket.stage not in CLEARED
        for key in handed_over[name]
    }


def needed_logs(store: ObjectStore) -> set[str]:
    """Return the keys of what workers wrote for submissions that anything names.

    Not of purged ones, whose images they may speak of.
    """
    named = _Named.of(store)
    known = named.listed | named.open_ones | named.others
    known -= purged_submissions(Registry(store))
    return {
        listed.key
        for listed in store.list(work_log.PREFIX)
        if listed.key.removeprefix(work_log.PREFIX).split("/")[0] in known
    }


def needed_answers(store: ObjectStore) -> set[str]:
    """Return the keys of the answers that the next version may be measured from."""
    return {work.answers_key(name) for name in Registry(store).adapters()}


NEEDED: Mapping[str, Callable[[ObjectStore], set[str]]] = {
    SHARDS: needed_shards,
    # Before the blobs, so that those go with what names them.
    FEATURES: needed_blocks,
    BLOBS: needed_features,
    work.PREFIX: needed_work,
    work.ANSWERS: needed_answers,
    work_log.PREFIX: needed_logs,
}
"""By prefix, what tells which blobs below it are needed."""


def purged_submissions(registry: Registry) -> set[str]:
    """Return the ids of the submissions whose images were purged, of all adapters.

    A task that was imported was submitted to another adapter or another store: purging it here
    takes no image away there.
    """
    return {
        submission
        for name in registry.adapters()
        for submission in purged_of(registry.adapter(name))
    }


def purged_of(adapter: AdapterReader) -> set[str]:
    """Return the ids of the submissions to an adapter whose images were purged."""
    try:
        stones = adapter.tombstones(adapter.refs())
    except NotFoundError:
        return set()
    found = (find_submission(adapter.objects.store, name) for name in purged_ids(stones))
    return {s.submission_id for s in found if s is not None and s.adapter == adapter.name}


def traces(
    store: ObjectStore,
    forgotten: Collection[str],
    *,
    purged: Collection[str],
    towers: Collection[str] = (),
) -> list[str]:
    """Return the keys that only the submissions called `forgotten` need, in order of removal.

    A blob comes before what names it: when a removal is interrupted, the rest is found again.

    Args:
        store: The object store.
        forgotten: Ids of submissions.
        purged: Ids of submissions that were forgotten before; they need nothing any more.
        towers: Fingerprints of towers that have learnt from them: what these made of any images
            goes, too.

    Raises:
        CorruptionError: A submission, or something that names a blob, is damaged.
    """
    submissions = every_submission(store)
    shards = _own_shards(submissions, forgotten, purged=purged)
    digests = {shard.digest for shard in shards}
    known = {shard.digest for entry in submissions for shard in entry.shards}
    # What workers wrote may quote what it was written about.
    folders = [
        folder
        for name in forgotten
        for folder in (f"{work.PREFIX}{name}/", work_log.folder_of(name))
    ]
    own_work = [listed.key for folder in folders for listed in store.list(folder)]
    blocks = _named_features(store)
    own_blocks = [
        pointer
        for pointer in blocks
        if (path := PurePosixPath(pointer)).stem in digests
        or path.parts[1] in towers
        # Of a task that was inspected: nobody can say whose images these are.
        or path.stem not in known
    ]
    return [
        *_own_blobs(blocks, own_blocks),
        *own_blocks,
        *own_work,
        *sorted({_shard_key(shard) for shard in shards}),
    ]


def half_learnt(store: ObjectStore, adapter: str, versions: Collection[int]) -> list[str]:
    """Return the keys of what was half learnt for `adapter` on versions that were purged.

    That is what stages have handed over on them, and all checkpoints, which do not say on which
    version they were made: they have learnt from what these versions shared.
    """
    ours = {each.submission_id for each in every_submission(store) if each.adapter == adapter}
    found = []
    for listed in store.list(work.PREFIX):
        name, _, what = listed.key.removeprefix(work.PREFIX).partition("/")
        parent = what.split("/")[0]
        if name in ours and (parent == "checkpoint" or parent in map(str, versions)):
            found.append(listed.key)
    return found


def _own_shards(
    submissions: Collection[Submission], forgotten: Collection[str], *, purged: Collection[str]
) -> set[Shard]:
    """Return the shards of `forgotten` that no other submission has: equal images share them."""
    own = {
        shard for entry in submissions if entry.submission_id in forgotten for shard in entry.shards
    }
    gone = {*forgotten, *purged}
    others = {
        shard.digest
        for entry in submissions
        if entry.submission_id not in gone
        for shard in entry.shards
    }
    return {shard for shard in own if shard.digest not in others}


def _own_blobs(named: Mapping[str, str], pointers: Collection[str]) -> list[str]:
    """Return the blobs that only `pointers` name."""
    chosen = frozenset(pointers)
    others = {blob for pointer, blob in named.items() if pointer not in chosen}
    return sorted({named[pointer] for pointer in chosen if pointer in named} - others)


def _named_features(store: ObjectStore) -> dict[str, str]:
    """Return the key of each feature blob by what names it."""
    pointers = _pointers(store, FEATURES, but=BLOBS)
    return {key: _blob(key, value, prefix=BLOBS) for key, value in _documents(store, pointers)}


def _pointers(store: ObjectStore, prefix: str, *, but: str) -> Iterator[str]:
    for listed in store.list(prefix):
        if listed.key.endswith(".json") and not listed.key.startswith(but):
            yield listed.key


def _documents(store: ObjectStore, keys: Iterable[str]) -> Iterator[tuple[str, dict[str, object]]]:
    read = in_threads(
        lambda key: (key, _listed(store, key)), keys, threads=THREADS, ahead=2 * THREADS
    )
    for key, found in read:
        if found is not None:
            yield key, _document(key, found.data)


def _listed(store: ObjectStore, key: str) -> Object | None:
    """Return an object that was listed; None where it was removed since: it names nothing then.

    Raises:
        MissingError: it is listed still, and not to be found: nobody can say what it names.
    """
    try:
        return store.get_existing(key, because=absent.LISTED)
    except MissingError:
        if absent.is_listed(store, key):
            raise
        return None


def _document(key: str, content: bytes) -> dict[str, object]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise CorruptionError(f"{key!r} is damaged: {error}", key=key) from error
    if not isinstance(value, dict):
        raise CorruptionError(f"{key!r} is damaged: expected an object, found {value!r}", key=key)
    return value


def _blob(key: str, value: object, *, prefix: str) -> str:
    """Return the key of the blob that `value`, a digest and a size, names."""
    match value:
        case {"sha256": str(sha256), "size": int(size)}:
            return blob_key(BlobRef(sha256=sha256, size=size), prefix)
    raise CorruptionError(f"{key!r} is damaged: it names no blob but {value!r}", key=key)


def _shard_key(shard: Shard) -> str:
    return blob_key(BlobRef(sha256=shard.digest, size=shard.size), SHARDS)
