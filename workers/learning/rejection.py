"""Rejection: the share of a set's images that a version finds to be of none of its classes."""

from typing import NamedTuple

from adapters.adapter import Adapter
from workers.encoding.encoder import Encoder
from workers.learning.evaluation import TaskTestSet


class Rejection(NamedTuple):
    """Which share of some images is of none of the classes.

    Attributes:
        unknown: That share, 0 to 1.
        images: Of how many: those answered with a class whose task has a threshold of the rate.
    """

    unknown: float
    images: int


def rejection(
    adapter: Adapter, task: TaskTestSet, encoder: Encoder, *, rate: float
) -> Rejection | None:
    """Return what `predict` would reject of the images of a set; None where nothing was measured.

    Args:
        adapter: The version, whose learnt classes are the candidates.
        task: The images, one at least, with features of the version's tower.
        encoder: Whose text the candidates are compared with.
        rate: Of false alarms.

    Raises:
        InputError: as `Adapter.verdicts`.
    """
    scores = adapter.score(task.features, encoder=task.fingerprint, logit_scale=encoder.logit_scale)
    told = adapter.verdicts(task.features, scores, rate=rate)
    measured = [each.unknown for each in told if each.unknown is not None]
    if not measured:
        return None
    return Rejection(unknown=sum(measured) / len(measured), images=len(measured))
