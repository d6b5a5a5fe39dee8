"""Packing, the second pass over a task's images: read again, compared and stored shard by shard.

Only a few shards are in memory at any time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from adapters.contract.canonical import digest_of
from adapters.errors import ImageError
from workers.concurrency.bounded import in_threads
from workers.intake.reading import Sample
from workers.store.base import ObjectStore
from workers.store.blobs import put_blob
from workers.tasks.shards import cut_into_shards, pack_shard, packed_size
from workers.tasks.submission import SHARDS, Shard, Split

# One shard is packed while another is on its way to the store.
THREADS = 2
UNKNOWN_DIGEST = "0" * 64

Group = tuple[Sample, ...]
Planned = tuple[Shard, Group]


def plan_shards(samples: Sequence[Sample]) -> list[Planned]:
    """Return the shards of `samples`, complete but for their digests, and the images of each."""
    splits: tuple[Split, ...] = ("train", "held_out")
    return [
        (_planned(group, split), group)
        for split in splits
        for group in cut_into_shards(sample for sample in samples if sample.split == split)
    ]


def store_shards(store: ObjectStore, planned: Iterable[Planned]) -> Iterator[Shard]:
    """Store shards one after another; yield each, with its digest, once it is durable.

    Raises:
        ImageError: an image has changed since it was checked.
        UnavailableError: the store cannot be reached.
    """

    def stored(plan: Planned) -> Shard:
        shard, content = pack(plan)
        put_blob(store, content, prefix=SHARDS)
        return shard

    return in_threads(stored, planned, threads=THREADS, ahead=THREADS)


def pack(plan: Planned) -> tuple[Shard, bytes]:
    """Return a shard with its digest, and its bytes.

    Raises:
        ImageError: an image has changed since it was checked.
    """
    shard, group = plan
    content = pack_shard(map(_unchanged, group))
    return replace(shard, digest=digest_of(content)), content


def _planned(group: Group, split: Split) -> Shard:
    return Shard(
        digest=UNKNOWN_DIGEST,
        size=packed_size(sample.size for sample in group),
        split=split,
        labels=tuple(sample.label for sample in group),
        image_digests=tuple(sample.digest for sample in group),
    )


def _unchanged(sample: Sample) -> bytes:
    content = sample.ref.read()
    found = digest_of(content)
    if found != sample.digest:
        raise ImageError(
            f"the image {sample.ref.origin} changed while the task was taken in: expected SHA-256 "
            f"{sample.digest}, found {found}; submit again when nobody is writing to it",
            origin=sample.ref.origin,
            expected=sample.digest,
            found=found,
        )
    return content
