"""LADA's training beside its published loop, towers and all: `make bench-published`.

    python -m benchmarks.published [--model ViT-B-32] [--steps 5] [--images 8]

A task of 50 classes of 8 images, or of as many as are named, after 200 old classes of 16 memory
vectors, on towers of the shapes of ViT-B/32 and ViT-B/16 with random weights. Both loops take the
same steps from the same draws; seconds are of the processor, on one thread, and times the steps of
the whole training, 300. nacre embeds the task's images once, which is counted. Half of what it
takes is the published loop.
"""

import sys
import time
from collections.abc import Callable, Sequence

import click
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.task_features import TaskFeatures
from adapters.methods.lada.learner import LadaLearner
from adapters.methods.lada.settings import LadaSettings
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from benchmarks.published_loop import PublishedLoop
from benchmarks.random_encoder import RandomEncoder
from benchmarks.random_records import COMPONENTS, random_record
from benchmarks.table import Row, report
from tests.support.scenes.training import inputs
from workers.encoding.encoder_settings import EncoderSettings

MODELS = ("ViT-B-32", "ViT-B-16")
OLD_TASKS, OLD_CLASSES = 4, 50
CLASSES, SIDE = 50, 224
BAR = 20.0
EMBEDDED_AT_ONCE = 50
LARGEST, MEAN = 1e-5, 1e-6
"""Between the records, in memory and in unit text features: the first five steps of this schedule
move a number by 2e-4 at most; AdamW may turn a rounding of a tiny gradient into part of that."""
_NAMES = ("kingfisher", "old sewing machine", "sunflower", "Persian cat", "steam locomotive")


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, type=click.Choice(MODELS))
@click.option("--steps", default=5, help="Measured steps of each loop.")
@click.option("--images", default=8, help="Images of each class.")
def main(models: Sequence[str], steps: int, images: int) -> None:
    """Measure both loops on the towers of MODELS."""
    torch.set_num_threads(1)
    rows = [row for model in models for row in measured(model, steps=steps, images=images)]
    sys.exit(report("published", rows))


def measured(model: str, *, steps: int, images: int) -> list[Row]:
    """Return the figures of one model, of a task with so many images of each class."""
    encoder = RandomEncoder(EncoderSettings(), name=model)
    pixels = _pixels(images)
    features, embedding_s = embedded(encoder, pixels)
    task = _task(features, encoder=encoder.fingerprint)
    past = [
        random_record(
            number,
            classes=OLD_CLASSES,
            encoder=encoder.fingerprint,
            components=COMPONENTS,
        )
        for number in range(OLD_TASKS)
    ]
    text = _text(task, encoder)
    settings = LadaSettings()
    ours = LadaLearner(inputs(task, past, text=text, seed=0), settings=settings)
    ours_s = _seconds(ours.step, steps)
    text_s = _seconds(lambda: tuned(text), 2)
    tower, text = (
        text.tower,
        TextSide(
            features=text.features,
            logit_scale=text.logit_scale,
            tower=TextTower(encoder.model),
            tokens=text.tokens,
        ),
    )
    assert tower is not None and text.tower is not None and text.tokens is not None
    text.tower.path = "full"
    full_s = _seconds(lambda: tuned(text), 2)
    plain = PublishedLoop(task, pixels, past, text=text, encoder=encoder, settings=settings, seed=0)
    for _ in range(steps):
        plain.step()
    parts, total = plain.seconds, ours.total_steps
    images_s, prompts_s = parts.images / steps, parts.prompts / steps
    classifier_s, rest_s = parts.classifier / steps, ours_s - text_s
    published_s = total * parts.total / steps
    nacre_s = total * ours_s + embedding_s
    ratio = published_s / nacre_s

    def saved(figure: str, before: float, after: float) -> Row:
        share = 100 * (before - after) * total / (published_s - nacre_s)
        value = f"{before:.3g} to {after:.3g} s a step, {share:.1f} % of what is saved"
        return Row(figure=f"{model}: {figure}", value=value)

    return [
        Row(figure=f"{model}: a step of the published loop", value=parts.total / steps, unit="s"),
        Row(figure=f"{model}: a step of nacre's", value=ours_s, unit="s"),
        saved("images embedded once", images_s, embedding_s / total),
        saved("no gradients of the text tower's weights", prompts_s, full_s),
        saved(f"prompts of {tower.cut_length(text.tokens)} tokens, not 77", full_s, text_s),
        saved("no graph and no labels of old classes", classifier_s, rest_s),
        Row(figure=f"{model}: {total} steps, published loop", value=published_s, unit="s"),
        Row(figure=f"{model}: the same and embedding, nacre", value=nacre_s, unit="s"),
        Row(
            figure=f"{model}: times faster",
            value=round(ratio, 1),
            bar=f"at least {BAR:g}",
            holds=ratio >= BAR,
        ),
        *_differences(model, ours, plain, steps=steps),
    ]


