"""Inspections as text: what a task is, and what may be wrong with it, the worst first."""

from collections.abc import Iterator, Sequence

from adapters.contract.counts import agreeing, counted
from adapters.errors import one_line
from cluster.cli.terminal.output import say
from cluster.cli.terminal.tables import print_table
from cluster.wire.inspection import MOST_SHOWN, InspectedTask, NamedImage, Where

LINES = 10
"""So many findings of each kind are printed; the page and JSON have more."""
CLASSES = 40
AMONG: dict[Where, str] = {
    "across_splits": "in training and test images",
    "across_classes": "in two classes",
    "in_class": "in one class",
}
MB = 1e6


def print_inspection(found: InspectedTask, *, verdict: bool = True) -> None:
    """Print what was found.

    Args:
        found: What was found.
        verdict: Whether to say, too, why it would be refused.
    """
    train, test = found.images_by_split["train"], found.images_by_split["held_out"]
    drawn = ", drawn from the training images" if found.drawn and test else ""
    say(
        f"{found.task}: {counted(found.classes.count, 'class')}, {counted(train, 'training image')}"
        f", {counted(test, 'test image')}{drawn}"
    )
    print_table(
        ("class", "train", "test", "unreadable", "copies", "kB", "sides"),
        [
            (
                each.key,
                each.train,
                each.held_out,
                each.unreadable or None,
                each.copies or None,
                round(each.size_bytes / 1e3),
                "–".join(map(str, dict.fromkeys(each.sides))),
            )
            for each in found.classes.shown[:CLASSES]
        ],
        empty="no classes",
    )
    _more(found.classes.count, min(CLASSES, len(found.classes.shown)), len(found.classes.shown))
    for title, lines, count in _sections(found):
        say("")
        say(title)
        for line in lines[:LINES]:
            say(f"  {one_line(line)}")
        _more(count, min(LINES, len(lines)), len(lines))
    say("")
    _print_estimate(found)
    if verdict or found.submitted:
        _print_verdict(found)


def _more(count: int, shown: int, known: int) -> None:
    """Say how many are left out, and what shows more of the `count` than the `known`."""
    if count > shown:
        asked = "" if known > shown else f"--shown {min(count, MOST_SHOWN)} and "
        say(
            f"  and {count - shown} more; `nacre inspect` with {asked}--report or --output json "
            "shows more of them"
        )


def _sections(found: InspectedTask) -> Iterator[tuple[str, Sequence[str], int]]:
    """Yield a title, lines, and how many there are in all, of each kind that was found."""
    passed = [
        f"{each.reason}: {each.count} ({', '.join(each.examples) or ', '.join(each.kinds)})"
        for source in found.sources.values()
        for each in source.passed_over
    ]
    if passed:
        yield "passed over", passed, len(passed)
    yield from _listed("cannot be used", found.unreadable.count, found.unreadable.shown)
    yield from _listed("prompts of which the encoder does not read the end", found.cut.count,
                       found.cut.shown)  # fmt: skip
    exact = [
        f"{counted(each.count, 'file')} {AMONG[each.where]}: {_named(each.images)}"
        for each in found.exact.shown
    ]
    yield from _listed("files with the same bytes", found.exact.count, exact)
    near = [
        f"{AMONG[each.where]}{', mirrored' if each.mirrored else ''} ({each.likeness:.3f}): "
        f"{_named(each.images)}"
        for each in found.near.shown
    ]
    yield from _listed("files that show one picture", found.near.count, near)
    if found.suspicious is not None:
        doubted = [
            f"{each.image.origin}: labelled {each.image.class_key} ({each.own:.2f}), looks like "
            f"{each.likely} ({each.probability:.2f})"
            for each in found.suspicious.shown
        ]
        yield from _listed("labels that the encoder doubts", found.suspicious.count, doubted)
    if found.outliers is not None:
        far = [
            f"{each.image.origin}: {each.unusual:.1f} deviations farther from all classes than is "
            f"usual, also in {each.image.class_key}"
            for each in found.outliers.shown
        ]
        yield from _listed("images that are like no other", found.outliers.count, far)
    shared = [f"{each.name!r}, a class of task {each.task!r} too" for each in found.shared.shown]
    yield from _listed("names that other tasks have", found.shared.count, shared)
    if found.elsewhere:
        lines = [
            f"{counted(number, 'image')} {agreeing(number, 'is')} also in task {task!r}"
            for task, number in found.elsewhere.items()
        ]
        yield "images that other tasks have", lines, len(lines)


def _listed(
    title: str, count: int, lines: Sequence[str]
) -> Iterator[tuple[str, Sequence[str], int]]:
    if count:
        yield f"{title}: {count}", lines, count


def _named(images: Sequence[NamedImage]) -> str:
    return ", ".join(each.origin for each in images)


def _print_estimate(found: InspectedTask) -> None:
    estimate = found.estimate
    features = (
        "" if estimate.feature_bytes is None else f", features {estimate.feature_bytes / MB:.1f} MB"
    )
    say(f"submitting it takes {estimate.shard_bytes / MB:.1f} MB in the store{features}")
    for stage in estimate.stages:
        took = "nobody can say" if stage.seconds is None else f"{stage.seconds:.1f} s"
        say(f"  {stage.stage}: {took} ({stage.basis})")


def _print_verdict(found: InspectedTask) -> None:
    if found.submitted:
        say(f"submitted before: {found.submitted}")
    elif found.refusals:
        number = len(found.refusals)
        say(f"it would be refused for {counted(number, 'reason')}:")
        for each in found.refusals:
            say(f"  {each.message}")
    else:
        say("it would be accepted as it is")
