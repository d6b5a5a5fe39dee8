"""LADA's learner against plain loops: autograd, dense labels, torch's own schedule, towers."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.task_features import TaskFeatures
from adapters.methods.lada.learner import LadaLearner
from adapters.methods.lada.settings import LadaSettings
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from benchmarks.plain_lada import PlainLoop
from benchmarks.published_loop import PublishedLoop
from benchmarks.random_records import COMPONENTS, random_record
from tests.adapters.synthetic import class_means, clusters, learnt
from tests.support.scenes.training import inputs
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings

LEAST_GAP = 88  # between logits: beyond it the softmax of the lower one is a denormal number


@pytest.mark.parametrize("text", ["none", "residual"])
@pytest.mark.parametrize("images", [3, 12])  # fewer and more images than memory vectors
def test_every_step_is_that_of_the_plain_loop(text: str, images: int) -> None:
    past = [learnt(clusters("first", images=images), memory_per_class=6)]
    past.append(learnt(clusters("second", classes=3, seed=2), past, memory_per_class=6))
    task = clusters("third", classes=5, images=images, seed=3)
    settings = LadaSettings.from_mapping(
        {"text": text, "steps": 30, "memory_per_class": 6, "batch_size": 8}
    )
    side = class_means(task)
    ours = LadaLearner(inputs(task, past, text=side, seed=1), settings=settings)
    plain = PlainLoop(task, past, text=side, settings=settings, seed=1)
    losses = [(ours.step(), plain.step()) for _ in range(30)]
    torch.testing.assert_close(*map(torch.tensor, zip(*losses, strict=True)), rtol=1e-3, atol=1e-4)
    # Thirty steps of up to 1e-3 each; AdamW may turn a rounding of a tiny gradient into a step.
    memory = ours.learnt().tensors["memory"]
    torch.testing.assert_close(memory, plain.memory.detach(), rtol=0, atol=2e-3)
    assert (memory - plain.memory.detach()).abs().mean() < 1e-5


def test_steps_whose_logits_lie_far_apart_are_those_of_a_loop_that_flushes_nothing() -> None:
    past = [learnt(clusters("first"), memory_per_class=6)]
    task = clusters("second", classes=5, seed=3)
    settings = LadaSettings(text="residual", steps=6, memory_per_class=6)
    side = replace(class_means(task), logit_scale=400.0)
    ours = LadaLearner(inputs(task, past, text=side, seed=1), settings=settings)
    plain = PlainLoop(task, past, text=side, settings=settings, seed=1)
    logits = side.logit_scale * task.features[:, 0] @ normalize(side.features, dim=-1).t()
    assert (logits.amax(dim=1) - logits.amin(dim=1)).median() > LEAST_GAP
    losses = [(ours.step(), plain.step()) for _ in range(6)]
    torch.testing.assert_close(*map(torch.tensor, zip(*losses, strict=True)), rtol=1e-3, atol=1e-4)
    memory = ours.learnt().tensors["memory"]
    torch.testing.assert_close(memory, plain.memory.detach(), rtol=0, atol=2e-3)
    assert (memory - plain.memory.detach()).abs().mean() < 1e-5


def test_every_step_is_that_of_the_published_loop_through_both_towers() -> None:
    encoder = Encoder(EncoderSettings())  # of its own: the loop lets gradients into its weights
    generator = torch.Generator().manual_seed(0)
    shape = 12, 3, *encoder.model.visual.image_size
    pixels = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    classes = tuple(
        ClassEntry(class_id=name, name=name, prompt=f"a photo of a {name}.")
        for name in ("kingfisher", "old sewing machine", "sunflower")
    )
    task = TaskFeatures(
        task="new",
        classes=classes,
        features=encoder.image_tower.features(pixels)[:, None],
        labels=torch.arange(3).repeat_interleave(4),
        encoder=encoder.fingerprint,
    )
    prompts = [entry.prompt for entry in classes]
    tower, tokens = TextTower(encoder.model), encoder.tokenizer(prompts)
    text = TextSide(
        features=encoder.text_features(prompts),
        logit_scale=encoder.logit_scale,
        tower=tower,
        tokens=tokens,
    )
    past = [
        random_record(
            0,
            classes=5,
            encoder=encoder.fingerprint,
            width=encoder.width,
            components=COMPONENTS,
        )
    ]
    settings = LadaSettings(steps=4, batch_size=8)
    ours = LadaLearner(inputs(task, past, text=text, seed=1), settings=settings)
    found = [ours.step() for _ in range(4)]
    learnt_here = ours.learnt().tensors
    plain = PublishedLoop(task, pixels, past, text=text, encoder=encoder, settings=settings, seed=1)
    expected = [plain.step() for _ in range(4)]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-3, atol=1e-4)
    # Four steps of up to 1e-3 each; AdamW may turn a rounding of a tiny gradient into a step.
    for here, there in (
        (learnt_here["memory"], plain.memory.detach()),
        (normalize(learnt_here["text_features"]), normalize(plain.text_features())),
    ):
        torch.testing.assert_close(here, there, rtol=0, atol=1e-3)
        assert (here - there).abs().mean() < 1e-5
