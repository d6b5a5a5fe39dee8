"""The settings of DMC and DMC-OT; what the abstract does not say is a proposal of nacre."""

from dataclasses import dataclass
from typing import Literal, get_args

from adapters.contract.settings import MethodSettings, require_choice, require_number, require_whole
from adapters.errors import SettingsError

Change = Literal[
    "tower",  # a low-rank change of the image tower's attention, learnt on pixels
    "feature",  # a matrix applied to the features of any tower, learnt on cached features
]
Calibrate = Literal[
    "none",  # old statistics stay where they were measured
    "shift",  # the means move as the mean of the new task's images did
    "transport",  # the optimal transport between two Gaussians of these images
    "paired",  # a ridge regression of these images' features after on those before
    "sldc",  # the same with another pull towards standing still (arXiv 2511.09926)
    "exact",  # `feature` alone: statistics of the tower's own features, sent through the matrix
]
Covariance = Literal[
    "pooled",  # one per task, with a scale per class
    "class",  # one per class
]
PromptMode = Literal[
    "shared",  # one context, trained again in every task over all classes
    "augmented",  # half of it trained in the first task alone, half of it the task's own
    "none",  # the text side stays as it is
]
Unseen = Literal[
    "changed",  # text is compared with the features that the tasks have changed
    "bare",  # the tower's own features decide whether a class is one that nobody has learnt
]
_CHOICES: dict[str, tuple[str, ...]] = {
    "adapter": get_args(Change),
    "calibrate": get_args(Calibrate),
    "covariance": get_args(Covariance),
    "prompts": get_args(PromptMode),
    "unseen": get_args(Unseen),
}
_AT_LEAST = {
    "rank": 1,
    "context": 1,
    "batch_size": 1,
    "replay_size": 1,
    "classes_per_step": 1,
    "image_epochs": 0,
    "prompt_epochs": 0,
}
_NOT_NEGATIVE = (
    "distillation",
    "image_learning_rate",
    "prompt_learning_rate",
    "prompt_decay",
    "shrinkage",
)
_PASSES, _MOST_PASSES, _LEAST_STEPS = 10, 100, 250


@dataclass(frozen=True, kw_only=True, slots=True)
class DmcSettings(MethodSettings):
    """Settings of DMC.

    Attributes:
        adapter: What is learnt on the image side.
        rank: r, of the low-rank change.
        distillation: What staying near the features of the last version weighs.
        image_learning_rate: Of the image phase's first step; None for 1e-4 where the tower is
            learnt, and 1e-3 for the matrix.
        image_epochs: Passes over the images in the image phase; None for ten, and as many more as
            make 250 steps.
        calibrate: How the statistics of old classes follow the drift.
        covariance: What the spread of a class is taken for.
        shrinkage: How far covariances are pulled towards a sphere, 0 to 1.
        prompts: What is learnt on the text side.
        context: m, learnt vectors of a prompt.
        prompt_learning_rate: Of the prompt phase's first step.
        prompt_decay: AdamW's decoupled decay in the prompt phase.
        prompt_epochs: The same for the prompt phase.
        batch_size: Images per step.
        replay_size: Points of old classes per step.
        classes_per_step: Most classes whose prompts run in one step of a shared context.
        unseen: What decides whether a class is one that nobody has learnt.
    """

    adapter: Change = "tower"
    rank: int = 8
    distillation: float = 1.0
    image_learning_rate: float | None = None
    image_epochs: int | None = None
    calibrate: Calibrate = "none"
    covariance: Covariance = "pooled"
    shrinkage: float = 0.1
    prompts: PromptMode = "shared"
    context: int = 16
    prompt_learning_rate: float = 2e-3
    prompt_decay: float = 1e-4
    prompt_epochs: int | None = None
    batch_size: int = 64
    replay_size: int = 64
    classes_per_step: int = 128
    unseen: Unseen = "changed"

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            require_choice(name, getattr(self, name), allowed)
        for name, least in _AT_LEAST.items():
            optional = name.endswith("_epochs")
            require_whole(name, getattr(self, name), least=least, optional=optional)
        for name in _NOT_NEGATIVE:
            if name != "image_learning_rate" or self.image_learning_rate is not None:
                require_number(name, getattr(self, name))
        if self.shrinkage > 1:
            raise SettingsError(f"shrinkage: expected a number from 0 to 1, found {self.shrinkage}")
        if self.calibrate == "exact" and self.adapter != "feature":
            raise SettingsError(
                "calibrate 'exact' sends statistics of the tower's own features through what is "
                "learnt, which a changed tower cannot do; use it with adapter 'feature', or name "
                "another calibration"
            )
        if self.prompts == "augmented" and self.context % 2:
            raise SettingsError(
                f"context: expected an even number for prompts 'augmented', of which half is the "
                f"task's own, found {self.context}"
            )

    @property
    def image_rate(self) -> float:
        """The learning rate of the image phase's first step."""
        usual = 1e-4 if self.adapter == "tower" else 1e-3
        return usual if self.image_learning_rate is None else self.image_learning_rate

    def phase_steps(self, epochs: int | None, *, images: int) -> int:
        """Return the steps of a phase of so many passes, None for as many as are usual."""
        batches = -(-images // self.batch_size)
        if epochs is not None:
            return epochs * batches
        return min(max(_PASSES * batches, _LEAST_STEPS), _MOST_PASSES * batches)


@dataclass(frozen=True, kw_only=True, slots=True)
class DmcOtSettings(DmcSettings):
    """Settings of DMC-OT: those of DMC with other defaults."""

    calibrate: Calibrate = "transport"
    prompts: PromptMode = "augmented"


WITH_MAPS: tuple[Calibrate, ...] = ("shift", "transport", "paired", "sldc")
"""The calibrations that fit a map to what is measured before and after a task."""

SCORED_TOGETHER = (
    "adapter",
    "rank",
    "calibrate",
    "covariance",
    "prompts",
    "context",
    "unseen",
)
"""What all tasks of an adapter have to share."""
