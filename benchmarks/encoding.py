"""Embedding on a processor, in float32 and in bfloat16: `make bench-encoding`.

    python -m benchmarks.encoding [--model ViT-B-32] [--images 128]

A shard of JPEGs of 640 by 480 pixels goes the whole path, from its tar in the store to its block
of features there: read, decoded, resized, embedded, stored. Beside it stands the bare forward of as
many decoded images, of the same tower, precision and batch, measured in turns with it. Both have
one thread; decoding has others beside it, as in a running system, so that there must be two idle
cores; on busy ones processor time says more than the clock. ViT-B-32 has random weights.

What bfloat16 costs in answers is measured on the example pictures that come with nacre, under the
encoders that come with it: each test picture is given the class of the nearest mean of the training
pictures, both in one precision, with the classes of all five tasks as candidates.
"""

import copy
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Self

import click
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.canonical import digest_of
from benchmarks.photograph import photograph
from benchmarks.random_encoder import MODEL, RandomEncoder
from benchmarks.table import Row, report
from workers.encoding.blocks import block_key
from workers.encoding.encoder import SHIPPED, Encoder
from workers.encoding.encoder_settings import EncoderSettings, Precision
from workers.encoding.shard_encoder import BATCH, ShardEncoder
from workers.images.decode import decode_image
from workers.images.views import Views
from workers.store import FileStore, ObjectStore
from workers.store.blobs import put_blob
from workers.tasks.shards import pack_shard
from workers.tasks.submission import SHARDS, Shard

MODELS = (*SHIPPED, MODEL)
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
OF_FORWARD, LEAST_COSINE = 0.9, 0.999
DIFFERENT = 16
"""Pictures of a shard that are drawn; the others are these again, each its own file."""
EXAMPLES = Path("cluster/examples")
TURNS = 3


