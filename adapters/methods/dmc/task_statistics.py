"""Statistics of one task's classes, and the map that takes those of older ones to its tower.

Shapes: D feature width · C classes
"""

from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.dmc.calibration import AffineMap, fitted
from adapters.methods.dmc.class_statistics import ClassStatistics
from adapters.methods.dmc.measured_images import MeasuredImages
from adapters.methods.dmc.settings import DmcSettings


class TaskStatistics:
    """What the measured images of a task give; what is left to measure is measured for it.

    Args:
        measured: The images.
        inputs: What the task is learnt from.
        settings: Settings.
        before: The maps up to the last version's tower.
    """

    # Owns: what it has found, once it was asked for.

    def __init__(
        self,
        measured: MeasuredImages,
        inputs: TrainingInputs,
        settings: DmcSettings,
        *,
        before: tuple[AffineMap, ...],
    ) -> None:
        self._measured, self._inputs, self._settings = measured, inputs, settings
        self._before = before

    @property
    def of_classes(self) -> ClassStatistics:
        """The statistics of the task's classes."""
        return self._found[0]

    @property
    def chain(self) -> tuple[AffineMap, ...]:
        """The maps up to the tower of the present task."""
        latest = self._found[1]
        return self._before if latest is None else (*self._before, latest)

    def state(self) -> dict[str, Tensor]:
        """Return what was found."""
        statistics, latest = self._found
        tensors = {
            "means": statistics.means,
            "scales": statistics.scales,
            "covariance": statistics.covariance,
        }
        if latest is not None:
            tensors |= {"matrix": latest.matrix, "offset": latest.offset}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned; KeyError where it does not fit."""
        statistics = ClassStatistics(
            means=tensors["means"], scales=tensors["scales"], covariance=tensors["covariance"]
        )
        latest = None
        if "matrix" in tensors:
            latest = AffineMap(matrix=tensors["matrix"], offset=tensors["offset"])
        self._found = statistics, latest

    @cached_property
    def _found(self) -> tuple[ClassStatistics, AffineMap | None]:
        self._measured.finish()
        return self._statistics(), self._map()

    def _statistics(self) -> ClassStatistics:
        task, settings = self._inputs.task, self._settings
        exact = settings.calibrate == "exact"
        features = task.features[:, 0].cpu() if exact else self._measured.after
        return ClassStatistics.measured(
            features, task.labels.cpu(), kind=settings.covariance, shrinkage=settings.shrinkage
        )

    def _map(self) -> AffineMap | None:
        measured, settings = self._measured, self._settings
        if not measured.paired:
            return None
        return fitted(
            settings.calibrate, measured.before, measured.after, shrinkage=settings.shrinkage
        )
