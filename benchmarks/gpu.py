"""Embedding, learning, scoring and serving on one GPU: `make bench-gpu`, in at most 8 minutes.

    python -m benchmarks.gpu [--device cuda] [--small]

The first line names the card. Every figure has its limit beside it where it has one: the bare
forward, the bare products, or the bytes of a version read once, on the same card in the same run.
What the card answers is compared with the processor. `--device cpu --small` runs the same code in
seconds wherever there is no card; its figures mean nothing.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from adapters.methods.lada.settings import ReplayBank
from benchmarks.absent import end_without
from benchmarks.encoding import decoded, embed_anew, encoder_of, files_of, forward, stored_shard
from benchmarks.random_encoder import MODEL
from benchmarks.random_records import publish_random, random_record
from benchmarks.scale_learning import begun
from benchmarks.table import Row, report
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import TINY, Precision
from workers.encoding.shard_encoder import ShardEncoder
from workers.registry import Registry
from workers.registry.record_cache import Versions
from workers.serving.predictor import PredictionRequest, Predictor, Question
from workers.store import FileStore, MemoryStore

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
FORMATS: tuple[MemoryFormat, ...] = ("float32", "bfloat16")
BANKS: tuple[ReplayBank, ...] = ("none", "all", "sample")
MOST_ANEW = 100
"""Old tasks up to which replay is drawn anew: beyond, a step of it takes gigabytes."""
CLASSES = 10
SCALE = 100.0
ALIKE: dict[MemoryFormat, float] = {"float32": 1e-2, "bfloat16": 0.2}
"""Most that a score, about 100 times a cosine, may differ from the processor's in float32."""
OF_FORWARD, OF_REQUEST = 0.9, 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        model: Whose towers embed.
        images: Of the shard.
        tasks: Old tasks, of ten classes each.
        batches: Images that are scored or answered at once.
        times: How often each of these is measured, besides once to warm up.
        judged: Whether figures of speed mean anything.
    """

    model: str
    images: int
    tasks: tuple[int, ...]
    batches: tuple[int, ...]
    times: int
    judged: bool


WHOLE = Sizes(
    model=MODEL, images=1024, tasks=(10, 100, 1000), batches=(1, 32, 256), times=7, judged=True
)
SMALL = Sizes(model=TINY, images=2, tasks=(2,), batches=(1, 2), times=1, judged=False)


@click.command()
@click.option("--device", default="cuda", help="Where torch computes.")
@click.option("--small", is_flag=True, help="Few images and tasks: shows only that it runs.")
def main(device: str, small: bool) -> None:
    """Measure everything on DEVICE."""
    if device == "cuda" and not torch.cuda.is_available():
        end_without(
            "expected a GPU that this torch can use, found none; run it on a machine with one, or "
            "with `--device cpu --small` to see that it runs"
        )
    rows: list[Row] = []
    sizes = SMALL if small else WHOLE
    for row in figures(Timer(device, times=sizes.times), sizes):
        click.echo(f"{row.figure}: {row.value} {row.unit}", err=True)
        rows.append(row)
    sys.exit(report("gpu", rows))


class Timer:
    """Measures calls on one device, whose work goes on after a call has returned.

    Args:
        device: Its name, as torch has it.
        times: How often a call is measured where nothing else is said.
    """

    def __init__(self, device: str, *, times: int) -> None:
        self.device = torch.device(device)
        self._times = times

    @property
    def card(self) -> str:
        """What the device calls itself."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"no card: {self.device}"

    def seconds(self, call: Callable[[], object], *, most: int | None = None) -> float:
        """Return the median seconds of `call` and all that it has begun; the first one warms up."""
        times = self._times if most is None else min(most, self._times)
        return median([self._once(call) for _ in range(times + 1)][1:])

    def _once(self, call: Callable[[], object]) -> float:
        self._wait()
        started = time.perf_counter()
        call()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def figures(timer: Timer, sizes: Sizes) -> Iterator[Row]:
    """Yield everything that is measured."""
    yield Row(figure="card", value=timer.card)
    yield from _encoding(timer, sizes)
    yield from _learning(timer, sizes)
    yield from _scoring(timer, sizes)
    yield from _serving(timer, sizes)


def _encoding(timer: Timer, sizes: Sizes) -> Iterator[Row]:
    files = files_of(sizes.images)
    for precision in PRECISIONS:
        encoder = encoder_of(sizes.model, precision=precision, device=str(timer.device))
        pixels = decoded(encoder, files)
        bare_s = timer.seconds(partial(forward, encoder, pixels))
        with TemporaryDirectory() as folder:
            store = FileStore(Path(folder))
            shard, whole = stored_shard(store, files), ShardEncoder(encoder, store)
            path = partial(embed_anew, whole, store, shard, encoder=encoder)
            whole_s = timer.seconds(path, most=2)
        name = f"{sizes.model}, {precision}"
        yield _rate(f"{name}: the bare forward", sizes.images / bare_s)
        yield _rate(f"{name}: the whole path from JPEGs", sizes.images / whole_s)
        yield _at_least(f"{name}: the whole path, of that", bare_s / whole_s, OF_FORWARD, sizes)
        yield _unlike_processor(name, encoder, pixels[: max(sizes.batches)], precision, sizes)


