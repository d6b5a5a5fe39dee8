"""Features of a task that is inspected: those that its submission will find.

The images are packed as a submission packs them, and their feature blocks are kept under the same
keys, so that nothing is embedded again when the task is submitted. The shards themselves are not
stored: only a submission keeps images.

Shapes: N images · V views per image · D feature width
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.methods import method_named
from workers.encoding.blocks import block_key, has_block
from workers.encoding.encoder import Encoder
from workers.encoding.features import read_block
from workers.encoding.shard_encoder import ShardEncoder
from workers.images.views import Views
from workers.intake.packing import Planned, pack
from workers.intake.reading import Sample
from workers.progress_callbacks import ProgressCallback
from workers.store.base import ObjectStore
from workers.tasks.submission import Learning, Split
from workers.tasks.task import Task

DEFAULT_METHOD = "lada"


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """What an encoder makes of a task's images.

    Attributes:
        samples: The N images, each content once in a split.
        features: (N, D) float32 unit rows, of view 0.
        fingerprint: Of the encoder.
        found: Images whose features were there already.
        made: Images that were embedded now.
        seconds: That it took to embed these.
        size_bytes: Of the features, as they are kept.
    """

    samples: Sequence[Sample]
    features: NDArray[np.float32]
    fingerprint: str
    found: int
    made: int
    seconds: float
    size_bytes: int


def views_of(task: Task, learning: Learning | None, split: Split) -> Views:
    """Return the views of its images that a submission of `task` would have embedded."""
    if split == "held_out":
        return Views()
    method, settings = (
        (learning.method, learning.settings) if learning else (DEFAULT_METHOD, task.settings)
    )
    return Views(count=method_named(method).views(settings), augmentation=task.augmentation)


def embedded(
    task: Task,
    planned: Sequence[Planned],
    store: ObjectStore,
    encoder: Encoder,
    *,
    learning: Learning | None,
    on_progress: ProgressCallback,
) -> Embedded:
    """Return the features of the images of `planned`; those that are not kept yet are made.

    Args:
        task: What is inspected.
        planned: Its shards, complete but for their digests, and the images of each.
        store: Keeps the features.
        encoder: Makes them.
        learning: By what the task would be learnt.
        on_progress: Called with images done and images in all.

    Raises:
        ImageError: an image has changed since it was read.
        UnavailableError: the store cannot be reached.
    """
    embeds = ShardEncoder(encoder, store)
    total = sum(len(group) for _, group in planned)
    done = found = size_bytes = 0
    seconds = 0.0
    blocks: list[NDArray[np.float32]] = [np.zeros((0, encoder.width), np.float32)]
    for plan in planned:
        shard, packed = pack(plan)
        views = views_of(task, learning, shard.split)
        key = block_key(encoder.fingerprint, views.name, shard)
        found += len(shard.labels) * has_block(store, key)
        begun = time.monotonic()
        for images in embeds.embed(shard, views, packed=packed):
            on_progress(done + images, total)
        seconds += time.monotonic() - begun
        done += len(shard.labels)
        block = read_block(store, key, patience=store.patience)
        size_bytes += block.nbytes
        first = block[:, 0]
        blocks.append((first if first.ndim == 2 else first[:, 0]).numpy())
    return Embedded(
        samples=[sample for _, group in planned for sample in group],
        features=np.concatenate(blocks),
        fingerprint=encoder.fingerprint,
        found=found,
        made=total - found,
        seconds=seconds,
        size_bytes=size_bytes,
    )