class Seconds(NamedTuple):
    """What a call takes: of the clock, of its own thread's processor, of the whole process's."""

    passed: float
    thread: float
    process: float

    @classmethod
    def now(cls) -> Self:
        """Return the clocks."""
        return cls(time.perf_counter(), time.thread_time(), time.process_time())

    def each(self, count: int) -> Self:
        """Return the same for one of so many images."""
        return type(self)(*(value / count for value in self))


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, type=click.Choice(MODELS))
@click.option("--images", default=128, help="Images of the shard.")
def main(models: Sequence[str], images: int) -> None:
    """Measure the towers of MODELS."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    for row in figures(models, images=images):
        click.echo(f"{row.figure}: {row.value} {row.unit}", err=True)
        rows.append(row)
    sys.exit(report("encoding", rows))


def figures(models: Iterable[str], *, images: int) -> Iterator[Row]:
    """Yield what embedding costs under each of `models`, and what bfloat16 costs in answers."""
    files = files_of(images)
    for model in models:
        encoders = {each: encoder_of(model, precision=each) for each in PRECISIONS}
        for precision, encoder in encoders.items():
            yield from _speed(f"{model}, {precision}", encoder, files)
        yield from _likeness(model, encoders, files)


def encoder_of(model: str, *, precision: Precision, device: str = "cpu") -> Encoder:
    """Return an encoder that comes with nacre, or one of random weights."""
    if model in SHIPPED:
        return Encoder(EncoderSettings(model=model, precision=precision), device=device)
    return RandomEncoder(EncoderSettings(precision=precision), device=device, name=model)


def _speed(name: str, encoder: Encoder, files: Sequence[bytes]) -> Iterator[Row]:
    pixels = decoded(encoder, files)
    with TemporaryDirectory() as folder:
        store = FileStore(Path(folder))
        shard = stored_shard(store, files)
        whole = ShardEncoder(encoder, store)
        seconds = _in_turns(
            {
                "forward": partial(forward, encoder, pixels),
                "channels first": partial(_channels_first, encoder, pixels),
                "whole": partial(embed_anew, whole, store, shard, encoder=encoder),
            }
        )
    bare, first, path = (taken.each(len(files)) for taken in seconds.values())
    share = bare.passed / path.passed
    for figure, taken in (
        ("the bare forward", bare),
        ("the same with channels first", first),
        ("the whole path", path),
    ):
        yield Row(figure=f"{name}: {figure}", value=1e3 * taken.passed, unit="ms an image")
        yield Row(
            figure=f"{name}: {figure}, processor time of its thread",
            value=1e3 * taken.thread,
            unit="ms an image",
        )
    yield Row(
        figure=f"{name}: the whole path, processor time of the decoding threads",
        value=1e3 * (path.process - path.thread),
        unit="ms an image",
    )
    yield Row(
        figure=f"{name}: the whole path, of the rate of the forward",
        value=round(share, 3),
        bar=f"at least {OF_FORWARD}",
        holds=share >= OF_FORWARD,
    )
    yield Row(
        figure=f"{name}: the same in processor time of the embedding thread",
        value=round(bare.thread / path.thread, 3),
    )


def _likeness(
    model: str, encoders: Mapping[Precision, Encoder], files: Sequence[bytes]
) -> Iterator[Row]:
    """Yield how like features are in both precisions, and how many answers change."""
    if model not in SHIPPED:
        pairs = [forward(each, decoded(each, files[:DIFFERENT])) for each in encoders.values()]
        yield _cosine_row(model, *pairs)
        return
    train, test = pictures("train"), pictures("test")
    names = sorted({name for name, _ in train})
    means, tested = [], []
    for encoder in encoders.values():
        learnt, asked = (
            forward(encoder, decoded(encoder, [content for _, content in part]))
            for part in (train, test)
        )
        own = torch.tensor([names.index(name) for name, _ in train])
        rows = [learnt[own == place].mean(dim=0) for place in range(len(names))]
        means.append(normalize(torch.stack(rows), dim=-1))
        tested.append(asked)
    answers = [(asked @ mean.t()).argmax(dim=1) for asked, mean in zip(tested, means, strict=True)]
    truth = torch.tensor([names.index(name) for name, _ in test])
    yield _cosine_row(model, *tested)
    for precision, given in zip(encoders, answers, strict=True):
        right = 100 * float((given == truth).float().mean())
        yield Row(
            figure=f"{model}, {precision}: {len(test)} pictures, right", value=right, unit="%"
        )
    changed = 100 * float((answers[0] != answers[1]).float().mean())
    yield Row(figure=f"{model}: answers that bfloat16 changes", value=changed, unit="%")


def _cosine_row(model: str, first: Tensor, second: Tensor) -> Row:
    cosines = (first * second).sum(dim=1)
    return Row(
        figure=f"{model}: least cosine of a feature in bf16 with that in fp32",
        value=round(float(cosines.min()), 6),
        bar=f"at least {LEAST_COSINE}",
        holds=float(cosines.min()) >= LEAST_COSINE,
    )


def embed_anew(whole: ShardEncoder, store: ObjectStore, shard: Shard, *, encoder: Encoder) -> None:
    """Take `shard` the whole path, whether its features are stored already or not."""
    views = Views()
    store.delete(block_key(encoder.fingerprint, views.name, shard))
    for _ in whole.embed(shard, views):
        pass


def stored_shard(store: ObjectStore, files: Sequence[bytes]) -> Shard:
    """Return the shard of `files`, put into `store`."""
    ref = put_blob(store, pack_shard(files), prefix=SHARDS)
    return Shard(
        digest=ref.sha256,
        size=ref.size,
        split="train",
        labels=(0,) * len(files),
        image_digests=tuple(map(digest_of, files)),
    )


def forward(encoder: Encoder, pixels: Tensor) -> Tensor:
    """Return the features of decoded images, in the batches of a shard encoder."""
    return torch.cat([encoder.image_tower.features(part) for part in torch.split(pixels, BATCH)])


@torch.no_grad()
def _channels_first(encoder: Encoder, pixels: Tensor) -> None:
    tower = encoder.image_tower
    visual = copy.deepcopy(tower.visual).to(memory_format=torch.contiguous_format)
    for part in torch.split(pixels, BATCH):
        visual(tower.prepared(part).contiguous())


def decoded(encoder: Encoder, files: Sequence[bytes]) -> Tensor:
    """Return the pixels of `files` as `encoder` reads them."""
    return torch.stack([encoder.transform(decode_image(one, origin="image")) for one in files])


def files_of(images: int) -> list[bytes]:
    """Return so many JPEGs, each of them another file."""
    drawn = [photograph(seed) for seed in range(min(images, DIFFERENT))]
    # A decoder passes over what follows the picture.
    return [drawn[place % len(drawn)] + place.to_bytes(4) for place in range(images)]


def pictures(split: str) -> list[tuple[str, bytes]]:
    """Return the class and the file of each example picture of a split."""
    found = sorted(EXAMPLES.glob(f"*/{split}/*/*"))
    return [(f"{path.parts[-4]}/{path.parts[-2]}", path.read_bytes()) for path in found]


def _in_turns(calls: Mapping[str, Callable[[], object]]) -> dict[str, Seconds]:
    """Return the least seconds of each call, measured in turns so that both meet the same load."""
    least: dict[str, Seconds] = {}
    for turn in range(TURNS + 1):
        for name, call in calls.items():
            before = Seconds.now()
            call()
            taken = Seconds(*(now - then for now, then in zip(Seconds.now(), before, strict=True)))
            if turn:  # the first warms up
                known = least.get(name, taken)
                least[name] = Seconds(*map(min, known, taken))
    return least


if __name__ == "__main__":
    main()
