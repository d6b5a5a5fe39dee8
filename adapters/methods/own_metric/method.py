"""Own-metric classifiers: a discriminant per task in the task's own covariance, nacre's own method.

    d_t(x, m)^2 = |F_t^-1 (x - m)|^2
    p_t(c | x)  = softmax over the classes of task t of
                  (a_c . y_t(x) + w_t z_c(x) - sharpness / 2 d_t(x, m_c)^2)
    score_c(x)  = log p_t(c | x) - sharpness / 2 min over c' of t of d_t(x, m_c')^2

The first term tells the classes of one task apart, by a classifier that was tuned for that task
alone (`adapters.methods.own_metric.classifier`) and by the distances to the class means. Both are
in the metric that the task had when it was learnt, that of the records up to it, so that nothing
moves when tasks follow. z are the text logits, and w_t is chosen on validation images, a
quarter of the task's training images.

The second term tells tasks apart: the distance to the nearest class mean in the task's metric as it
is now, grown with the records of the version (`adapters.methods.own_metric.whitening`). The
determinants of a Gaussian density are left out: they favour tasks whose images are alike.

Both follow from the records in their order and from nothing else. Vectors are stored unwhitened.

Tensors of a record: `text_features` (C, D), `means` (C, D), `anchors` (C, D), `scatter`
(D (D + 1) / 2,), the upper triangle of the within-class scatter, `image_counts` (C,) int64, `costs`
(G,), what each w costs.

Shapes: N images · D feature width · C classes of a record · G values of w
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings
from adapters.contract.shared_settings import shared_settings
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError
from adapters.methods.own_metric.classifier import Classifier
from adapters.methods.own_metric.settings import TEXT_WEIGHTS, OwnMetricSettings
from adapters.methods.own_metric.whitening import Whitening, squared_distances
from adapters.parts.scorers import AnchoredScorer
from adapters.parts.statistics import Statistic, total
from adapters.parts.trained import Trained, Training
from adapters.parts.validation import errors, least_cost, validation_parts

_SHARED = ("fusion", "shrinkage", "sharpness")


class OwnMetric(Trained):
    """A classifier per task in the task's own metric, and the nearest metric between tasks."""

    name: ClassVar[str] = "own_metric"
    settings_type: ClassVar[type[MethodSettings]] = OwnMetricSettings
    shared: ClassVar[tuple[str, ...]] = _SHARED

    def training(self, inputs: TrainingInputs) -> Training:
        past = inputs.past.records
        chosen = OwnMetricSettings.from_mapping(inputs.settings)
        before = total(past, "scatter") if past else None
        return OwnMetricTraining(inputs, before=before, settings=chosen)

    def scorer(self, state: AdapterState) -> Scorer:
        return OwnMetricScorer(state.records)


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


class TaskMetric(NamedTuple):
    """One record's metric and its class means in it.

    Attributes:
        centre: (D,) float32.
        inverse: (D, D) float32, the transpose of F^-1.
        means: (C, D) float32, whitened.
    """

    centre: Tensor
    inverse: Tensor
    means: Tensor

    @classmethod
    def of(cls, record: Record, whitening: Whitening) -> Self:
        """Return the metric of `record` that `whitening` is."""
        identity = torch.eye(len(whitening.factor), dtype=torch.float64)
        return cls(
            centre=whitening.centre.float(),
            inverse=whitening.vectors(identity).float().contiguous(),
            means=whitening.points(_tensor(record, "means")).float(),
        )

    def points(self, features: Tensor) -> Tensor:
        """Return (N, D) features, whitened."""
        return (features - self.centre) @ self.inverse

    def nearest(self, features: Tensor) -> Tensor:
        """Return the squared distance to the nearest class mean, (N, 1)."""
        return squared_distances(self.points(features), self.means).amin(dim=1, keepdim=True)


