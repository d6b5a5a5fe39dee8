"""Training of one task in its own metric: its classifier, and one that text's weight is tried on.

Shapes: C classes of a task · D feature width · G values of w
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.own_metric.classifier import Classifier
from adapters.methods.own_metric.low_rank import LowRank
from adapters.methods.own_metric.settings import LISTED, TEXT_WEIGHTS, OwnMetricSettings
from adapters.methods.own_metric.task_rows import no_rows, row_tensors
from adapters.methods.own_metric.whitening import Metrics
from adapters.parts.validation import errors, validation_parts


class OwnMetricTraining:
    """The classifier of one task, and one of three quarters of its images on which w is tried.

    Args:
        inputs: What the task is learnt from.
        metrics: Make the metrics of the classifiers.
        settings: Settings.
    """

    # Owns: the classifiers, whose anchors every step replaces.

    def __init__(
        self,
        inputs: TrainingInputs,
        *,
        metrics: Metrics,
        settings: OwnMetricSettings,
    ) -> None:
        self.total_steps, self._form = settings.steps, settings.form
        self._text, task = inputs.text, inputs.task
        self._classifiers = {"anchors": Classifier(task, metrics, settings)}
        if settings.fusion == "text":
            kept, self._features, self._labels, *_ = validation_parts(task, seed=inputs.seed)
            self._classifiers["trial"] = Classifier(kept, metrics, settings)

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
        anchors = classifier.metric.unwhitened(classifier.anchors).float().contiguous()
        return {
            "text_features": self._text.kept(),
            "means": classifier.means,
            "anchors": _with_offsets(anchors, classifier.offsets),
            "scatter": classifier.scatter,
            "image_counts": classifier.image_counts,
            "costs": self._costs().float(),
            **self._rows(classifier, anchors),
        }

    def _rows(self, classifier: Classifier, anchors: Tensor) -> Mapping[str, Tensor]:
        """Return what a record holds besides in another form than the dense one."""
        if self._form == "dense":
            return {}
        listed = {"listed": torch.tensor([LISTED])} if self._form == "short_list" else {}
        if isinstance(classifier.metric, LowRank):
            rows = row_tensors(classifier.metric, means=classifier.means, anchors=anchors)
            return {**rows, **listed}
        return {**no_rows(classifier.means.shape[1]), **listed}

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


def _with_offsets(anchors: Tensor, offsets: Tensor | None) -> Tensor:
    """Return anchors as a record has them, (C, D), or (C, D + 1) with a column of offsets."""
    if offsets is None:
        return anchors
    return torch.cat([anchors, offsets[:, None].float()], dim=1).contiguous()
