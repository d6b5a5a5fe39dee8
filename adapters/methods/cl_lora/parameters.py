"""The parameters of one task: the shared Up, the task's own changes, and a head that is dropped.

Shapes: M classes · W width of the space · r rank · d width of the tower · L blocks · t tasks before
"""

from math import sqrt

import torch
from torch import Tensor
from torch.nn import Parameter

from adapters.contract.randomness import generator
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.cl_lora.changes import BlockChanges, first_changes
from adapters.methods.cl_lora.objective import CosineHead
from adapters.methods.cl_lora.record import changes_of, own_changes, record_tensors
from adapters.methods.cl_lora.settings import ClLoraSettings
from adapters.methods.cl_lora.split_tower import SplitTower


class TaskParameters:
    """The parameters of one task at their present values.

    Attributes:
        named: All of them, by name.
        down: (2, L, r, d), of the shared blocks: constant, drawn with the adapter's first task.
        old_up: (2, L, d, r), the shared Up as earlier tasks left it; None for the first task.
        weights_before: (t, 3, L), block weights of earlier tasks; None for the first task.

    Args:
        inputs: What the task is learnt from.
        settings: Its settings.
        tower: The encoder's tower.
        device: Where they are.

    Raises:
        SettingsError: settings that do not fit the tower.
    """

    # Owns: the parameters, which an optimiser moves in place, and `down`, replaced by `resume`.

    def __init__(
        self,
        inputs: TrainingInputs,
        settings: ClLoraSettings,
        tower: SplitTower,
        *,
        device: torch.device,
    ) -> None:
        settings.check_rank(tower.width)
        self._text, self._device = inputs.text, device
        shared = settings.shared_of(tower.blocks)
        before = _shared_before(inputs)
        begun = before or _fresh(inputs, settings, tower, blocks=shared)
        own = _fresh(inputs, settings, tower, blocks=tower.blocks - shared, own=True)
        begun, own = begun.to(device), own.to(device)
        trained = {"up": begun.up, **record_tensors(own)}
        if settings.head == "local":
            trained |= _local_head(inputs, settings, tower)
        self.named = {
            name: Parameter(tensor.detach().to(device, copy=True))
            for name, tensor in trained.items()
        }
        self.down = begun.down
        self.old_up = None if before is None else begun.up
        self.weights_before = _weights_before(inputs, device)

    def shared(self) -> BlockChanges:
        """Return the changes that all tasks share."""
        return BlockChanges(down=self.down, up=self.named["up"])

    def own(self) -> BlockChanges:
        """Return the changes that the task has of its own."""
        return BlockChanges(
            down=self.named["specific_down"],
            up=self.named["specific_up"],
            weights=self.named["block_weights"],
        )

    def head(self) -> CosineHead:
        """Return what the task's classes are told apart with: trained, or their text features."""
        if "head" in self.named:
            return CosineHead(self.named["head"], self.named["scale"])
        rows = self._text.features.detach().to(self._device, torch.float32)
        return CosineHead(rows, self._text.logit_scale)

    def resume(self, down: Tensor) -> None:
        """Take over the shared Down of a checkpoint; RuntimeError where it has another shape."""
        if down.shape != self.down.shape:
            raise RuntimeError(f"down: expected shape {tuple(self.down.shape)}")
        self.down = down.to(self._device)


def _shared_before(inputs: TrainingInputs) -> BlockChanges | None:
    """Return the shared changes of earlier tasks; where none is left, the adapter begins anew."""
    past = inputs.past
    return changes_of(past.shared) if past.records and past.shared is not None else None


def _fresh(
    inputs: TrainingInputs,
    settings: ClLoraSettings,
    tower: SplitTower,
    *,
    blocks: int,
    own: bool = False,
) -> BlockChanges:
    names = ("own", inputs.task.task) if own else ("shared",)
    return first_changes(
        blocks=blocks,
        rank=settings.rank,
        width=tower.width,
        seed=inputs.seed,
        names=names,
        weighted=own,
    )


def _local_head(
    inputs: TrainingInputs, settings: ClLoraSettings, tower: SplitTower
) -> dict[str, Tensor]:
    """Return the rows, drawn from U(-1 / sqrt(W), 1 / sqrt(W)), and sigma, which begins at 1."""
    task = inputs.task
    width = task.width if settings.space == "joint" else tower.width
    drawn = torch.rand(
        len(task.classes), width, generator=generator(inputs.seed, "head", task.task)
    )
    return {"head": (2 * drawn - 1) / sqrt(width), "scale": torch.ones(())}


def _weights_before(inputs: TrainingInputs, device: torch.device) -> Tensor | None:
    found = [own_changes(record).weights for record in inputs.past.records]
    weights = [each for each in found if each is not None]
    return torch.stack(weights).to(device) if weights else None
