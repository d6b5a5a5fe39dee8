"""The hyper-parameters of LADA, with the published values as defaults."""

from dataclasses import dataclass
from typing import Literal, get_args

from adapters.contract.settings import MethodSettings, require_choice, require_number, require_whole
from adapters.errors import SettingsError
from adapters.parts.schedule import training_steps

TextMode = Literal[
    "adaptformer",  # a fresh tuner in every block of the text tower
    "residual",  # one additive vector per class on cached text features
    "none",  # the anchors stay as they are
]
ReplayMode = Literal[
    "distribution",  # fresh noise around the mixtures' means at every step (Eq. 10)
    "centres",  # the mixtures' means themselves (Eq. 8)
    "none",  # old classes are only negatives
]
Weighting = Literal[
    "code",  # every old class weighs `replay_weight`, every image 1
    "paper",  # old and new classes weigh the same (Eq. 1)
]
Autocast = Literal["none", "bf16", "fp16"]
_CHOICES: dict[str, tuple[str, ...]] = {
    "text": get_args(TextMode),
    "replay": get_args(ReplayMode),
    "weighting": get_args(Weighting),
    "autocast": get_args(Autocast),
}
_AT_LEAST = {
    "memory_per_class": 0,
    "mixture_components": 1,
    "bottleneck": 1,
    "batch_size": 1,
    "views": 1,
    "steps": 0,
    "epochs": 1,
    "replay_classes": 1,
}
_NOT_NEGATIVE = ("replay_weight", "alpha", "beta", "learning_rate", "weight_decay")


@dataclass(frozen=True, kw_only=True, slots=True)
class LadaSettings(MethodSettings):
    """Hyper-parameters of LADA; section numbers are those of the paper's equations.

    Attributes:
        memory_per_class: Memory vectors per class, lambda1 (Eq. 5); 0 learns without memory.
        mixture_components: Components per class, lambda2 (Eq. 9).
        replay: How old classes take part in training.
        replay_weight: What one old class weighs against one image of the batch.
        replay_classes: Old classes replayed per step, drawn afresh; None replays all of them.
        weighting: How old classes weigh against new ones.
        alpha: Factor of the memory logits beside the text logits.
        beta: Sharpness of the memory's affinity (Eq. 6).
        text: What is learnt on the text side.
        bottleneck: Width of the tuner's bottleneck.
        learning_rate: Peak of the one-cycle schedule.
        weight_decay: AdamW's decoupled decay.
        batch_size: Images per step.
        epochs: Passes over the images; None leaves the length to `steps` or to the budget rule.
        steps: Steps; None leaves the length to `epochs` or to the budget rule.
        views: Views per image in the feature cache; 1 is the test transform alone.
        autocast: Precision of the products.
    """

    memory_per_class: int = 16
    mixture_components: int = 4
    replay: ReplayMode = "distribution"
    replay_weight: float = 64.0
    replay_classes: int | None = None
    weighting: Weighting = "code"
    alpha: float = 1.0
    beta: float = 1.0
    text: TextMode = "adaptformer"
    bottleneck: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    batch_size: int = 64
    epochs: int | None = None
    steps: int | None = None
    views: int = 1
    autocast: Autocast = "none"

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            require_choice(name, getattr(self, name), allowed)
        for name, least in _AT_LEAST.items():
            optional = name in ("steps", "epochs", "replay_classes")
            require_whole(name, getattr(self, name), least=least, optional=optional)
        for name in _NOT_NEGATIVE:
            require_number(name, getattr(self, name))
        if self.steps is not None and self.epochs is not None:
            raise SettingsError("expected one of 'steps' and 'epochs', found both; leave one out")

    def total_steps(self, *, classes: int, images: int) -> int:
        """Return how many steps a task of that size is trained for.

        `steps` or `epochs` decide where they are set, the budget rule otherwise.
        """
        batches = -(-images // self.batch_size)
        return training_steps(
            steps=self.steps, epochs=self.epochs, classes=classes, batches=batches
        )
