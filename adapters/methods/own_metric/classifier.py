"""The linear classifier of one task in its own metric: tuned anchors, trained by L-BFGS.

The anchors start at the class means.

    y(x)    = F^-1 (x - mu) / |F^-1 (x - mu)|
    logit_c = a_c . y(x)
    loss    = sum over images of cross-entropy + pull * sum over classes |a_c - a_c^0|^2

a_c^0 is `scale` times the direction of the mean of the class's y. The loss is convex, so that its
minimum depends neither on a seed nor on the order of images; it is approached by L-BFGS over all
images. Images are moved away from their class's mean by `stretch` first: the mean and the metric
know them, so that they lie nearer to it than an image does that comes later.

Where classes have different numbers n_c of images, the rule `counted` does two things more. The
loss is that of logits with log n_c added, which are left out of the answers: a class of few images
does not lose by being rare. And the squared distance to a mean of n_c images is larger by v / n_c
than that to the true mean, v being the mean squared distance of an image from it:

    offset_c = sharpness / 2 (v / n_c - v / max n)

is added to the logits. Where all classes have as many images neither changes anything, and none is
computed.

Shapes: N images · D feature width · C classes
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.contract.task_features import TaskFeatures
from adapters.methods.own_metric.settings import TEXT_WEIGHTS, OwnMetricSettings
from adapters.methods.own_metric.whitening import Metrics, image_spread, squared_distances
from adapters.parts.statistics import Statistic, class_means, image_counts, within_scatter
from adapters.parts.symmetric import packed, unpacked

ITERATIONS = 15
"""Of L-BFGS in a step."""

_HISTORY = 10
_AT_ONCE = 16_384
"""Images whose logits are held in memory together."""


class Classifier:
    """The anchors of one task, being trained.

    Args:
        task: The task.
        metrics: Make the metric that it is told apart in.
        settings: How it is trained.
    """

    # Owns: `anchors`, which every step replaces.

    def __init__(self, task: TaskFeatures, metrics: Metrics, settings: OwnMetricSettings) -> None:
        features, labels = task.features[:, 0].cpu().double(), task.labels.cpu()
        self.means = class_means(task)
        self.scatter = packed(within_scatter(task))
        self.image_counts = image_counts(labels, len(task.classes))
        own = Statistic(
            matrix=unpacked(self.scatter),  # as the record will give it, in float32
            images=len(labels),
            costs=torch.zeros(len(TEXT_WEIGHTS), dtype=torch.float64),
            class_ids=frozenset(entry.class_id for entry in task.classes),
        )
        self.metric = metrics.of_task(own, centre=self.means.double().mean(dim=0))
        means = self.means.double()[labels]
        self._directions = self.directions(means + settings.stretch * (features - means))
        self._labels = labels
        self._pull, self._sharpness = settings.pull, settings.sharpness
        self.offsets, self._priors = self._counted(settings)
        sums = torch.zeros_like(self.means, dtype=torch.float64)
        sums.index_add_(0, labels, self.directions(features))
        self._start = settings.scale * normalize(sums, dim=1)
        self.anchors = self._start.clone()

    def _counted(self, settings: OwnMetricSettings) -> tuple[Tensor | None, Tensor | None]:
        """Return what is added to logits, of answers and of the loss, (C,) float64 each.

        None where all classes have as many images, or none of them is to be told of it.
        """
        counts = self.image_counts.double()
        if settings.rule == "plain" or bool((counts == counts[0]).all()):
            return None, None
        spread = image_spread(self.metric, self.means.shape[1])
        offsets = settings.sharpness / 2 * spread * (1 / counts - 1 / counts.max())
        return offsets, counts.log() - counts.sum().log()

    def directions(self, features: Tensor) -> Tensor:
        """Return y of (N, D) features, float64."""
        return normalize(self.metric.points(features), dim=1)

    def logits(self, features: Tensor) -> Tensor:
        """Return what tells the classes of (N, D) features apart beside text, (N, C) float64."""
        points, means = (self.metric.points(rows) for rows in (features, self.means))
        by_anchors = normalize(points, dim=1) @ self.anchors.t()
        logits = by_anchors - self._sharpness / 2 * squared_distances(points, means)
        return logits if self.offsets is None else logits + self.offsets

    def step(self) -> float:
        """Move the anchors by one run of L-BFGS and return the mean loss before it.

        Every run begins without memory of the last one, so that the anchors are all its state.
        """
        anchors = torch.nn.Parameter(self.anchors.clone())
        optimiser = torch.optim.LBFGS(
            [anchors], max_iter=ITERATIONS, history_size=_HISTORY, line_search_fn="strong_wolfe"
        )

        def loss() -> float:
            optimiser.zero_grad()
            total = self._pull * (anchors - self._start).square().sum() / len(self._labels)
            total.backward()  # type: ignore[no-untyped-call]
            value = float(total.detach())
            for start in range(0, len(self._labels), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                logits = self._directions[part] @ anchors.t()
                if self._priors is not None:
                    logits = logits + self._priors
                some = cross_entropy(logits, self._labels[part], reduction="sum")
                some = some / len(self._labels)
                some.backward()  # type: ignore[no-untyped-call]
                value += float(some.detach())
            return value

        before: float = optimiser.step(loss)  # type: ignore[no-untyped-call]
        self.anchors = anchors.detach()
        return before
