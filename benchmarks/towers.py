"""Cost of an image under a version's own tower against the bare one: `make bench-towers`.

The tower is that of ViT-B-32 with random weights. A CL-LoRA version with T tasks runs the bare
tower, the shared half of the blocks once, and the other half T times: 1 + (1 + T) / 2 bare towers.
Seconds are of the processor, on one thread, so that other work beside it counts little.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from adapters.methods.cl_lora.changes import BlockChanges, first_changes
from adapters.methods.cl_lora.split_tower import SplitTower
from adapters.methods.cl_lora.version_tower import VersionTower
from adapters.towers.image_tower import FrozenImageTower
from benchmarks.random_encoder import RandomEncoder
from benchmarks.table import Row, report
from workers.encoding.encoder_settings import EncoderSettings

RANK = 10
REPEATS = 3
BATCHES = (1, 8)
TASKS = (1, 5, 10)
SIDE = 224
ALLOWED = 1.2
"""So many times the expected cost is still taken for it: two rank-10 products per block are not
free, and machines are noisy."""


def main() -> int:
    """Measure one image and a batch, print the table, and return the exit code."""
    torch.set_num_threads(1)
    base = RandomEncoder(EncoderSettings()).image_tower
    rows: list[Row] = []
    for images in BATCHES:
        rows.extend(_measured(base, images))
    return report("towers", rows)


def _measured(base: FrozenImageTower, images: int) -> list[Row]:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (images, 3, SIDE, SIDE), generator=generator).to(torch.uint8)
    bare = _least_seconds(lambda: base.features(pixels))
    named = "one image" if images == 1 else f"{images} images"
    rows = [Row(figure=f"{named}: the bare tower", value=1e3 * bare, unit="ms")]
    for tasks in TASKS:
        tower, expected = _cl_lora(base, tasks), 1 + (1 + tasks) / 2
        cost = _least_seconds(lambda tower=tower: tower.features(pixels)) / bare  # type: ignore[misc]
        rows.append(
            Row(
                figure=f"{named}: CL-LoRA, T = {tasks}",
                value=cost,
                unit="bare towers",
                bar=f"at most {ALLOWED} times {expected:g}",
                holds=cost <= ALLOWED * expected,
            )
        )
    return rows


def _cl_lora(base: FrozenImageTower, tasks: int) -> VersionTower:
    split = SplitTower(base, space="joint")
    shared = split.blocks // 2
    return VersionTower(
        base,
        split,
        shared=_changes(split, blocks=shared, name="shared"),
        tasks=[_changes(split, blocks=split.blocks - shared, name=f"{n}") for n in range(tasks)],
        fingerprint="random",
    )


def _changes(split: SplitTower, *, blocks: int, name: str) -> BlockChanges:
    return first_changes(
        blocks=blocks,
        rank=RANK,
        width=split.width,
        seed=0,
        names=[name],
        weighted=name != "shared",
    )


def _least_seconds(call: Callable[[], Tensor]) -> float:
    call()
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return min(seconds)


if __name__ == "__main__":
    sys.exit(main())
