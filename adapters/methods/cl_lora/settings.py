"""The hyper-parameters of CL-LoRA, with the published values for ImageNet-R as defaults."""

from dataclasses import dataclass
from typing import Literal, get_args

from adapters.contract.settings import (
    MethodSettings,
    require,
    require_choice,
    require_number,
    require_whole,
)

Step = Literal[
    "two_step",  # distillation moves first, and classification reads what it has left
    "one_step",  # both gradients at one point, and one move
]
Space = Literal[
    "joint",  # unit features of the joint space, in which text lies
    "tower",  # the tower's output before its projection, as published
]
Head = Literal[
    "local",  # trained for the task's classes and dropped
    "text",  # the text features of the task's classes, as they are
]
Calibration = Literal[
    "none",  # cosines as they are
    "shift",  # less what the task's own images have on average
]
_CHOICES: dict[str, tuple[str, ...]] = {
    "step": get_args(Step),
    "space": get_args(Space),
    "head": get_args(Head),
    "calibrate": get_args(Calibration),
}
_NOT_NEGATIVE = (
    "learning_rate",
    "weight_decay",
    "distillation_weight",
    "orthogonality_weight",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClLoraSettings(MethodSettings):
    """Hyper-parameters of CL-LoRA.

    Attributes:
        rank: Of every low-rank change.
        shared_blocks: How many of the tower's first blocks all tasks share; None for half of them.
        epochs: Passes over the images.
        learning_rate: Of the first epoch; it falls along half a cosine, epoch by epoch.
        batch_size: Images per batch.
        weight_decay: SGD's, which is part of the gradient.
        step: How distillation and classification take turns.
        detach_teacher: Whether the teacher's answers are constants, so that distillation reaches
            the head through the student alone.
        distillation_weight: Factor of the distillation loss.
        temperature: Divides the logits of both sides of the distillation.
        orthogonality_weight: Factor of the cosine between block weights of different tasks.
        space: Where images are compared with prototypes.
        head: What images are classified with during training.
        calibrate: Whether cosines along different paths are made comparable.
    """

    rank: int = 10
    shared_blocks: int | None = None
    epochs: int = 20
    learning_rate: float = 0.05
    batch_size: int = 32
    weight_decay: float = 5e-4
    step: Step = "two_step"
    detach_teacher: bool = True
    distillation_weight: float = 5.0
    temperature: float = 2.0
    orthogonality_weight: float = 1e-4
    space: Space = "joint"
    head: Head = "local"
    calibrate: Calibration = "none"

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            require_choice(name, getattr(self, name), allowed)
        for name in ("rank", "epochs", "batch_size"):
            require_whole(name, getattr(self, name), least=1)
        require_whole("shared_blocks", self.shared_blocks, least=1, optional=True)
        for name in _NOT_NEGATIVE:
            require_number(name, getattr(self, name))
        require_number("temperature", self.temperature)
        require(self.temperature > 0, "temperature", self.temperature, "a number above 0")
        require(
            isinstance(self.detach_teacher, bool),
            "detach_teacher",
            self.detach_teacher,
            "true or false",
        )
        require(
            self.head == "local" or self.space == "joint",
            "head",
            self.head,
            f"'local' where 'space' is {self.space!r}, in which there is no text",
        )

    def shared_of(self, blocks: int) -> int:
        """Return how many of a tower's `blocks` all tasks share; SettingsError where none is left.

        Args:
            blocks: Of the tower.
        """
        shared = blocks // 2 if self.shared_blocks is None else self.shared_blocks
        expected = f"a whole number below the tower's {blocks} blocks, so that some are the task's"
        require(0 < shared < blocks, "shared_blocks", shared, expected)
        return shared

    def check_rank(self, width: int) -> None:
        """Raise SettingsError unless a tower of `width` has as many directions as the rank."""
        require(self.rank <= width, "rank", self.rank, f"at most the tower's width, {width}")
