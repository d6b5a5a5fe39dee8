"""What `nacre advise` knows: accuracies and costs of methods, measured: `make bench-advice`.

    python -m benchmarks.advice [--part accuracies] [--methods own_metric,gda] [--write]

1. Accuracies after the last task, the classes learnt being candidates, by images a class: the four
   sets of cached CLIP features (without text), the ten sets under the encoder that comes with
   nacre, CIFAR-10 in five tasks under its vision transformer, and features of the first as one task
   and cut into tasks of ten, of two classes and of one.
2. Bytes of records and of loaded versions, what each task, class and image adds to them.
3. Seconds to learn, and milliseconds to open, to score and to follow one more task.

4. Methods that train the tower, as the table in docs/bench.md has them that `make bench-systems`
   made.

Fewer images are the first of a draw, one for each seed. `--write` puts what was measured in the
place of what `harness/advice/measured.json` has of the same, and keeps all else there. Takes about
half an hour on one core.
Prints tables and writes benchmarks/out/advice.json.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import click
import torch

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState
from adapters.contract.learning import learn
from adapters.contract.records import Record, encode_record
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods import method_named
from benchmarks.absent import need_features, need_images
from benchmarks.cifar10 import cifar10
from benchmarks.feature_sets import SEQUENCE, default_folder, feature_set
from benchmarks.metric_forms import cut
from benchmarks.random_records import WIDTH
from benchmarks.scale_memory import copy_of, living_bytes
from benchmarks.systems import CIFAR10, written
from benchmarks.table import Row, grid, judged
from cluster.config import home
from harness.advice.measured import MEASURED, WAYS
from harness.measured_set import MeasuredSet, accuracy
from harness.suite import read_suite
from harness.table import Figure
from harness.xtail import Xtail
from tests.adapters.synthetic import SCALE, class_means, clusters

PAGE, ADVICE = Path("docs/bench.md"), Path("docs/advise.md")
OF_TOWERS = "| method | Average | Last | kB a task | kB a version | learning s | request |"
TEN_SETS = Path("deploy/suites/ten-sets.yaml")
PARTS = ("towers", "sizes", "times", "accuracies")
SHOTS = (1, 2, 4, 8, 16)
SLOW = {"lada": (1, 4, 16)}
"""Numbers of images that methods are measured with whose learning takes minutes."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "own_metric": {},
    "own_metric short_list": {"form": "short_list"},
    "lada": {"text": "residual"},
}
WITHOUT_TEXT: Mapping[str, Mapping[str, Any]] = {
    "nearest_mean": {},
    "lada": {"text": "residual", "epochs": 30},
}
"""Settings on cached features, whose text anchors would know the validation images."""
PER = ("task", "class", "image")
HEADINGS = (
    "way",
    *(f"{where}, kB a {part}" for where in ("record", "loaded") for part in PER),
    "learning s",
    "an image among T tasks, ms",
    "one more task and an image, ms",
)
FIRST, ONE_MORE = 17, 18
TASKS: Mapping[str, tuple[int, int, int]] = {"dual_rail": (6, 12, 18)}
MANY = (20, 71, 122)
"""Tasks of the versions whose tensors are counted: 1,020 classes more fill a tile."""
BOUNDED = ("own_metric short_list",)
"""Ways whose bytes no image adds to from some number on, which is taken for all."""
SHAPES = ((10, 16), (20, 16), (10, 8))
"""Classes of a task and images of a class that sizes are found from."""
LEARNT = ((2, 1), (10, 16), (100, 16))


