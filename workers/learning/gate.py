"""The promotion gate: whether a newly measured version may be served.

A pure decision. `auto` serves every version. `gate` serves one that recognises its new task well
enough and forgets no earlier one by too much; another one is kept, and neither served nor built
upon. `manual` builds on every version, and leaves it to people to serve it.

What `gate` cannot measure, because a task has no test images here, is as good a reason to keep a
version back as what it measures, unless `unmeasured: pass` says otherwise. Either way it is said.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from pydantic import Field

from adapters.contract.counts import agreeing
from adapters.mistakes import Comparison
from workers.registry import TaskAccuracy

Mode = Literal["auto", "gate", "manual"]
Unmeasured = Literal[
    "reject",  # a version of which not everything was measured is rejected
    "pass",  # it is judged by what was measured, and what was not is written down with it
]
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
        unmeasured: For `gate`: what becomes of a version of which it cannot measure everything.
        significant: For `gate`: whether a drop counts only where chance alone seldom makes it, by
            McNemar's test on the same images. What is lost on few test images passes then.
    """

    mode: Mode = "auto"
    max_drop: Fraction = 0.02
    min_accuracy: Fraction = 0.0
    unmeasured: Unmeasured = "reject"
    significant: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the gate has decided.

    Attributes:
        built_upon: Whether `head` moves to the version.
        served: Whether `production` does.
        reasons: Why not, one sentence each.
        unmeasured: Tasks that the gate could not measure.
    """

    built_upon: bool
    served: bool
    reasons: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def said(self) -> str | None:
        """Everything that there is to say of the version; None where there is nothing."""
        passed = (f"passed, but {_unknown(self.unmeasured)}",) if self.unmeasured else ()
        return "; ".join(self.reasons or passed) or None

    def waiting_for(self, tasks: Sequence[str]) -> Self:
        """Return the same, not served before `tasks` are there, which `production` has now."""
        if not self.served or not tasks:
            return self
        named = ", ".join(map(repr, tasks))
        why = (
            f"production stays where it is until {named} {agreeing(len(tasks), 'is')} learnt again"
        )
        return replace(self, served=False, reasons=(*self.reasons, why))

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases that move to the version."""
        return ("head",) * self.built_upon + ("production",) * self.served


def judge(
    gate: Gate,
    *,
    task: str,
    earlier: Sequence[str],
    before: Sequence[TaskAccuracy],
    after: Sequence[TaskAccuracy],
    compared: Mapping[str, Comparison] | None = None,
) -> Verdict:
    """Return what `gate` says of a version.

    Args:
        gate: The rule.
        task: The new task.
        earlier: The tasks that the version has besides it.
        before: Accuracies of the version that it was learnt on.
        after: Its own.
        compared: What it has won and lost of the test images of earlier tasks, by their names; a
            drop on what is not in here counts.
    """
    if gate.mode == "auto":
        return Verdict(built_upon=True, served=True)
    if gate.mode == "manual":
        return Verdict(built_upon=True, served=False, reasons=("promotion is by hand",))
    measured = {entry.task: entry.accuracy for entry in after}
    names = frozenset(earlier)
    tested = (compared or {}) if gate.significant else {}
    reasons = [
        f"accuracy on {entry.task!r} drops from {entry.accuracy:.1%} to "
        f"{measured[entry.task]:.1%}, by more than {gate.max_drop:.1%}{_tested(tested, entry.task)}"
        for entry in before
        if entry.task in names
        and entry.task in measured
        and entry.accuracy - measured[entry.task] > gate.max_drop + ROUNDING
        and not (entry.task in tested and not tested[entry.task].is_significant)
    ]
    if task in measured and measured[task] < gate.min_accuracy:
        reasons.insert(
            0,
            f"accuracy on {task!r} is {measured[task]:.1%}, below {gate.min_accuracy:.1%}",
        )
    unmeasured = _unmeasured(gate, task=task, earlier=earlier, before=before, measured=measured)
    if unmeasured and gate.unmeasured == "reject":
        reasons.append(
            f"{_unknown(unmeasured)}; `unmeasured: pass` beside `mode: gate` lets such versions "
            "through"
        )
    passed = not reasons
    return Verdict(built_upon=passed, served=passed, reasons=tuple(reasons), unmeasured=unmeasured)


def _unmeasured(
    gate: Gate,
    *,
    task: str,
    earlier: Sequence[str],
    before: Sequence[TaskAccuracy],
    measured: Collection[str],
) -> tuple[str, ...]:
    """Return the tasks of which `gate` demands something that nobody can know."""
    may_drop, may_be_wrong = gate.max_drop >= 1.0, gate.min_accuracy <= 0.0
    compared = {entry.task for entry in before if entry.task in measured}
    unknown = () if may_drop else tuple(name for name in earlier if name not in compared)
    # What cannot be measured now could not be compared with later either.
    own = () if task in measured or (may_drop and may_be_wrong) else (task,)
    return unknown + own


def _tested(tested: Mapping[str, Comparison], task: str) -> str:
    if task not in tested:
        return ""
    found = tested[task]
    return f" ({len(found.lost)} images lost, {len(found.won)} won, p = {found.p:.3f})"


def _unknown(tasks: Sequence[str]) -> str:
    named = ", ".join(map(repr, tasks))
    return (
        f"nobody knows how well {named} is recognised: this store has no test images of it, or no "
        "earlier accuracy"
    )
