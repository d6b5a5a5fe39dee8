"""Settings of own-metric classifiers, and the text weights that every task tries."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from adapters.contract.settings import (
    MethodSettings,
    require,
    require_choice,
    require_number,
    require_whole,
)
from adapters.parts.readout import Fusion

SHARED = ("fusion", "shrinkage", "sharpness")
"""What all tasks of an adapter have in common, since they are scored together."""

Form = Literal[
    "dense",  # a D x D matrix for each task, renewed in every version: the first form
    "low_rank",  # a few directions for each task beside one common metric
    "short_list",  # the same, and the likeliest tasks of an image told apart as in dense form
]

Rule = Literal[
    "plain",  # every class as any other, however many images it has: the first rule
    "counted",  # classes of one task with fewer images than others are told of it
]

LISTED = 8
"""Tasks that short-list form tells apart exactly, of each image."""

TEXT_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnMetricSettings(MethodSettings):
    """Settings of classifiers in their own metrics.

    Attributes:
        fusion: Whether the text logits take part within a task.
        shrinkage: Share of the mean variance that every metric adds in all directions.
        sharpness: How much a squared distance to a class mean counts.
        scale: Length of the anchors at the beginning.
        stretch: How far images are moved away from their class's mean for the training.
        pull: How strongly anchors are held where they began.
        steps: Runs of L-BFGS of 15 iterations each.
        form: How metrics are kept; None for that of the adapter's records, and for dense form
            where there are none.
        rule: Whether classes of few images are told of it; None for `counted`, which is `plain`
            bit for bit where all classes of a task have as many.
    """

    fusion: Fusion = "text"
    shrinkage: float = 0.5
    sharpness: float = 0.05
    scale: float = 20.0
    stretch: float = 1.5
    pull: float = 0.1
    steps: int = 2
    form: Form | None = None
    rule: Rule | None = None

    def __post_init__(self) -> None:
        require_choice("fusion", self.fusion, get_args(Fusion))
        require_number("shrinkage", self.shrinkage)
        require(self.shrinkage > 0, "shrinkage", self.shrinkage, "a number above 0")
        for name in ("sharpness", "scale", "stretch", "pull"):
            require_number(name, getattr(self, name))
        require_whole("steps", self.steps, least=0)
        if self.form is not None:
            require_choice("form", self.form, get_args(Form))
        if self.rule is not None:
            require_choice("rule", self.rule, get_args(Rule))

    def as_mapping(self) -> dict[str, Any]:
        """Return the settings as JSON, without `form` and `rule` where none is named.

        So records in dense form have the bytes that they had before there were two forms, and
        those of evenly many images a class the bytes that they had before there were two rules.
        """
        values = MethodSettings.as_mapping(self)
        return {
            name: value
            for name, value in values.items()
            if value is not None or name not in ("form", "rule")
        }