class _Collection(NamedTuple):
    name: str
    sets: Callable[[int, int], list[MeasuredSet]]
    shots: Sequence[int]
    settings: Mapping[str, Mapping[str, Any]] | None
    seeds: int
    ways: Sequence[str]


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS)
@click.option("--methods", default=",".join(WAYS), help="Only these, with commas between.")
@click.option("--collection", "only", default="", help="Only those whose name has this in it.")
@click.option("--features", type=click.Path(path_type=Path), default=default_folder())
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
@click.option("--seeds", default=3, help="Draws of images.")
@click.option("--write", is_flag=True, help="Change harness/advice/measured.json.")
def main(
    parts: Sequence[str],
    methods: str,
    only: str,
    features: Path,
    root: Path | None,
    seeds: int,
    *,
    write: bool,
) -> None:
    """Measure, print, and keep."""
    torch.set_num_threads(1)
    if "accuracies" in parts:
        need_features(features, SEQUENCE)
        need_images(read_suite(TEN_SETS, root=root), remedy="name their folder with --root")
    ways = [way for way in WAYS if way in methods.split(",")]
    known = json.loads(MEASURED.read_text()) if MEASURED.is_file() else {}
    if "towers" in parts:
        known["towers"] = towers()
    if "sizes" in parts:
        known["sizes"] = known.get("sizes", {}) | {way: _sizes(way) for way in ways}
    if "times" in parts:
        known["times"] = known.get("times", {}) | {way: _times(way) for way in ways}
    if "accuracies" in parts:
        for line in _accuracies(features, root, seeds, ways, only):
            known["accuracies"] = _merged(known.get("accuracies", []), line)
            if write:
                _keep(known)
    if write:
        _keep(known)
        _rewrite(known)
    _print(known)
    sys.exit(judged("advice", _rows(known)))


def towers() -> Mapping[str, Any]:
    """Return methods that train the tower beside others, as docs/bench.md has them."""
    _, after = PAGE.read_text().split(f"{OF_TOWERS}\n", maxsplit=1)
    _rule, *rows = takewhile(lambda line: line.startswith("|"), after.splitlines())
    found = []
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        average, (last, half) = cells[1].split(" ± ")[0], cells[2].split(" ± ")
        found.append(
            {
                "method": cells[0],
                "average": float(average),
                "last": float(last),
                "half": float(half),
                "learning_s": float(cells[5]),
            }
        )
    return {
        "command": "make bench-systems",
        "collection": "CIFAR-10 under tiny-vit",
        "tasks": 5,
        "classes": 10,
        "images": 500,
        "methods": found,
    }


def _keep(known: Mapping[str, Any]) -> None:
    MEASURED.write_text(json.dumps({"width": WIDTH, **known}, indent=1) + "\n")


def _merged(lines: Sequence[Mapping[str, Any]], line: Mapping[str, Any]) -> list[Any]:
    """Return `lines` with a new one in the place of that of the same collection and images."""

    def key(of: Mapping[str, Any]) -> tuple[str, int]:
        return of["collection"], of["images"]

    found = {key(each): each for each in lines}
    before = found.get(key(line), {"methods": {}})
    draws = max(line["draws"], before.get("draws", 0))
    methods = {**before["methods"], **line["methods"]}
    found[key(line)] = {**line, "draws": draws, "methods": methods}
    return [found[name] for name in sorted(found)]


def _collections(features: Path, root: Path | None, seeds: int) -> Iterator[_Collection]:
    def clip(shots: int, seed: int) -> list[MeasuredSet]:
        return [few(feature_set(name, folder=features), shots, seed) for name in SEQUENCE]

    def tens(shots: int, seed: int) -> list[MeasuredSet]:
        return [part for one in clip(shots, seed) for part in cut(one)]

    def pairs(shots: int, seed: int) -> list[MeasuredSet]:
        pets = few(feature_set("oxford_pets", folder=features), shots, seed)
        return list(cut(pets, classes=2))

    def single(shots: int, seed: int) -> list[MeasuredSet]:
        pets = few(feature_set("oxford_pets", folder=features), shots, seed)
        return list(cut(pets, classes=1))

    def whole(shots: int, seed: int) -> list[MeasuredSet]:
        return [joined(clip(shots, seed))]

    quick = [way for way in WAYS if way != "lada"]
    at_first = [way for way in quick if " " not in way]
    yield _Collection("CLIP, 4 sets", clip, SHOTS, WITHOUT_TEXT, seeds, [*at_first, "lada"])
    yield _Collection("CLIP, 45 tasks", tens, (16,), WITHOUT_TEXT, 1, quick)
    yield _Collection("CLIP, pets in pairs", pairs, (16,), WITHOUT_TEXT, 1, quick)
    yield _Collection("CLIP, pets one by one", single, (16,), WITHOUT_TEXT, 1, quick)
    yield _Collection("CLIP, one task", whole, (16,), WITHOUT_TEXT, 1, at_first)
    suite = read_suite(TEN_SETS, root=root)
    xtail = Xtail(suite, results=Path("benchmarks/out"), cache=home() / "features")
    (order,) = suite.orders

    def ten(shots: int, seed: int) -> list[MeasuredSet]:
        return [few(one, shots, seed) for one in xtail.measured_sets(order, seed)]

    yield _Collection("tiny, 10 sets", ten, (1, 4, 16), None, seeds, [*at_first, "lada"])
    path = written(CIFAR10, home() / "systems", root=cifar10(home() / "systems").parent, changes={})
    cifar = Xtail(read_suite(path), results=Path("benchmarks/out"), cache=home() / "features")
    (drawn,) = cifar.suite.orders

    def vit(shots: int, seed: int) -> list[MeasuredSet]:
        return [few(one, shots, seed) for one in cifar.measured_sets(drawn, seed)]

    yield _Collection("tiny-vit, CIFAR-10", vit, (16, 500), None, seeds, at_first)


