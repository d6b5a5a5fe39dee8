"""The hyper-parameters of LADA, with the published values as defaults."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

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
ReplayBank = Literal[
    "none",  # drawn and scored against every old class anew at each step, as published
    "all",  # some draws of every old class, scored once, before the first step
    "sample",  # a fixed number of draws, from components near the new classes above all
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
_OPTIONAL = ("steps", "epochs", "replay_classes")
_NOT_NEGATIVE = ("replay_weight", "alpha", "beta", "learning_rate", "weight_decay")

MOST_DRAWN_ANEW = 1_100
"""Old classes up to which replay is drawn anew at each step by default: as many classes as the
papers' suites have in all, so that these are learnt as published."""

SAMPLED_CLASSES = 128
"""Classes' worth of prototypes in a step that replays from a sampled bank, by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LadaSettings(MethodSettings):
    """Hyper-parameters of LADA; section numbers are those of the paper's equations.

    Attributes:
        memory_per_class: Memory vectors per class, lambda1 (Eq. 5); 0 learns without memory.
        mixture_components: Components per class, lambda2 (Eq. 9).
        replay: How old classes take part in training.
        replay_weight: What one old class weighs against one image of the batch.
        replay_classes: Old classes replayed per step, drawn afresh; None replays all of them. With
            a sampled bank, as many prototypes per step as so many classes have; None is 128.
        replay_bank: How prototypes are drawn and scored; None decides by the number of old classes.
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
    replay_bank: ReplayBank | None = None
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
            require_whole(name, getattr(self, name), least=least, optional=name in _OPTIONAL)
        if self.replay_bank is not None:
            require_choice("replay_bank", self.replay_bank, get_args(ReplayBank))
        for name in _NOT_NEGATIVE:
            require_number(name, getattr(self, name))
        if self.steps is not None and self.epochs is not None:
            raise SettingsError("expected one of 'steps' and 'epochs', found both; leave one out")
        if self.replay_bank == "all" and self.replay_classes is not None:
            raise SettingsError(
                "expected no 'replay_classes' beside replay_bank 'all', found "
                f"{self.replay_classes}; leave it out, or use replay_bank 'sample'"
            )

    def as_mapping(self) -> dict[str, Any]:
        """Return the settings as JSON; `from_mapping` reads them back.

        An unset `replay_bank` is left out: records and checkpoints keep the bytes that they had
        before there was one.
        """
        values = MethodSettings.as_mapping(self)
        if self.replay_bank is None:
            del values["replay_bank"]
        return values

    def bank(self, *, old_classes: int) -> ReplayBank:
        """Return how prototypes are drawn and scored after so many classes."""
        if old_classes == 0:
            return "none"
        if self.replay_bank is not None:
            return self.replay_bank
        return "none" if old_classes <= MOST_DRAWN_ANEW else "sample"

    @property
    def old_weight(self) -> float:
        """What one old class weighs in the numerator of the loss."""
        return self.replay_weight if self.weighting == "code" else 1.0

    @property
    def sampled_rows(self) -> int:
        """Prototypes in a step that replays from a sampled bank."""
        return (self.replay_classes or SAMPLED_CLASSES) * self.mixture_components

    def total_steps(self, *, classes: int, images: int) -> int:
        """Return how many steps a task of that size is trained for.

        `steps` or `epochs` decide where they are set, the budget rule otherwise.
        """
        batches = -(-images // self.batch_size)
        return training_steps(
            steps=self.steps, epochs=self.epochs, classes=classes, batches=batches
        )