def _differences(model: str, ours: LadaLearner, plain: PublishedLoop, *, steps: int) -> list[Row]:
    learnt = ours.learnt().tensors
    pairs = {
        "memory": (learnt["memory"], plain.memory.detach()),
        "text features": (
            normalize(learnt["text_features"], dim=-1),
            normalize(plain.text_features(), dim=-1),
        ),
    }
    rows = []
    for name, (first, second) in pairs.items():
        off = (first - second).abs()
        most, mean = float(off.max()), float(off.mean())
        rows.append(
            Row(
                figure=f"{model}: {name} after {steps} steps, largest and mean difference",
                value=f"{most:.1e}, {mean:.1e}",
                bar=f"below {LARGEST:g} and {MEAN:g}",
                holds=most < LARGEST and mean < MEAN,
            )
        )
    return rows


def embedded(encoder: RandomEncoder, pixels: Tensor) -> tuple[Tensor, float]:
    """Return the unit features of `pixels`, and the seconds that they took."""
    started = time.process_time()
    parts = [encoder.image_tower.features(part) for part in torch.split(pixels, EMBEDDED_AT_ONCE)]
    return torch.cat(parts), time.process_time() - started


def tuned(text: TextSide) -> None:
    """Run the prompts through the tower with a fresh tuner, and gradients back."""
    assert text.tower is not None and text.tokens is not None
    tuner = text.tower.fresh_tuner(bottleneck=16, generator=torch.Generator().manual_seed(0))
    text.tower.features(text.tokens, tuner).sum().backward()  # type: ignore[no-untyped-call]


def _seconds(call: Callable[[], object], times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times


def _pixels(images: int) -> Tensor:
    """Return images of noise, those of a class around one picture of its own."""
    generator = torch.Generator().manual_seed(0)
    shape = (CLASSES, 1, 3, 8, 8)
    coarse = torch.randint(0, 256, shape, generator=generator).float()
    pictures = coarse.repeat_interleave(SIDE // 8, dim=3).repeat_interleave(SIDE // 8, dim=4)
    noise = 30 * torch.randn(CLASSES, images, 3, SIDE, SIDE, generator=generator)
    return (pictures + noise).clamp(0, 255).to(torch.uint8).flatten(0, 1)


def _task(features: Tensor, *, encoder: str) -> TaskFeatures:
    entries = tuple(
        ClassEntry(
            class_id=f"new/{index}",
            name=f"{_NAMES[index % len(_NAMES)]} {index}",
            prompt=f"a photo of a {_NAMES[index % len(_NAMES)]} {index}.",
        )
        for index in range(CLASSES)
    )
    return TaskFeatures(
        task="new",
        classes=entries,
        features=features[:, None],
        labels=torch.arange(CLASSES).repeat_interleave(len(features) // CLASSES),
        encoder=encoder,
    )


def _text(task: TaskFeatures, encoder: RandomEncoder) -> TextSide:
    prompts = [entry.prompt for entry in task.classes]
    tower, tokens = TextTower(encoder.model), encoder.tokenizer(prompts)
    with torch.no_grad():
        features = tower.features(tokens)
    return TextSide(features=features, logit_scale=encoder.logit_scale, tower=tower, tokens=tokens)


if __name__ == "__main__":
    main()