def few(measured: MeasuredSet, shots: int, seed: int) -> MeasuredSet:
    """Return a set with at most `shots` training images of each class, drawn by seed."""
    task, kept = measured.task, []
    for index in range(len(task.classes)):
        own = (task.labels == index).nonzero()[:, 0]
        drawn = torch.Generator().manual_seed(1000 * seed + index)
        kept.append(own[torch.randperm(len(own), generator=drawn)[:shots]])
    chosen = torch.cat(kept)
    return replace(
        measured, task=replace(task, features=task.features[chosen], labels=task.labels[chosen])
    )


def joined(sets: Sequence[MeasuredSet]) -> MeasuredSet:
    """Return several sets as one task."""
    sizes = [len(one.task.classes) for one in sets]
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    task = replace(
        sets[0].task,
        task="-".join(one.task.task for one in sets),
        classes=tuple(entry for one in sets for entry in one.task.classes),
        features=torch.cat([one.task.features for one in sets]),
        labels=torch.cat([one.task.labels + at for one, at in zip(sets, starts, strict=True)]),
    )
    return replace(
        sets[0],
        task=task,
        text=replace(sets[0].text, features=torch.cat([one.text.features for one in sets])),
        test_features=torch.cat([one.test_features for one in sets]),
        test_labels=torch.cat([one.test_labels + at for one, at in zip(sets, starts, strict=True)]),
    )


def _accuracies(
    features: Path, root: Path | None, seeds: int, ways: Sequence[str], only: str
) -> Iterator[Mapping[str, Any]]:
    for each in _collections(features, root, seeds):
        if only not in each.name:
            continue
        for shots in each.shots:
            drawn = [each.sets(shots, seed) for seed in range(each.seeds)]
            lasts = {
                way: [_last(way, sets, each.settings, seed) for seed, sets in enumerate(drawn)]
                for way in each.ways
                if way in ways and shots in SLOW.get(way, each.shots)
            }
            click.echo(f"{each.name}, {shots}: {lasts}", err=True)
            yield {
                "collection": each.name,
                "tasks": len(drawn[0]),
                "classes": sum(len(one.task.classes) for one in drawn[0]),
                "images": shots,
                "draws": each.seeds,
                "methods": {
                    way: {"lasts": [round(last, 2) for last in found]}
                    for way, found in lasts.items()
                },
            }


def _last(
    way: str,
    sets: Sequence[MeasuredSet],
    without_text: Mapping[str, Mapping[str, Any]] | None,
    seed: int,
) -> float:
    """Return the accuracy after the last task in percent, the mean over tasks."""
    settings: Mapping[str, Any] = SETTINGS.get(way, {})
    if without_text is not None:
        settings = {**settings, **without_text.get(way, {"fusion": "alone"})}
    method, state = method_named(method_of(way)), AdapterState()
    for each in sets:
        inputs = TrainingInputs(
            task=each.task, past=state, text=each.text, settings=settings, seed=seed
        )
        state = learn(method, inputs)
    adapter = Adapter(state.records, shared=state.shared, method=method)
    return fmean(100 * accuracy(adapter, each, None) for each in sets)


