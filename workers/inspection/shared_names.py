"""Names that other tasks have too, with pictures of both sides."""

from collections.abc import Iterator, Mapping, Sequence

from adapters.contract.class_entry import ClassEntry
from adapters.errors import CorruptionError, NotFoundError
from workers.encoding.task_features import task_of
from workers.inspection.findings import Listed, SharedClass, named
from workers.intake.naming import SharedName
from workers.intake.reading import Sample
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, get_blob
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Shard, Submission

PICTURES = 3
"""So many of each side are shown."""


def shared_classes(
    shared: Sequence[SharedName],
    samples: Sequence[Sample],
    submissions: Sequence[Submission],
    store: ObjectStore,
    keys: Sequence[str],
    *,
    most: int,
) -> tuple[Listed[SharedClass], Mapping[str, bytes]]:
    """Return the classes whose names other tasks have, and image files of these by digest.

    Args:
        shared: The names.
        samples: The images of the task.
        submissions: Of the adapter's tasks.
        store: Has their shards.
        keys: The keys of the task's classes.
        most: So many are shown.
    """
    by_task = {submission.task: submission for submission in submissions}
    pairs = [(name, entry) for name in shared for entry in name.existing]
    shown, files = [], dict[str, bytes]()
    for name, entry in pairs[:most]:
        task = task_of(entry)
        theirs = _pictures(store, by_task.get(task), entry)
        files |= theirs
        shown.append(
            SharedClass(
                key=name.key,
                name=name.name,
                task=task,
                class_id=entry.class_id,
                own=tuple(named(each, keys) for each in _first_of(samples, keys.index(name.key))),
                theirs=tuple(theirs),
            )
        )
    return Listed.of(shown, count=len(pairs), most=most), files


def _first_of(samples: Sequence[Sample], label: int) -> Sequence[Sample]:
    return [each for each in samples if each.label == label][:PICTURES]


def _pictures(
    store: ObjectStore, submission: Submission | None, entry: ClassEntry
) -> dict[str, bytes]:
    """Return some image files of another task's class; none where they are kept no longer."""
    keys = [each.key for each in submission.classes] if submission else []
    key = entry.class_id.partition("/")[2]
    if submission is None or key not in keys:
        return {}
    label, found = keys.index(key), dict[str, bytes]()
    for shard in submission.shards:
        if label in shard.labels and len(found) < PICTURES:
            found |= dict(_of_label(store, shard, label))
    return dict(list(found.items())[:PICTURES])


def _of_label(store: ObjectStore, shard: Shard, label: int) -> Iterator[tuple[str, bytes]]:
    ref = BlobRef(sha256=shard.digest, size=shard.size)
    try:
        files = unpack_shard(get_blob(store, ref, prefix=SHARDS))
    except (NotFoundError, CorruptionError):  # pictures are worth no error
        return
    for file, digest, each in zip(files, shard.image_digests, shard.labels, strict=True):
        if each == label:
            yield digest, file
