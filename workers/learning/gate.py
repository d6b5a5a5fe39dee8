"""The promotion gate: whether a newly measured version may be served.

A pure decision. `auto` serves every version. `gate` serves one that recognises its new task well
enough and forgets no earlier one by too much; another one is kept, and neither served nor built
upon. `manual` builds on every version, and leaves it to people to serve it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from workers.registry import TaskAccuracy

Mode = Literal["auto", "gate", "manual"]
Fraction = Annotated[float, Field(ge=0, le=1)]

ROUNDING = 1e-9
"""Less than one image among many, more than what differences of accuracies are rounded by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """What a version must reach to be served.

    Attributes:
        mode: `auto`, `gate` or `manual`.
        max_drop: For `gate`: by how much the accuracy on any earlier task may drop, 0 to 1.
        min_accuracy: For `gate`: the least accuracy on the new task, 0 to 1.
    """

    mode: Mode = "auto"
    max_drop: Fraction = 0.02
    min_accuracy: Fraction = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the gate has decided.

    Attributes:
        built_upon: Whether `head` moves to the version.
        served: Whether `production` does.
        reasons: Why not, one sentence each.
    """

    built_upon: bool
    served: bool
    reasons: tuple[str, ...] = ()

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases that move to the version."""
        return ("head",) * self.built_upon + ("production",) * self.served


def judge(
    gate: Gate, *, task: str, before: Sequence[TaskAccuracy], after: Sequence[TaskAccuracy]
) -> Verdict:
    """Return what `gate` says of a version.

    Args:
        gate: The rule.
        task: The new task.
        before: Accuracies of the version that it was learnt on.
        after: Its own.
    """
    if gate.mode == "auto":
        return Verdict(built_upon=True, served=True)
    if gate.mode == "manual":
        return Verdict(built_upon=True, served=False, reasons=("promotion is by hand",))
    measured = {entry.task: entry.accuracy for entry in after}
    reasons = [
        f"accuracy on {entry.task!r} drops from {entry.accuracy:.1%} to "
        f"{measured[entry.task]:.1%}, by more than {gate.max_drop:.1%}"
        for entry in before
        if entry.task in measured
        and entry.accuracy - measured[entry.task] > gate.max_drop + ROUNDING
    ]
    if task in measured and measured[task] < gate.min_accuracy:
        reasons.insert(
            0,
            f"accuracy on {task!r} is {measured[task]:.1%}, below {gate.min_accuracy:.1%}",
        )
    passed = not reasons
    return Verdict(built_upon=passed, served=passed, reasons=tuple(reasons))