def method_of(way: str) -> str:
    """Return the method of a way to learn, which may say a form behind it."""
    return way.partition(" ")[0]


def _learnt(way: str, classes: int, images: int, count: int, **changed: Any) -> list[Record]:
    """Return the records of so many tasks of synthetic features."""
    settings = {**SETTINGS.get(way, {}), **changed}
    method, state = method_named(method_of(way)), AdapterState()
    for number in range(count):
        task = clusters(f"t{number}", classes=classes, images=images, width=WIDTH, seed=number)
        inputs = TrainingInputs(
            task=task, past=state, text=class_means(task), settings=settings, seed=0
        )
        state = learn(method, inputs)
    return list(state.records)


def _quickly(way: str) -> Mapping[str, Any]:
    """Return settings with which a record of the right size is learnt in no time."""
    return {"steps": 2} if method_of(way) == "lada" else {}


def _sizes(way: str) -> Mapping[str, Mapping[str, float]]:
    """Return what a task, a class, and an image add to records and to a loaded version.

    In a version also what each pair of images adds, for methods that solve with all of them.
    """
    tasks = TASKS.get(way, MANY)
    stored, loaded, squares = {}, {}, {}
    for shape in SHAPES:
        records = _learnt(way, *shape, min(FIRST, tasks[0]), **_quickly(way))
        stored[shape] = float(len(encode_record(records[-1])))
        small, some, large = (_loaded(records, count) for count in tasks)
        step = tasks[1] - tasks[0]
        squares[shape] = max(large - 2 * some + small, 0) / (2 * step**2)
        images = shape[0] * shape[1]
        linear = (large - small) / (2 * step) - squares[shape] * (tasks[0] + tasks[2])
        loaded[shape] = linear if way in TASKS else (large - small) / (2 * step)
        squares[shape] /= images**2
    pair = squares[SHAPES[0]] if way in TASKS else 0.0
    if way in BOUNDED:
        stored[SHAPES[2]], loaded[SHAPES[2]] = stored[SHAPES[0]], loaded[SHAPES[0]]
    click.echo(f"{way}: {stored} {loaded} {pair:.1f}", err=True)
    return {"record": _split(stored), "memory": {**_split(loaded), "pair": round(pair, 1)}}


def _split(found: Mapping[tuple[int, int], float]) -> dict[str, float]:
    """Return bytes a task, a class and an image, of three tasks of different shapes."""
    base, wide, thin = (found[shape] for shape in SHAPES)
    (classes, images), (more, _), (_, fewer) = SHAPES
    image = max(base - thin, 0) / (classes * (images - fewer))
    each = (wide - base) / (more - classes) - images * image
    task = base - classes * (each + images * image)
    return {"task": max(round(task), 0), "class": round(each), "image": round(image)}


def _loaded(records: Sequence[Record], count: int) -> int:
    """Return the bytes of all tensors of a version of so many tasks that has answered."""
    before = living_bytes()
    held = _version(records, count)
    adapter = Adapter(held)
    adapter.score(_image(), encoder=adapter.fingerprint, logit_scale=SCALE)
    return living_bytes() - before


def _version(records: Sequence[Record], count: int) -> list[Record]:
    """Return copies of records; the last one stands for all that follow."""
    last = len(records) - 1
    return [copy_of(records[min(number, last)], number) for number in range(count)]


def _image() -> torch.Tensor:
    return clusters("asked", classes=1, images=1, width=WIDTH).features[:, 0]


