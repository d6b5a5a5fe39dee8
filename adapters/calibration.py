"""Calibration: the temperature of a task, by which its scores become probabilities.

    p(c | x) = softmax of s_c(x) / T_t,  t the task whose class has the highest score

T is fitted when a task is learnt: a trial learns three quarters of each class's images on the same
version, and T makes what the trial answers about the others as probable as it is right, with all
learnt classes as candidates. An image has one temperature, so that neither its answer nor the order
of its candidates changes, within a task or between tasks; and a record keeps its own, so that
nothing learnt later changes it.

Shapes: N validation images · S candidates
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adapters.adapter import Adapter, Scores
from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.canonical import canonical_json, digest_of
from adapters.contract.class_entry import ClassEntry
from adapters.contract.learning import class_mixtures, learn
from adapters.contract.method import Learnt, Method
from adapters.contract.records import Record
from adapters.contract.training_inputs import TrainingInputs
from adapters.familiarity import with_thresholds
from adapters.parts.validation import ValidationParts, validation_parts
from adapters.towers.image_side import ImageSide, PixelSource

STEP = 2 ** (1 / 16)
"""From one temperature to the next: so small a step changes no figure."""
WIDEST = 256
"""Steps from 1 to the highest temperature, 65,536, and to the lowest."""
MOST_IMAGES = 4096
"""Validation images that are scored: more of them would tell the same."""
EMBEDDED_AT_ONCE = 64


def temperature_of(scores: Scores, truth: Sequence[ClassEntry]) -> float | None:
    """Return the temperature at which the answers are as probable as they are right, in the mean.

    None where nothing tells it. The likelihood of the truth would be another measure, but one image
    of which the true class scores far too low decides it alone, as scores of regressions do.

    n images, r of them right, aim for (r + 1/2) / (n + 1): no few images make certainty.

    Args:
        scores: (N, S), as they come.
        truth: The class of each image; one of the candidates.
    """
    values, images = scores.values.double(), len(truth)
    if images == 0 or values.shape[1] < 2 or not bool(values.isfinite().all()):
        return None
    pairs = zip(scores.winners.tolist(), truth, strict=True)
    right = sum(scores.classes[column].counts_as == entry.counts_as for column, entry in pairs)
    aim = (right + 0.5) / (images + 1)
    margins = values - values.amax(dim=1, keepdim=True)
    if bool((margins == 0).all()):
        return None

    def confidence(place: int) -> float:
        return float((-(margins / STEP**place).logsumexp(dim=1)).exp().mean())

    # The higher the temperature, the less probable the answers.
    least, most = -WIDEST, WIDEST
    while least < most:
        middle = (least + most) // 2
        if confidence(middle) <= aim:
            most = middle
        else:
            least = middle + 1
    return float(STEP**least)


@dataclass(frozen=True, kw_only=True, slots=True)
class _SomePixels:
    """Some of the images of a task.

    Attributes:
        source: All of them.
        places: Which ones.
    """

    source: PixelSource
    places: tuple[int, ...]

    @property
    def digest(self) -> str:
        """Names the images."""
        return digest_of(canonical_json([self.source.digest, list(self.places)]))

    def __call__(self, images: Sequence[int], *, view: int = 0) -> Tensor:
        """Return one view of some of these images."""
        return self.source([self.places[image] for image in images], view=view)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trial:
    """A task of which three quarters are to be learnt, and the others to be asked about.

    Attributes:
        inputs: What the trial is learnt from.
        parts: The task in two parts; there are some validation images.
        images: Tower and pixels of all images of the task.
    """

    inputs: TrainingInputs
    parts: ValidationParts
    images: ImageSide

    @classmethod
    def of(cls, method: Method, inputs: TrainingInputs) -> "Trial | None":
        """Return the trial of the task of `inputs`.

        None where every class has one image, and for a method that wants no temperature.
        """
        if not method.tempered:
            return None
        parts = validation_parts(inputs.task, seed=inputs.seed)
        if not len(parts.labels):
            return None
        kept = replace(inputs, task=parts.kept, images=_kept_images(inputs, parts))
        return cls(inputs=kept, parts=parts, images=inputs.images)

    def temperature(self, method: Method, learnt: Learnt) -> float | None:
        """Return the temperature of what was `learnt` from `inputs`; None where nothing tells it.

        Args:
            method: What has learnt it.
            learnt: What the learner has ended with.
        """
        inputs, task = self.inputs, self.inputs.task
        # Mixtures are for tasks to come: one component each is enough for a record that has none.
        wanted = min(method.mixture_components(inputs.settings), 1)
        mixtures = class_mixtures(task, components=wanted, seed=inputs.seed)
        record = method.record(task, learnt, mixtures, settings=inputs.settings, seed=inputs.seed)
        shared = inputs.past.shared
        if learnt.shared is not None:
            shared = SharedState(method=method.name, encoder=task.encoder, tensors=learnt.shared)
        adapter = Adapter((*inputs.past.records, record), shared=shared, method=method)
        chosen = self._chosen()
        scores = adapter.score(
            self._features(adapter, chosen),
            encoder=adapter.fingerprint,
            logit_scale=inputs.text.logit_scale,
        )
        truth = [task.classes[label] for label in self.parts.labels[chosen].tolist()]
        return temperature_of(scores, truth)

    def _chosen(self) -> Tensor:
        """Return which validation images are asked about, evenly over the classes."""
        count = len(self.parts.labels)
        if count <= MOST_IMAGES:
            return torch.arange(count)
        return torch.linspace(0, count - 1, MOST_IMAGES).long()

    def _features(self, adapter: Adapter, chosen: Tensor) -> Tensor:
        """Return validation images as the version's tower reads them."""
        if adapter.fingerprint == adapter.encoder:
            return self.parts.features[chosen]
        base, pixels = self.images.required(by=adapter.records[0].method)
        tower, places = adapter.image_tower(base), self.parts.images[chosen].tolist()
        starts = range(0, len(places), EMBEDDED_AT_ONCE)
        return torch.cat(
            [tower.features(pixels(places[start : start + EMBEDDED_AT_ONCE])) for start in starts]
        )


def _kept_images(inputs: TrainingInputs, parts: ValidationParts) -> ImageSide:
    pixels = inputs.images.pixels
    if pixels is None:
        return inputs.images
    kept = _SomePixels(source=pixels, places=tuple(parts.kept_images.tolist()))
    return replace(inputs.images, pixels=kept)


def temperature_before(past: Sequence[Record]) -> float | None:
    """Return the temperature of a task that has no validation images: the latest one's before."""
    known = [record.temperature for record in past if record.temperature is not None]
    return known[-1] if known else None


def learn_calibrated(method: Method, inputs: TrainingInputs) -> AdapterState:
    """Return what the version holds once `inputs.task` is learnt, as the queue leaves it.

    With its temperature and its thresholds.
    """
    state, trial, found = learn(method, inputs), Trial.of(method, inputs), None
    if trial is not None:
        learner = method.start(trial.inputs)
        while learner.steps_done < learner.total_steps:
            learner.step()
        found = trial.temperature(method, learner.learnt())
    if found is None:
        found = temperature_before(inputs.past.records)
    record = with_thresholds(method, state.records[-1], inputs.task)
    return replace(state, records=(*state.records[:-1], replace(record, temperature=found)))
