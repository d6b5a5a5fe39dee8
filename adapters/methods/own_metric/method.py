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

from typing import ClassVar

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Scorer
from adapters.contract.settings import MethodSettings
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.own_metric.dense import DenseScorer
from adapters.methods.own_metric.settings import SHARED, OwnMetricSettings
from adapters.methods.own_metric.training import OwnMetricTraining
from adapters.parts.statistics import total
from adapters.parts.trained import Trained, Training


class OwnMetric(Trained):
    """A classifier per task in the task's own metric, and the nearest metric between tasks."""

    name: ClassVar[str] = "own_metric"
    settings_type: ClassVar[type[MethodSettings]] = OwnMetricSettings
    shared: ClassVar[tuple[str, ...]] = SHARED

    def training(self, inputs: TrainingInputs) -> Training:
        past = inputs.past.records
        chosen = OwnMetricSettings.from_mapping(inputs.settings)
        before = total(past, "scatter") if past else None
        return OwnMetricTraining(inputs, before=before, settings=chosen)

    def scorer(self, state: AdapterState) -> Scorer:
        return DenseScorer(state.records)