class RecordClassifier(NamedTuple):
    """What tells the classes of one record apart.

    Attributes:
        metric: Of the record.
        anchors: (C, D) float32, whitened.
        text_weight: w.
    """

    metric: TaskMetric
    anchors: Tensor
    text_weight: float

    @classmethod
    def of(cls, record: Record, whitening: Whitening, *, text_weight: float) -> Self:
        """Return the classifier of `record` in the metric that `whitening` is."""
        return cls(
            metric=TaskMetric.of(record, whitening),
            anchors=whitening.vectors(_tensor(record, "anchors")).float(),
            text_weight=text_weight,
        )

    def log_probabilities(
        self, features: Tensor, text_logits: Tensor, *, sharpness: float
    ) -> Tensor:
        """Return log p_t(c | x), (N, C)."""
        points = self.metric.points(features)
        logits = normalize(points, dim=1) @ self.anchors.t() + self.text_weight * text_logits
        logits -= sharpness / 2 * squared_distances(points, self.metric.means)
        return logits.log_softmax(dim=1)


class OwnMetricScorer(AnchoredScorer):
    """The classifiers of all records, and the distances between tasks.

    Args:
        records: Oldest first.
        before: The scorer of all records but the last, where it is known.
    """

    def __init__(
        self, records: tuple[Record, ...], *, before: "OwnMetricScorer | None" = None
    ) -> None:
        settings = shared_settings(records, OwnMetricSettings, names=_SHARED)
        super().__init__(records)
        self._settings = settings
        self._classifiers: tuple[RecordClassifier, ...] = before._classifiers if before else ()
        common: Statistic | None = before._common if before else None
        for place in range(len(self._classifiers), len(records)):
            common = total(records[: place + 1], "scatter", before=common)
            self._classifiers = (*self._classifiers, self.classifier(records[place], common))
        assert common is not None
        self._common: Statistic = common
        # The newest classifier is in the metric of the version already.
        older = (TaskMetric.of(record, self.whitening(record, common)) for record in records[:-1])
        self._metrics = (*older, self._classifiers[-1].metric)

    def whitening(self, record: Record, common: Statistic) -> Whitening:
        """Return the whitening of `record`, `common` being the scatter that holds it together."""
        return Whitening.of(
            Statistic.of_record(record, "scatter"),
            common,
            centre=_tensor(record, "means").double().mean(dim=0),
            shrinkage=self._settings.shrinkage,
        )

    def classifier(self, record: Record, common: Statistic) -> RecordClassifier:
        """Return the classifier of `record`; `common` as in `whitening`."""
        weight = 0.0
        if self._settings.fusion == "text":
            weight = least_cost(record.tensors["costs"].double(), TEXT_WEIGHTS, default=0.0)
        return RecordClassifier.of(record, self.whitening(record, common), text_weight=weight)

    def extended(self, record: Record) -> "OwnMetricScorer":
        return type(self)((*self._records, record), before=self)

    def within(self, position: int, features: Tensor, text_logits: Tensor) -> Tensor:
        """Return log p_t(c | x) of the record at `position`, (N, C).

        Args:
            position: Which record.
            features: (N, D).
            text_logits: (N, C), those of its classes.
        """
        return self._classifiers[position].log_probabilities(
            features, text_logits, sharpness=self._settings.sharpness
        )

    def between(self, position: int, features: Tensor) -> Tensor:
        """Return what the task of the record at `position` has over others, (N, 1)."""
        return -self._settings.sharpness / 2 * self._metrics[position].nearest(features)

    def scores(self, query: Query) -> Tensor:
        sizes = [len(self._records[position].classes) for position in query.positions]
        columns = [
            self.within(position, query.features, own_text) + self.between(position, query.features)
            for position, own_text in zip(
                query.positions, torch.split(query.text_logits, sizes, dim=1), strict=True
            )
        ]
        return torch.cat([query.text_logits[:, :0], *columns], dim=1)


def _tensor(record: Record, name: str) -> Tensor:
    """Return a (C, D) tensor of `record`; CorruptionError where it has none."""
    shape = record.tensors["text_features"].shape
    found = record.tensors.get(name)
    if found is None or found.shape != shape:
        raise CorruptionError(
            f"record {record.task!r}: expected {name} of shape {tuple(shape)}, found "
            f"{None if found is None else tuple(found.shape)}"
        )
    return found
