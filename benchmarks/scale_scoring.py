"""Scoring and opening of versions of a thousand tasks: `python -m benchmarks.scale_scoring`.

Records are random, of 16 memory vectors a class. Each figure stands beside the limit of the machine
measured in turns with it in the same run: the bare float32 products of the same images with all
vectors and anchors, or reading the bytes once. Times are least of several, of one thread's CPU.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from adapters.parts.memory_tiles import ROWS
from adapters.parts.products import multiplies_vectors
from benchmarks.random_records import WIDTH, random_record
from benchmarks.table import Row, report

ENCODER = "synthetic"
SCALE = 100.0
SHAPES = ((10, 10), (10, 100), (100, 10), (100, 100), (1000, 10))
"""Tasks, and classes of each."""
IMAGES = (1, 16, 256)
REPEATS = 9
OF_PRODUCT = 1.3
"""Scoring takes at most so many times the bare product, from a thousand classes on."""
FORMATS: tuple[MemoryFormat, ...] = ("float32", "bfloat16")


def figures() -> Iterator[Row]:
    """Yield what scoring takes, version by version."""
    for tasks, classes in SHAPES:
        yield from _scored(tasks, classes)


def _scored(tasks: int, classes: int) -> Iterator[Row]:
    records = [random_record(number, classes=classes, encoder=ENCODER) for number in range(tasks)]
    memory = torch.cat([record.tensors["memory"] for record in records])
    anchors = torch.cat([record.tensors["text_features"] for record in records])
    built = {kept: Adapter(records, placement=Placement(memory=kept)) for kept in FORMATS}
    title = f"{tasks:,} tasks of {classes} classes"
    yield Row(figure=f"{title}: reading the vectors once", value=_ms(memory.sum), unit="ms")
    for images in IMAGES:
        features = _features(images)
        calls: dict[str, Callable[[], object]] = {
            "product": partial(_products, features, memory, anchors),
            **{kept: _asking(built[kept], features) for kept in FORMATS},
        }
        if images == 1 and not multiplies_vectors():
            calls["rows first"] = partial(_rows_first, features, memory)
        times = _together(calls)
        figure = f"{title}, {images} images"
        yield Row(figure=f"{figure}: bare product", value=times["product"], unit="ms")
        if "rows first" in times:
            share = times["rows first"] / times["product"]
            yield Row(
                figure=f"{figure}: vectors alone, rows first, of the bare product", value=share
            )
        for kept in FORMATS:
            share = times[kept] / times["product"]
            yield Row(figure=f"{figure}: {kept}", value=times[kept], unit="ms")
            yield Row(
                figure=f"{figure}: {kept} of the bare float32 product",
                value=share,
                bar=f"at most {OF_PRODUCT}" if tasks * classes >= 1000 else None,
                holds=share <= OF_PRODUCT if tasks * classes >= 1000 else None,
            )


def _products(features: Tensor, memory: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    return features @ memory.t(), features @ anchors.t()


def _rows_first(features: Tensor, memory: Tensor) -> list[Tensor]:
    """Return the products of one image in the order that scoring has where this is called."""
    images = features.repeat(2, 1).t()
    return [rows @ images for rows in torch.split(memory, ROWS["float32"])]


def _asking(adapter: Adapter, features: Tensor) -> Callable[[], object]:
    return partial(adapter.score, features, encoder=ENCODER, logit_scale=SCALE)


def _features(images: int) -> Tensor:
    generator = torch.Generator().manual_seed(3000)
    return normalize(torch.randn(images, WIDTH, generator=generator), dim=-1)


def _ms(call: Callable[[], object]) -> float:
    return _together({"": call})[""]


def _together(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least milliseconds of CPU of each call, measured in turns."""
    least = dict.fromkeys(calls, float("inf"))
    for turn in range(REPEATS + 1):
        for name, call in calls.items():
            started = time.process_time()
            call()
            taken = 1e3 * (time.process_time() - started)
            if turn:  # the first warms up
                least[name] = min(least[name], taken)
    return least


def main() -> int:
    """Measure everything, print the table, and return the exit code."""
    torch.set_num_threads(1)
    return report("scale_scoring", list(figures()))


if __name__ == "__main__":
    sys.exit(main())
