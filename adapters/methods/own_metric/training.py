"""Training of one task in its own metric: its classifier, and one that text's weight is tried on.

Shapes: C classes of a task · D feature width · G values of w
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.own_metric.classifier import Classifier
from adapters.methods.own_metric.settings import TEXT_WEIGHTS, OwnMetricSettings
from adapters.parts.statistics import Statistic
from adapters.parts.validation import errors, validation_parts


class OwnMetricTraining:
    """The classifier of one task, and one of three quarters of its images on which w is tried.

    Args:
        inputs: What the task is learnt from.
        before: The scatters of the tasks learnt before, added up; None for no tasks.
        settings: Settings.
    """

    # Owns: the classifiers, whose anchors every step replaces.

    def __init__(
        self,
        inputs: TrainingInputs,
        *,
        before: Statistic | None,
        settings: OwnMetricSettings,
    ) -> None:
        self.total_steps = settings.steps
        self._text, task = inputs.text, inputs.task
        self._classifiers = {"anchors": Classifier(task, before, settings)}
        if settings.fusion == "text":
            kept, self._features, self._labels = validation_parts(task, seed=inputs.seed)
            self._classifiers["trial"] = Classifier(kept, before, settings)

    def advance(self, step: int) -> float:  # noqa: ARG002 - every step is alike
        """Move all classifiers and return the loss of the one that is kept."""
        return {name: classifier.step() for name, classifier in self._classifiers.items()}[
            "anchors"
        ]

    def state(self) -> Mapping[str, Tensor]:
        """Return the anchors of all classifiers."""
        return {name: classifier.anchors for name, classifier in self._classifiers.items()}

    def restore(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:  # noqa: ARG002
        """Take over the anchors; KeyError, RuntimeError where they do not fit."""
        for name, classifier in self._classifiers.items():
            if tensors[name].shape != classifier.anchors.shape:
                raise RuntimeError(f"{name}: expected shape {tuple(classifier.anchors.shape)}")
            classifier.anchors = tensors[name].clone()

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the record's tensors with the anchors as they are now."""
        classifier = self._classifiers["anchors"]
        return {
            "text_features": self._text.kept(),
            "means": classifier.means,
            "anchors": classifier.whitening.unwhitened(classifier.anchors).float().contiguous(),
            "scatter": classifier.scatter,
            "image_counts": classifier.image_counts,
            "costs": self._costs().float(),
        }

    def _costs(self) -> Tensor:
        trial = self._classifiers.get("trial")
        if trial is None:
            return torch.zeros(len(TEXT_WEIGHTS))
        features = self._features.cpu().double()
        own = trial.logits(features)
        anchors = normalize(self._text.features.detach().cpu().double(), dim=-1)
        text = self._text.logit_scale * features @ anchors.t()
        labels = self._labels.cpu()
        return torch.stack([errors(own + weight * text, labels) for weight in TEXT_WEIGHTS])
