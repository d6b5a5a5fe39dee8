"""Time that one version takes to score an image: `make bench-scoring`.

Records are random: 100 classes of 16 memory vectors each, width 512. Beside the seconds stands the
least time in which this machine reads the memory vectors once, measured in the same run.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter
from benchmarks.random_records import WIDTH, random_record
from benchmarks.table import Row, report

CLASSES_PER_RECORD = 100
ENCODER = "synthetic"
SCALE = 100.0
REPEATS = 7


def main() -> int:
    """Measure at 100, 1,000 and 10,000 classes, print the table, and return the exit code."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    for records in (1, 10, 100):
        rows.extend(_measured(records))
    return report("scoring", rows)


def _measured(records: int) -> list[Row]:
    adapter = Adapter(
        [
            random_record(number, classes=CLASSES_PER_RECORD, encoder=ENCODER)
            for number in range(records)
        ]
    )
    memory = torch.cat([record.tensors["memory"] for record in adapter.records])
    name = f"{records * CLASSES_PER_RECORD:,} classes"
    one, many = _features(1), _features(256)
    reading = _least_seconds(memory.sum)
    single = _least_seconds(lambda: _score(adapter, one))
    batch = _least_seconds(lambda: _score(adapter, many)) / len(many)
    return [
        Row(figure=f"{name}: one image", value=1e3 * single, unit="ms"),
        Row(figure=f"{name}: an image in a batch of 256", value=1e3 * batch, unit="ms"),
        Row(figure=f"{name}: reading the memory once", value=1e3 * reading, unit="ms"),
    ]


def _rows(count: int, *, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, WIDTH, generator=generator), dim=-1)


def _features(images: int) -> Tensor:
    return _rows(images, seed=3000)


def _score(adapter: Adapter, features: Tensor) -> None:
    adapter.score(features, encoder=ENCODER, logit_scale=SCALE)


def _least_seconds(call: Callable[[], object]) -> float:
    call()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    sys.exit(main())
