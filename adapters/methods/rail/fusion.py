"""Records and score fusion that Primal-RAIL and Dual-RAIL have in common (arXiv 2406.18868).

    a = one-hot ridge regression on the images of all tasks
    score of class c = (1 - share) softmax(scale * f . t)_c + share * a_c,   share = 0.8

as the published code has it; its logarithm is what is returned, so that merged classes add up
(`adapters.parts.probabilities`). There the softmax also runs over unseen classes; here it runs over
the seen classes, so that a version's answer does not depend on what else was asked for. Where an
unseen class has the highest text logit, it wins: accuracy on unseen tasks is exactly that of
zero-shot.

Both keep the images' features. Tensors of a record: `text_features` (C, D), `images` (n, D), sorted
by class, `image_counts` (C,) int64.

Shapes: N images scored · n images of a record · D feature width · C classes of a record
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import get_args

import torch
from torch import Tensor

from adapters.contract.method import Query
from adapters.contract.records import Record
from adapters.contract.rule import AnchorRows, Anchors
from adapters.contract.settings import require_choice, require_number
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import ClassNameError, CorruptionError, InputError
from adapters.methods.rail.kernel_ridge import KernelRidge
from adapters.parts.probabilities import log_probabilities_at
from adapters.parts.readout import Fusion
from adapters.parts.scorers import AnchoredScorer
from adapters.parts.statistics import image_counts
from adapters.parts.training_free import TrainingFree


def check_rail(*, fusion: object, share: object) -> None:
    """Raise SettingsError unless fusion and share are possible."""
    require_choice("fusion", fusion, get_args(Fusion))
    require_number("share", share)


class Rail(TrainingFree):
    """A method that keeps the images' features, and solves them all at once."""

    def tensors(self, inputs: TrainingInputs) -> Mapping[str, Tensor]:
        task = inputs.task
        order = task.labels.argsort(stable=True)
        return {
            "images": task.features[order, 0].detach().cpu().float().contiguous(),
            "image_counts": image_counts(task.labels, len(task.classes)),
        }


class RailScorer(AnchoredScorer):
    """The ridge solution of all records together, beside the text side's softmax.

    Args:
        records: Oldest first.
        regression: What the records before the last one give; grows by the last.
    """

    def __init__(self, records: tuple[Record, ...], regression: KernelRidge) -> None:
        super().__init__(records)
        self._regression = regression
        self._together = Anchors([AnchorRows.of(rows) for rows in self._anchors])
        self._fusion: Fusion = records[0].settings["fusion"]
        self._share: float = records[0].settings["share"]

    def scores(self, query: Query) -> Tensor:
        answers = self.regressed(query.features)
        if self._fusion == "text":
            softmax = self._together.logits(query.features, scale=query.logit_scale).softmax(dim=1)
            answers = (1 - self._share) * softmax + self._share * answers
        return log_probabilities_at(answers, self._records, query.positions)

    @abstractmethod
    def regressed(self, features: Tensor) -> Tensor:
        """Return the regression's answers over all classes, (N, S) float32."""


def grown(
    regression: KernelRidge, record: Record, past: Sequence[Record], *, most_images: int
) -> KernelRidge:
    """Return `regression` with the images of `record`, which follows `past`.

    Raises:
        ClassNameError: a class is in `past`; its images would count twice.
        InputError: more images than a dense kernel matrix is meant for.
        CorruptionError: the record's tensors do not fit its classes.
    """
    known = {entry.class_id for each in past for entry in each.classes}
    for entry in record.classes:
        if entry.class_id in known:
            raise ClassNameError(
                f"class {entry.class_id!r}: its images are counted already; leave one of the two "
                "records out",
                class_id=entry.class_id,
            )
    try:
        images, counts = record.tensors["images"], record.tensors["image_counts"]
    except KeyError as error:
        raise CorruptionError(f"record {record.task!r}: tensor missing: {error}") from error
    if len(counts) != len(record.classes) or int(counts.sum()) != len(images):
        raise CorruptionError(
            f"record {record.task!r}: {len(images)} images do not fit {len(record.classes)} classes"
        )
    check_size(len(regression.images) + len(images), most=most_images)
    return regression.extended(images, torch.repeat_interleave(counts), classes=len(counts))


def check_size(images: int, *, most: int) -> None:
    """Raise InputError if `images` are too many for a dense kernel matrix."""
    if images > most:
        raise InputError(
            f"expected at most {most:,} images in all tasks together, found {images:,}; the kernel "
            f"matrix would take {8 * images * images / 1e9:.1f} GB; give fewer images per class, "
            "or use the method 'ran_pac'",
            images=images,
        )
