"""Advice: the method that measured tables recommend for some tasks, and why.

Accuracies are those of the collections that are most like what is asked about: by images a class,
classes a task and number of tasks, each as a ratio. The most accurate way that fits is recommended;
of several that differ by less than `ALIKE` points the one whose versions take the least memory.
Where the nearest class mean is within `ENOUGH` points of it, that is enough.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from adapters.contract.counts import counted
from adapters.errors import SettingsError
from harness.advice.measured import Accuracy, Line, Tables
from harness.table import Figure

NEAREST_MEAN = "nearest_mean"
ALIKE = 0.5
"""Points that are no difference: two draws of images differ by as much."""
ENOUGH = 1.0
"""Points for which a method a hundred times as simple is enough."""
WITHIN = 2.0
"""Collections are asked as long as they are no further than this beyond the nearest one."""
FAR = 3.0
"""From here on what is asked about is unlike whatever was measured: a factor of eight."""
MOST_IMAGES: Mapping[str, int] = {"dual_rail": 20_000}
"""Training images of a version that a method refuses to go beyond."""
FIRST_TASKS = 16
"""Up to so many tasks short-list form is the first form, bit for bit."""
SHORT_LIST = "own_metric short_list"


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What somebody wants to learn, and what they have for it.

    Attributes:
        tasks: How many, one after another.
        classes: Of all tasks.
        images: Training images of a class, in the middle.
        memory: Bytes that a version may take in a replica; None for no limit.
        seconds: Of a processor that learning a task may take; None for no limit.
        learns_tower: Whether methods that train the image tower are asked about, too.
    """

    tasks: int
    classes: int
    images: int
    memory: int | None = None
    seconds: float | None = None
    learns_tower: bool = False

    def __post_init__(self) -> None:
        for name in ("tasks", "classes", "images"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected at least 1, found {getattr(self, name)}")
        if self.classes < self.tasks:
            raise SettingsError(
                f"classes: expected those of all tasks, at least one for each of "
                f"{counted(self.tasks, 'task')}, found {self.classes}"
            )

    @property
    def images_of_task(self) -> float:
        """Training images of a task."""
        return self.classes * self.images / self.tasks


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """What one way to learn would give.

    Attributes:
        way: A method, and a form of it behind a space.
        lasts: Accuracy in percent where what was measured is most like what is asked about, for
            each draw of images.
        task_bytes: Of the record of a task.
        class_bytes: The same by its classes.
        memory: Bytes of a version of all tasks in a replica.
        learning_s: Seconds of a processor to learn a task.
        scoring_ms: To score one image among all tasks.
        growing_ms: For a replica to follow one more task, and score one image.
        refused: Why it cannot be had; empty where it can.
    """

    way: str
    lasts: tuple[float, ...]
    task_bytes: int
    class_bytes: int
    memory: int
    learning_s: float
    scoring_ms: float
    growing_ms: float
    refused: str = ""

    @property
    def last(self) -> float:
        """The mean over draws."""
        return fmean(self.lasts)

    @property
    def half(self) -> float | None:
        """Half of the 95 % interval of that mean; None of one draw."""
        return Figure.of(self.lasts).half

    def lead(self, other: "Way") -> Figure:
        """Return by how many points this is better than `other`, draw by draw."""
        return Figure.of(
            [mine - theirs for mine, theirs in zip(self.lasts, other.lasts, strict=False)]
        )

    @property
    def method(self) -> str:
        """What the configuration calls it."""
        return self.way.partition(" ")[0]

    @property
    def settings(self) -> dict[str, str]:
        """What the first task of the adapter says."""
        form = self.way.partition(" ")[2]
        return {"form": form} if form else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What is recommended.

    Attributes:
        need: For what.
        recommended: The way to take.
        runner_up: The best one of another method; None where nothing else fits.
        ways: All that were weighed, the most accurate first.
        lines: What their accuracies were measured on.
        reasons: Sentences.
        towers: Methods that train the image tower beside others; none where nobody asked.
    """

    need: Need
    recommended: Way
    runner_up: Way | None
    ways: Sequence[Way]
    lines: Sequence[Line]
    reasons: Sequence[str]
    towers: Mapping[str, Any] = field(default_factory=dict)


def advise(need: Need, tables: Tables) -> Advice:
    """Return what the tables recommend.

    Args:
        need: What is to be learnt.
        tables: What was measured.

    Raises:
        SettingsError: nothing fits into memory and time.
    """
    lines = lines_like(need, tables.lines)
    ways = sorted(_ways(need, lines, tables), key=lambda way: -way.last)
    fitting = [way for way in ways if not way.refused]
    if not fitting:
        raise _nothing_fits(need, ways)
    best = fitting[0]
    alike = [way for way in fitting if best.last - way.last < ALIKE]
    chosen = min(alike, key=lambda way: way.memory)
    simple = next((way for way in fitting if way.way == NEAREST_MEAN), None)
    if simple is not None and best.last - simple.last <= ENOUGH:
        chosen = simple
    others = [way for way in fitting if way.method != chosen.method]
    runner_up = others[0] if others else None
    return Advice(
        need=need,
        recommended=chosen,
        runner_up=runner_up,
        ways=ways,
        lines=lines,
        reasons=(
            *_reasons(need, chosen, runner_up, best, ways, lines),
            *_unmeasured(ways, tables.times),
        ),
        towers=tables.towers if need.learns_tower else {},
    )


def lines_like(need: Need, lines: Sequence[Line]) -> list[Line]:
    """Return of each collection that is like what is asked about its nearest line."""
    nearest: dict[str, tuple[float, Line]] = {}
    for line in lines:
        found = _distance(need, line), line
        known = nearest.get(line.collection)
        if known is None or found[0] < known[0]:
            nearest[line.collection] = found
    least = min(distance for distance, _ in nearest.values())
    return [line for distance, line in nearest.values() if distance <= least + WITHIN]


def _distance(need: Need, line: Line) -> float:
    """Return how unlike a line is: doublings of images, of classes a task, and half of tasks'."""
    pairs = (
        (need.images, line.images, 1.0),
        (need.classes / need.tasks, line.classes / line.tasks, 1.0),
        (need.tasks, line.tasks, 0.5),
    )
    return sum(weight * abs(math.log2(mine / theirs)) for mine, theirs, weight in pairs)


def _ways(need: Need, lines: Sequence[Line], tables: Tables) -> list[Way]:
    common = set.intersection(*(set(line.methods) for line in lines))
    found = []
    for way in tables.times:
        base = "own_metric" if way == SHORT_LIST and way not in common else way
        if base not in common or (way == SHORT_LIST and need.tasks <= FIRST_TASKS):
            continue
        figures = [line.methods[base] for line in lines]
        found.append(_way(need, way, figures, tables))
    return found


def _way(need: Need, way: str, figures: Sequence[Accuracy], tables: Tables) -> Way:
    images = round(need.classes * need.images)
    record, times = tables.records[way], tables.times[way]
    stored = record.bytes_of(tasks=need.tasks, classes=need.classes, images=images)
    memory = tables.memory[way].bytes_of(tasks=need.tasks, classes=need.classes, images=images)
    learning_s = times.learning_s(need.images_of_task)
    draws = min(len(each.lasts) for each in figures)
    return Way(
        way=way,
        lasts=tuple(fmean(each.lasts[draw] for each in figures) for draw in range(draws)),
        task_bytes=round(stored / need.tasks),
        class_bytes=round(stored / need.classes),
        memory=memory,
        learning_s=learning_s,
        scoring_ms=times.scoring[0] + need.tasks * times.scoring[1],
        growing_ms=times.growing[0] + need.tasks * times.growing[1],
        refused=_refused(need, way, images=images, memory=memory, learning_s=learning_s),
    )


def _refused(need: Need, way: str, *, images: int, memory: int, learning_s: float) -> str:
    most = MOST_IMAGES.get(way)
    if most is not None and images > most:
        return f"takes at most {most:,} training images, and there are {images:,}"
    if need.memory is not None and memory > need.memory:
        return f"needs {megabytes(memory)} a replica"
    if need.seconds is not None and learning_s > need.seconds:
        return f"needs {learning_s:,.3g} s a task"
    return ""


def megabytes(count: float) -> str:
    """Return a number of bytes for people."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _nothing_fits(need: Need, ways: Sequence[Way]) -> SettingsError:
    least = min(ways, key=lambda way: way.memory)
    quickest = min(ways, key=lambda way: way.learning_s)
    return SettingsError(
        f"expected {megabytes(least.memory)} a replica ({least.way}) and "
        f"{quickest.learning_s:,.2g} s a task ({quickest.way}) at least, found room for less: "
        + "; ".join(f"{way.way} {way.refused}" for way in ways)
        + "; give --memory or --seconds more, or learn fewer classes for one adapter",
        memory=need.memory,
        seconds=need.seconds,
    )


def _reasons(
    need: Need,
    chosen: Way,
    runner_up: Way | None,
    best: Way,
    ways: Sequence[Way],
    lines: Sequence[Line],
) -> list[str]:
    where = " and ".join(
        f"{line.collection} ({counted(line.images, 'image')} a class)" for line in lines
    )
    found = [f"measured on {where}, {chosen.last:.1f} % of answers after the last task are right"]
    if chosen.way == NEAREST_MEAN and best is not chosen:
        found.append(
            f"{best.way} is {_points(best.lead(chosen))} better there, no more than "
            f"{ENOUGH:g}: the nearest class mean is enough, and keeps {chosen.class_bytes:,} bytes "
            f"a class, where {best.way} keeps {best.class_bytes:,}"
        )
    elif chosen is not best and chosen.method != best.method:
        found.append(
            f"{best.way} is {_points(best.lead(chosen))} better there, which is no "
            f"difference, and needs {megabytes(best.memory)} a replica where {chosen.way} needs "
            f"{megabytes(chosen.memory)}"
        )
    if runner_up is not None and chosen.way != NEAREST_MEAN:
        found.append(_beside(chosen, runner_up))
    first = next((way for way in ways if way.way == chosen.method), None)
    if chosen.way == SHORT_LIST and first is not None:
        found.append(
            f"with {counted(need.tasks, 'task')}, the first form would take "
            f"{first.growing_ms:,.0f} ms for each task that follows and {first.scoring_ms:,.0f} ms "
            f"for an image, and this one {chosen.growing_ms:,.0f} and {chosen.scoring_ms:,.0f}"
        )
    better = [way for way in ways if way.refused and way.last > chosen.last + ALIKE]
    found += [
        f"{way.way} is better by {way.last - chosen.last:.1f}, but {way.refused}" for way in better
    ]
    least = min(_distance(need, line) for line in lines)
    if least >= FAR:
        found.append(
            "nothing like this was measured, by a factor of eight and more in images, classes and "
            "tasks together: measure it with `nacre bench xtail`"
        )
    return found


def _unmeasured(ways: Sequence[Way], known: Iterable[str]) -> list[str]:
    """Return a sentence about methods that were not weighed."""
    weighed = {way.method for way in ways}
    missing = sorted({way.partition(" ")[0] for way in known} - weighed)
    return [f"not measured there: {', '.join(missing)}"] if missing else []


def _beside(chosen: Way, other: Way) -> str:
    lead = chosen.lead(other)
    if abs(lead.mean) < ALIKE:
        return f"{other.way} is as good ({other.last:.1f} %)"
    said = f"{other.way} has {_points(lead)} {'less' if lead.mean > 0 else 'more'}"
    if lead.half is not None and abs(lead.mean) < lead.half:
        said += ", which chance can make"
    return said


def _points(lead: Figure) -> str:
    """Return a lead in words, whichever sign it has."""
    interval = f" ± {lead.half:.1f}" if lead.half else ""
    return f"{abs(lead.mean):.1f}{interval} points"
