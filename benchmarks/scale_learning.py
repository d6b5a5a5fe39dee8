"""LADA's training as old classes grow: a step, what comes before the first one, and the limit.

Tasks are of ten classes of 16 images; old classes have 16 memory vectors and 4 mixture components,
width 512, of random numbers. The limit of a step is its matrix products at the rate at which this
machine multiplies in the same run. Anchors are residual: a text tower costs the same at any size.

Shapes: R rows of a step · D feature width · S old classes · C new classes
"""

import time
from collections.abc import Sequence
from functools import cache
from statistics import median

import click
import torch
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.lada.learner import LadaLearner
from adapters.methods.lada.settings import LadaSettings, ReplayBank
from adapters.towers.text_side import TextSide
from benchmarks.random_records import COMPONENTS, VECTORS, WIDTH, random_record
from benchmarks.table import Row
from tests.support.scenes.training import inputs

ENCODER, SCALE = "random", 100.0
CLASSES, IMAGES = 10, 16
TASKS = (10, 100, 500, 1000)
NAMES = {"none": "drawn anew (before)", "all": "bank of all", "sample": "sampled bank"}
MEASURED: Sequence[tuple[ReplayBank, tuple[int, ...]]] = (
    ("none", (10, 100, 500)),
    ("all", (10, 100, 500)),
    ("sample", TASKS),
)
"""Forms and after how many tasks: at 1,000 one step of the first takes minutes."""
STEPS = 5
FEWER_FROM = 500
MOST_TIMES = 3.0
NEARLY_CONSTANT = 1.5


def figures() -> list[Row]:
    """Return the lines of the table."""
    rate = _multiplications_per_s()
    rows = [Row(figure="a product of this machine", value=2 * rate / 1e9, unit="GFLOP/s")]
    taken: dict[tuple[ReplayBank, int], tuple[float, float]] = {}
    for form, sizes in MEASURED:
        for tasks in sizes:
            start_s, step_s = taken[form, tasks] = _measured(form, tasks)
            name = f"{NAMES[form]}, {tasks * CLASSES:,} old classes"
            click.echo(f"{name}: start {start_s:.3g} s, step {step_s:.3g} s", err=True)
            limit = _multiplications(form, tasks * CLASSES) / rate
            value = f"{step_s:.3g}, limit {limit:.3g}"
            rows.append(Row(figure=f"{name}: a step", value=value, unit="s"))
            rows.append(Row(figure=f"{name}: before the first step", value=start_s, unit="s"))
    return [*rows, *_growth(taken)]


def _growth(taken: "dict[tuple[ReplayBank, int], tuple[float, float]]") -> list[Row]:
    """Return how a training of the 1,000th task compares with the 10th, each by its default."""
    steps = LadaSettings().total_steps(classes=CLASSES, images=CLASSES * IMAGES)
    (first_start, first), (last_start, last) = taken["none", TASKS[0]], taken["sample", TASKS[-1]]
    sampled = taken["sample", TASKS[0]][1]
    wholes = [first_start + steps * first, last_start + steps * last]
    return [
        Row(figure=f"10th task, by default: {steps} steps", value=steps * first, unit="s"),
        Row(figure=f"1,000th task, by default: {steps} steps", value=steps * last, unit="s"),
        _times("1,000th task against the 10th: the steps", last / first, MOST_TIMES),
        _times("the same with a sampled bank for both", last / sampled, NEARLY_CONSTANT),
        Row(figure="the same with what comes before them", value=wholes[1] / wholes[0]),
    ]


def _times(figure: str, value: float, most: float) -> Row:
    return Row(figure=figure, value=value, bar=f"at most {most:g} times", holds=value <= most)


def begun(form: ReplayBank, tasks: int, *, device: str = "cpu") -> LadaLearner:
    """Return a learner of ten classes after so many tasks, which has taken no step yet."""
    return LadaLearner(_given(form, tasks, device=device), settings=_settings(form))


def _measured(form: ReplayBank, tasks: int) -> tuple[float, float]:
    """Return the seconds before the first step and those of a step."""
    given = _given(form, tasks)
    started = time.process_time()
    learner = LadaLearner(given, settings=_settings(form))
    start_s = time.process_time() - started
    seconds = []
    few = form == "none" and tasks >= FEWER_FROM
    for _ in range(1 if few else STEPS):
        started = time.process_time()
        learner.step()
        seconds.append(time.process_time() - started)
    return start_s, median(seconds)


def _multiplications(form: ReplayBank, old_classes: int) -> float:
    """Return the multiplications in the matrix products of a step.

    A row meets the memory and the anchor of every class whose logits are computed, and those of the
    new classes again for their gradients.
    """
    prototypes = LadaSettings().sampled_rows if form == "sample" else COMPONENTS * old_classes
    rows, each = prototypes + 64, WIDTH * (VECTORS + 1)
    new = 2.0 * rows * each * CLASSES
    return new + rows * each * old_classes if form == "none" else new


def _multiplications_per_s() -> float:
    """Return how many multiplications of a matrix product this machine does in a second."""
    first, second = torch.randn(1024, WIDTH), torch.randn(WIDTH, 8192)
    seconds = []
    for _ in range(5):
        started = time.process_time()
        first @ second
        seconds.append(time.process_time() - started)
    return first.numel() * second.shape[1] / min(seconds)


def _settings(form: ReplayBank) -> LadaSettings:
    return LadaSettings(text="residual", replay_bank=form)


def _given(form: ReplayBank, tasks: int, *, device: str = "cpu") -> TrainingInputs:
    settings = _settings(form).as_mapping()
    return inputs(_task(), _past(tasks), text=_text(), settings=settings, device=device)


@cache
def _record(number: int) -> Record:
    return random_record(number, classes=CLASSES, encoder=ENCODER, components=COMPONENTS)


def _past(tasks: int) -> list[Record]:
    return [_record(number) for number in range(tasks)]


@cache
def _task() -> TaskFeatures:
    generator = torch.Generator().manual_seed(99)
    labels = torch.arange(CLASSES).repeat_interleave(IMAGES)
    centres = torch.randn(CLASSES, WIDTH, generator=generator)[labels]
    points = centres + torch.randn(len(labels), WIDTH, generator=generator)
    return TaskFeatures(
        task="new",
        classes=tuple(
            ClassEntry(class_id=f"new/{index}", name=f"new {index}", prompt=f"new {index}")
            for index in range(CLASSES)
        ),
        features=normalize(points, dim=-1)[:, None],
        labels=labels,
        encoder=ENCODER,
    )


def _text() -> TextSide:
    task = _task()
    means = torch.stack([task.of_class(index).mean(dim=0) for index in range(CLASSES)])
    return TextSide(features=means, logit_scale=SCALE)