def _unlike_processor(
    name: str, encoder: Encoder, pixels: Tensor, precision: Precision, sizes: Sizes
) -> Row:
    there = encoder_of(sizes.model, precision=precision)
    cosines = (forward(encoder, pixels) * forward(there, pixels)).sum(dim=1)
    least = float(cosines.min())
    return Row(
        figure=f"{name}: least cosine of a feature with the processor's",
        value=round(least, 6),
        bar="at least 0.999",
        holds=least >= 0.999,
    )


def _learning(timer: Timer, sizes: Sizes) -> Iterator[Row]:
    for form in BANKS:
        for tasks in sizes.tasks:
            if form == "none" and tasks > MOST_ANEW:
                continue
            learner = begun(form, tasks, device=str(timer.device))
            step_ms = 1e3 * timer.seconds(learner.step)
            figure = f"a step, replay bank {form}, {tasks * CLASSES:,} old classes"
            yield Row(figure=figure, value=step_ms, unit="ms")


def _scoring(timer: Timer, sizes: Sizes) -> Iterator[Row]:
    for tasks in sizes.tasks:
        records = [
            random_record(number, classes=CLASSES, encoder="random") for number in range(tasks)
        ]
        processor = Adapter(records)
        built = {
            kept: Adapter(records, placement=Placement(device=timer.device, memory=kept))
            for kept in FORMATS
        }
        memory = torch.cat([record.tensors["memory"] for record in records]).to(timer.device)
        title = f"{tasks * CLASSES:,} classes"
        reading = timer.seconds(memory.sum)
        yield Row(figure=f"{title}: reading the vectors once", value=1e3 * reading, unit="ms")
        for images in sizes.batches:
            features = _features(images, width=memory.shape[1])
            there = features.to(timer.device)
            product = timer.seconds(lambda there=there, memory=memory: there @ memory.t())  # type: ignore[misc]
            yield Row(
                figure=f"{title}, {_counted(images)}: bare product", value=1e3 * product, unit="ms"
            )
            expected = _scores(processor, features)
            for kept, adapter in built.items():
                taken = timer.seconds(partial(_scores, adapter, there))
                figure = f"{title}, {_counted(images)}, {kept}"
                yield Row(figure=f"{figure}: scored", value=1e3 * taken, unit="ms")
                yield Row(figure=f"{figure}: of the bare float32 product", value=taken / product)
                yield _unlike(figure, _scores(adapter, there), expected, kept)


def _unlike(figure: str, found: Tensor, expected: Tensor, kept: MemoryFormat) -> Row:
    most = float((found.cpu() - expected).abs().max())
    return Row(
        figure=f"{figure}: scores unlike the processor's in float32 by at most",
        value=most,
        bar=f"at most {ALIKE[kept]:g}",
        holds=most <= ALIKE[kept],
    )


def _serving(timer: Timer, sizes: Sizes) -> Iterator[Row]:
    encoder = encoder_of(sizes.model, precision="fp32", device=str(timer.device))
    store = MemoryStore()
    registered = Registry(store).create("main")
    tasks = max(sizes.tasks)
    publish_random(registered, range(tasks), classes=CLASSES, encoder=encoder.fingerprint)
    predictor = Predictor(encoder, Versions(store), adapters=("main",), memory="bfloat16")
    predictor.follower("main").follow()
    pixels = decoded(encoder, files_of(max(sizes.batches)))
    for images in sizes.batches:
        some = pixels[:images]
        bare = timer.seconds(partial(encoder.image_tower.features, some))
        requests = [PredictionRequest(adapter="main", question=Question()) for _ in some]
        asked = partial(predictor.predict_together, list(some), requests)
        taken = timer.seconds(asked)
        title = f"{_counted(images)} answered over {tasks * CLASSES:,} classes"
        yield Row(figure=title, value=1e3 * taken, unit="ms")
        share = (taken - bare) / taken
        yield _at_most(f"{title}: beside the forward", share, OF_REQUEST, sizes)


def _counted(images: int) -> str:
    return "1 image" if images == 1 else f"{images} images"


def _scores(adapter: Adapter, features: Tensor) -> Tensor:
    return adapter.score(features, encoder="random", logit_scale=SCALE).values


def _features(images: int, *, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return normalize(torch.randn(images, width, generator=generator), dim=-1)


def _rate(figure: str, value: float) -> Row:
    return Row(figure=figure, value=value, unit="images/s")


def _at_least(figure: str, value: float, least: float, sizes: Sizes) -> Row:
    return _judged(figure, value, f"at least {least}", value >= least, sizes)


def _at_most(figure: str, value: float, most: float, sizes: Sizes) -> Row:
    return _judged(figure, value, f"at most {most}", value <= most, sizes)


def _judged(figure: str, value: float, bar: str, holds: bool, sizes: Sizes) -> Row:
    if not sizes.judged:
        return Row(figure=figure, value=round(value, 3))
    return Row(figure=figure, value=round(value, 3), bar=bar, holds=holds)


if __name__ == "__main__":
    main()
