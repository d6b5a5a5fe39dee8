"""Advice on a method in a terminal, and as a document."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from adapters.contract.counts import counted
from cluster.cli.terminal.output import say
from cluster.cli.terminal.tables import print_table

if TYPE_CHECKING:
    from cluster.wire.outputs.advice import GivenAdvice
    from harness.advice.advice import Advice, Way

COMMAND = "make bench-advice"


def advice_document(found: "Advice") -> "GivenAdvice":
    """Return advice as `--output json` prints it."""
    from cluster.wire.outputs.advice import GivenAdvice

    ways = [_way(way) for way in found.ways]
    need = {name: value for name, value in asdict(found.need).items() if name != "learns_tower"}
    return GivenAdvice.model_validate(
        {
            "need": need,
            "recommended": _way(found.recommended),
            "runner_up": None if found.runner_up is None else _way(found.runner_up),
            "ways": ways,
            "measured_on": [
                {name: value for name, value in asdict(line).items() if name != "methods"}
                for line in found.lines
            ],
            "command": COMMAND,
            "reasons": list(found.reasons),
            "towers": dict(found.towers) or None,
        }
    )


def _way(way: "Way") -> dict[str, Any]:
    values = {name: value for name, value in asdict(way).items() if name not in ("way", "lasts")}
    figures = {"last": way.last, "half": way.half}
    return {"method": way.method, "settings": way.settings, **figures, **values}


def print_advice(found: "Advice") -> None:
    """Print advice for people."""
    from harness.advice.advice import megabytes

    need, best = found.need, found.recommended
    say(
        f"{counted(need.tasks, 'task')}, {counted(need.classes, 'class')} in all, "
        f"{counted(need.images, 'training image')} a class"
    )
    said = "; ".join(f"{key}: {value}" for key, value in best.settings.items())
    where = f", and in the settings of its first task {said}" if said else ""
    say(f"take {best.method}: adapters: {{NAME: {{method: {best.method}}}}}{where}")
    for reason in found.reasons:
        say(f"- {reason}")
    if found.runner_up is not None:
        say(f"next best: {found.runner_up.method}")
    rows = [
        [
            way.way,
            f"{way.last:.1f}" + (f" ± {way.half:.1f}" if way.half else ""),
            megabytes(way.task_bytes),
            megabytes(way.class_bytes),
            megabytes(way.memory),
            f"{way.learning_s:,.2g}",
            f"{way.scoring_ms:,.2g}",
            way.refused,
        ]
        for way in found.ways
    ]
    columns = ("method", "right %", "a task", "a class", "replica", "learning s", "image ms", "but")
    print_table(columns, rows, empty="nothing was weighed", prose=("but",))
    say(f"bytes and seconds are of features of width 512, one thread; measured by `{COMMAND}`")
    if found.towers:
        _print_towers(found.towers)


def _print_towers(towers: Any) -> None:
    say(
        f"{towers['collection']}, {counted(towers['tasks'], 'task')}, "
        f"{towers['images']} images a class, by `{towers['command']}`:"
    )
    rows = [
        [
            each["method"],
            f"{each['average']:.1f}",
            f"{each['last']:.1f} ± {each['half']:.1f}",
            f"{each['learning_s']:,.3g}",
        ]
        for each in towers["methods"]
    ]
    print_table(("method", "average", "right %", "learning s"), rows, empty="nothing was measured")
