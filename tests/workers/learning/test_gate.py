"""The promotion gate: what is served, what is built upon, and why not."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError

from adapters.mistakes import ChangedImage, Comparison
from workers.learning.gate import Gate, Mode, Verdict, judge
from workers.registry import TaskAccuracy


def measured(**accuracies: float) -> list[TaskAccuracy]:
    return [
        TaskAccuracy(task=task, accuracy=value, images=100) for task, value in accuracies.items()
    ]


BEFORE = measured(birds=0.9, boats=0.8)
STRICT = Gate(mode="gate", max_drop=0.02, min_accuracy=0.5)


def verdict(gate: Gate, **after: float) -> Verdict:
    earlier = [entry.task for entry in BEFORE]
    return judge(gate, task="digits", earlier=earlier, before=BEFORE, after=measured(**after))


FORGETFUL = {"birds": 0.1, "boats": 0.1, "digits": 0.1}
MODES: list[tuple[Mode, bool, bool]] = [
    # whatever was measured, everything is served
    ("auto", True, True),
    # neither built upon nor served
    ("gate", False, False),
    # people decide what is served; the next task builds on it in any case
    ("manual", True, False),
]


@pytest.mark.parametrize(("mode", "built_upon", "served"), MODES)
def test_the_mode_decides_what_becomes_of_a_version_that_forgets(
    mode: Mode, built_upon: bool, served: bool
) -> None:
    found = verdict(Gate(mode=mode), **FORGETFUL)
    assert (found.built_upon, found.served) == (built_upon, served)
    assert (found.reasons == ()) == served


GATED = [
    # better everywhere
    ({"birds": 0.95, "boats": 0.85, "digits": 0.9}, []),
    # just as much as may be lost; 0.9 - 0.88 is a little more than 0.02 in binary
    ({"birds": 0.88, "boats": 0.78, "digits": 0.9}, []),
    ({"birds": 0.87, "boats": 0.8, "digits": 0.9}, ["'birds' drops from 90.0% to 87.0%"]),
    (
        {"birds": 0.5, "boats": 0.4, "digits": 0.9},
        ["'birds' drops from 90.0% to 50.0%", "'boats' drops from 80.0% to 40.0%"],
    ),
    # just good enough
    ({"birds": 0.9, "boats": 0.8, "digits": 0.5}, []),
    ({"birds": 0.9, "boats": 0.8, "digits": 0.49}, ["'digits' is 49.0%, below 50.0%"]),
    # the new task first, then the earlier ones
    ({"birds": 0.1, "boats": 0.8, "digits": 0.1}, ["'digits' is 10.0%", "'birds' drops"]),
    # what cannot be measured, whatever else was
    ({"boats": 0.8, "digits": 0.9}, ["nobody knows how well 'birds' is recognised"]),
    ({"birds": 0.9, "boats": 0.8}, ["nobody knows how well 'digits' is recognised"]),
    ({"boats": 0.1}, ["'boats' drops", "how well 'birds', 'digits' is"]),
]


@pytest.mark.parametrize(("after", "reasons"), GATED)
def test_a_version_is_refused_for_what_it_forgets_and_for_what_it_has_not_learnt(
    after: dict[str, float], reasons: list[str]
) -> None:
    found = verdict(STRICT, **after)
    assert len(found.reasons) == len(reasons)
    assert all(part in reason for part, reason in zip(reasons, found.reasons, strict=True))
    assert (found.built_upon, found.served) == (not reasons, not reasons)


LENIENT = replace(STRICT, unmeasured="pass")
PASSED = [
    # what is measured decides, and what is not is told with the version
    ({"boats": 0.8, "digits": 0.9}, True, ("birds",), "passed, but nobody knows how well 'birds'"),
    ({"boats": 0.8}, True, ("birds", "digits"), "passed, but nobody knows"),
    ({"boats": 0.1, "digits": 0.9}, False, ("birds",), "accuracy on 'boats' drops"),
    ({"birds": 0.9, "boats": 0.8, "digits": 0.9}, True, (), None),
]


@pytest.mark.parametrize(("after", "passes", "unmeasured", "said"), PASSED)
def test_what_cannot_be_measured_passes_by_a_setting_and_is_said_all_the_same(
    after: dict[str, float], passes: bool, unmeasured: tuple[str, ...], said: str | None
) -> None:
    found = verdict(LENIENT, **after)
    assert (found.built_upon, found.served, found.unmeasured) == (passes, passes, unmeasured)
    assert found.said is None if said is None else str(found.said).startswith(said)


def test_a_task_without_an_earlier_accuracy_cannot_be_compared() -> None:
    after = measured(birds=0.9, digits=0.9)
    found = judge(STRICT, task="digits", earlier=["birds"], before=(), after=after)
    assert (found.served, found.unmeasured) == (False, ("birds",))


DEMANDS_LESS = [
    # nothing is demanded of earlier tasks
    (Gate(mode="gate", max_drop=1.0, min_accuracy=0.5), {"digits": 0.9}, ()),
    # nor of the new one
    (Gate(mode="gate", max_drop=1.0), {}, ()),
    # what cannot be measured now could not be compared with later
    (Gate(mode="gate"), {"birds": 0.9, "boats": 0.8}, ("digits",)),
    # these do not ask what was measured
    (Gate(mode="auto"), {}, ()),
    (Gate(mode="manual"), {}, ()),
]


@pytest.mark.parametrize(("gate", "after", "unmeasured"), DEMANDS_LESS)
def test_only_what_the_rule_demands_has_to_be_measured(
    gate: Gate, after: dict[str, float], unmeasured: tuple[str, ...]
) -> None:
    assert verdict(gate, **after).unmeasured == unmeasured


def test_a_task_that_is_replaced_has_no_accuracy_to_lose() -> None:
    after = measured(boats=0.8, digits=0.9)
    found = judge(STRICT, task="digits", earlier=["boats"], before=BEFORE, after=after)
    assert found == Verdict(built_upon=True, served=True)


def test_the_first_version_has_nothing_to_forget() -> None:
    found = judge(STRICT, task="digits", earlier=(), before=(), after=measured(digits=0.6))
    assert found == Verdict(built_upon=True, served=True)


ALIASES = [
    (Verdict(built_upon=True, served=True), ("head", "production")),
    (Verdict(built_upon=True, served=False), ("head",)),
    (Verdict(built_upon=False, served=False), ()),
]


@pytest.mark.parametrize(("said", "aliases"), ALIASES)
def test_the_verdict_names_the_aliases_that_move(said: Verdict, aliases: tuple[str, ...]) -> None:
    assert said.aliases == aliases


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "sometimes"},
        {"max_drop": 1.5},
        {"min_accuracy": -0.1},
    ],
)
def test_an_impossible_rule_is_refused_where_it_is_read(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Gate).validate_python(settings)


def compared(*, won: int, lost: int, images: int = 100) -> Comparison:
    change = ChangedImage(place=0, truth="a", before="b", after="c", confidence=0.5)
    return Comparison(images=images, won=(change,) * won, lost=(change,) * lost)


SIGNIFICANT = replace(STRICT, significant=True)


def judged(gate: Gate, lost: int, won: int) -> Verdict:
    return judge(
        gate,
        task="digits",
        earlier=["birds", "boats"],
        before=BEFORE,
        after=measured(birds=0.9 - (lost - won) / 100, boats=0.8, digits=0.9),
        compared={"birds": compared(won=won, lost=lost)},
    )


def test_a_drop_within_chance_passes_where_only_significant_ones_count() -> None:
    assert judged(SIGNIFICANT, lost=5, won=0).served
    assert not judged(STRICT, lost=5, won=0).served


def test_a_significant_drop_is_refused_with_the_numbers() -> None:
    (reason,) = judged(SIGNIFICANT, lost=12, won=1).reasons
    assert reason.endswith("by more than 2.0% (12 images lost, 1 won, p = 0.003)")


def test_a_significant_drop_that_may_be_passes_all_the_same() -> None:
    assert judged(replace(SIGNIFICANT, max_drop=0.2), lost=12, won=1).served


def test_a_drop_that_nobody_has_tested_counts() -> None:
    after = measured(birds=0.85, boats=0.8, digits=0.9)
    found = judge(
        SIGNIFICANT, task="digits", earlier=["birds", "boats"], before=BEFORE, after=after
    )
    assert not found.served