def _times(way: str) -> Mapping[str, Any]:
    """Return seconds to learn by images, and milliseconds by tasks: a fixed part, and one each."""
    learning = []
    for classes, images in LEARNT:
        started = time.process_time()
        _learnt(way, classes, images, 1)
        learning.append([classes * images, round(time.process_time() - started, 4)])
    records = _learnt(way, *SHAPES[0], ONE_MORE, **_quickly(way))
    small, large = TASKS.get(way, MANY)[0:3:2]
    found = {count: _answering(_version(records, count + 1)) for count in (small, large)}
    parts = {}
    for place, what in enumerate(("opening_ms", "scoring_ms", "growing_ms")):
        each = (found[large][place] - found[small][place]) / (large - small)
        if each * small > found[small][place]:  # it grows faster than tasks do
            each = found[large][place] / large
        parts[what] = {
            "fixed": round(max(found[small][place] - each * small, 0.0), 2),
            "task": round(max(each, 0.0), 4),
        }
    click.echo(f"{way}: {learning} {parts}", err=True)
    return {"learning": learning, **parts}


def _answering(records: Sequence[Record]) -> tuple[float, float, float]:
    """Return milliseconds to open all records but the last, to score one image, and to follow."""
    one = _image()

    def ask(adapter: Adapter) -> Adapter:
        adapter.score(one, encoder=adapter.fingerprint, logit_scale=SCALE)
        return adapter

    adapter, opening = _timed(lambda: ask(Adapter(records[:-1])))
    scoring = min(_timed(lambda: ask(adapter))[1] for _ in range(3))
    growing = min(_timed(lambda: ask(adapter.extended(records[-1])))[1] for _ in range(2))
    return opening, scoring, growing


def _timed(call: Callable[[], Adapter]) -> tuple[Adapter, float]:
    started = time.process_time()
    found = call()
    return found, 1e3 * (time.process_time() - started)


def page_tables(known: Mapping[str, Any]) -> tuple[str, str]:
    """Return the tables of accuracies, and of bytes and times, as docs/advise.md has them."""
    accuracies = [
        [
            line["collection"],
            f"{line['tasks']} of {line['classes'] / line['tasks']:.3g}",
            str(line["images"]),
            *(_cell(line["methods"].get(way)) for way in WAYS),
        ]
        for line in known["accuracies"]
    ]
    costs = [
        [
            f"`{way}`",
            *(f"{known['sizes'][way]['record'][part] / 1e3:.1f}" for part in PER),
            *(f"{known['sizes'][way]['memory'][part] / 1e3:.1f}" for part in PER),
            f"{known['times'][way]['learning'][-1][1]:.2g}",
            *(
                f"{found['fixed']:.2g} + {found['task']:.2g} T"
                for found in (known["times"][way][what] for what in ("scoring_ms", "growing_ms"))
            ),
        ]
        for way in WAYS
    ]
    ways = [f"`{way}`" for way in WAYS]
    return (
        _markdown(["collection", "tasks of classes", "images a class", *ways], accuracies),
        _markdown(HEADINGS, costs),
    )


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [headings, ["---"] * len(headings), *lines]
    return (
        "\n".join(f"| {' | '.join(row)} |" for row in rows)
        .replace("| --- |", "|---|")
        .replace(" --- |", "---|")
    )


def _rewrite(known: Mapping[str, Any]) -> None:
    """Put the tables into docs/advise.md."""
    page = ADVICE.read_text()
    for table in page_tables(known):
        first = re.escape(table[: table.index("|", 2)])
        page = re.sub(rf"^{first}\|.*?(?=\n\n)", table, page, count=1, flags=re.DOTALL | re.M)
    ADVICE.write_text(page)


def _print(known: Mapping[str, Any]) -> None:
    lines = [
        [
            f"{line['collection']}, {line['images']}",
            *(_cell(line["methods"].get(way)) for way in WAYS),
        ]
        for line in known.get("accuracies", [])
    ]
    grid("advice: Last by images a class", ["", *WAYS], lines)


def _cell(found: Mapping[str, Sequence[float]] | None) -> str:
    if found is None:
        return "–"
    figure = Figure.of(found["lasts"])
    return f"{figure.mean:.1f}" + (f" ± {figure.half:.1f}" if figure.half else "")


def _rows(known: Mapping[str, Any]) -> list[Row]:
    return [
        Row(
            figure=f"{line['collection']}, {line['images']} images, {way}",
            value=round(fmean(found["lasts"]), 2),
            unit="%",
        )
        for line in known.get("accuracies", [])
        for way, found in line["methods"].items()
    ]


if __name__ == "__main__":
    main()
