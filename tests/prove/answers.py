"""The proof that a change leaves every bit of what is learnt and answered: `make prove-answers`.

    python -m tests.prove.answers --write FILE      before the change
    python -m tests.prove.answers --against FILE    after it, on the same machine

Every method, those for measuring only included, learns two synthetic sequences and, where cached
features are, two of real CLIP features. Prints a digest of each record's bytes and of the scores of
each version. Other processors and other releases of torch round differently, so that a file is good
only where it was written. Takes a quarter of a minute on one core.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import click
import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract import learning
from adapters.contract.adapter_state import AdapterState
from adapters.contract.records import decode_record, encode_record
from adapters.methods import METHODS, measured_method
from adapters.methods.harness_only import HARNESS_METHODS
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from benchmarks.absent import absent_features
from benchmarks.feature_sets import default_folder, feature_set
from harness.measured_set import MeasuredSet, unseen_of, with_views
from tests.adapters.synthetic import class_means, clusters
from tests.support.conformance.method import LEARNT_FROM_IMAGES
from tests.support.scenes.training import inputs
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings

SEED = 5
CLASSES, SHOTS, IMAGES, VIEWS = 10, 8, 60, 2
TASKS = ("first", "second", "third", "fourth", "never")
REAL = (("oxford_pets", "oxford_flowers", "dtd"), ("stanford_cars", "caltech101", "dtd"))
"""The last of each is never learnt."""

_SHORT = {"image_epochs": 2, "prompt_epochs": 2}
_CACHED = {"adapter": "feature", "prompts": "none", **_SHORT}
VARIANTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "dmc": (_CACHED, {"adapter": "feature", "context": 4, **_SHORT}),
    "dmc_ot": (
        {**_CACHED, "calibrate": "paired", "unseen": "bare"},
        {"adapter": "feature", "context": 4, **_SHORT},
    ),
    "dual_rail": ({}, {"fusion": "alone"}),
    "gda": ({}, {"fusion": "alone", "alpha": 1.0}),
    "joint": ({"steps": 9}, {"epochs": 2, "batch_size": 10}),
    "lada": (
        {"text": "residual", "steps": 12},
        {"text": "residual", "steps": 9, "memory_per_class": 0, "replay": "centres"},
        {"text": "none", "epochs": 2, "weighting": "paper", "batch_size": 10, "replay_classes": 2},
        {"text": "residual", "steps": 6, "replay_bank": "all"},
        {"text": "residual", "steps": 6, "replay_bank": "sample", "replay_classes": 2},
        {"text": "residual", "steps": 6, "autocast": "bf16"},
        {"text": "residual", "steps": 6, "views": VIEWS},
        {"text": "adaptformer", "steps": 4},
    ),
    "own_metric": (
        {},
        {"fusion": "alone", "steps": 5},
        {"form": "low_rank"},
        {"form": "short_list"},
    ),
    "primal_rail": ({"width": 300}, {"width": 300, "fusion": "alone"}),
    "probe": ({"steps": 9}, {"epochs": 2, "batch_size": 10}),
    "probe_replay": ({"steps": 9}, {"epochs": 2, "batch_size": 10}),
    "ran_pac": ({"width": 300}, {"width": 300, "ridge": 100.0}),
    "tip_adapter": ({}, {"keys_per_class": 3, "fusion": "alone", "alpha": 1.0, "beta": 5.5}),
    "tip_adapter_f": ({"epochs": 3, "batch_size": 8}, {"epochs": 2, "fusion": "alone"}),
}
"""Settings by method; one that is not here runs with its defaults."""

Digests = dict[str, dict[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Sets in the order of their tasks.

    Attributes:
        name: What it is called.
        sets: Those that are learnt.
        never: The one that is not; its classes are the unseen ones.
    """

    name: str
    sets: Sequence[MeasuredSet]
    never: MeasuredSet

    def serves(self, settings: Mapping[str, Any]) -> bool:
        """Return whether there are the views and the text tower that `settings` want."""
        first = self.sets[0]
        prompted = settings.get("text") == "adaptformer" or "context" in settings
        views = settings.get("views", 1) <= first.task.features.shape[1]
        return views and (not prompted or first.text.tower is not None)


def answers(
    name: str, settings: Mapping[str, Any], order: Order
) -> Iterator[tuple[bytes, dict[str, Tensor]]]:
    """Learn `order`; after each task give its record's bytes, and scores of the same images.

    All that is asked of methods, records and adapters is asked here.
    """
    method, state, grown = measured_method(name), AdapterState(), None
    images = torch.cat([each.test_features for each in (*order.sets, order.never)])
    scale = order.never.text.logit_scale

    def scores(adapter: Adapter, features: Tensor = images, **more: Any) -> Tensor:
        encoder = adapter.encoder
        return adapter.score(features, encoder=encoder, logit_scale=scale, **more).values

    for each in (with_views(one, method.views(settings)) for one in order.sets):
        given = inputs(each.task, text=each.text, settings=settings, seed=SEED)
        learnt = learning.learn(method, replace(given, past=state))
        blob = encode_record(learnt.records[-1])
        state = replace(learnt, records=(*state.records, decode_record(blob)))
        records, shared = state.records, state.shared
        built = Adapter(records, shared=shared, method=method)
        # With shared state every version is put together anew.
        grown = grown.extended(records[-1]) if grown and not shared else built
        yield (
            blob,
            {
                "scores": scores(built),
                "grown": scores(grown),
                "unseen": scores(built, unseen=unseen_of([order.never])),
                "some tasks": scores(built, tasks={records[0].task, records[-1].task}),
                "one image": scores(built, images[:1]),
            },
        )


def orders(features: Path) -> Iterator[Order]:
    """Return the sequences: synthetic ones, then real ones where `features` is there."""
    clustered = [_clustered(place, width=64) for place in range(len(TASKS))]
    yield Order(name="synthetic", sets=clustered[:-1], never=clustered[-1])
    encoder = Encoder(EncoderSettings())
    prompted = [
        replace(each, text=_prompts(each, encoder))
        for each in (_clustered(place, width=encoder.width) for place in range(len(TASKS)))
    ]
    yield Order(name="synthetic, prompts", sets=prompted[:-1], never=prompted[-1])
    for names in REAL:
        if absent_features(features, names):
            continue
        few = [_few(feature_set(name, folder=features)) for name in names]
        yield Order(name=", ".join(names[:-1]), sets=few[:-1], never=few[-1])


def _clustered(place: int, *, width: int) -> MeasuredSet:
    """Return a set of clusters.

    A class of the second has one image; one of the third counts as one of the first.
    """
    name, sizes = TASKS[place], {"classes": 3 + place % 2, "width": width, "seed": place}
    task = clusters(name, images=7 + place, views=VIEWS, **sizes)
    if name == "second":
        begin = int((task.labels == 0).sum()) - 1
        task = replace(task, features=task.features[begin:], labels=task.labels[begin:])
    if name == "third":
        classes = list(task.classes)
        classes[1] = replace(classes[1], merged_into="first/0")
        task = replace(task, classes=tuple(classes))
    asked = clusters(name, images=3, spread=0.4, **sizes)
    return MeasuredSet(
        task=task,
        text=class_means(task),
        test_features=asked.features[:, 0],
        test_labels=asked.labels,
    )


def _prompts(measured: MeasuredSet, encoder: Encoder) -> TextSide:
    """Return the text side of the classes' prompts, some of which other tasks have as well."""
    prompts = [entry.prompt for entry in measured.task.classes]
    return TextSide(
        features=encoder.text_features(prompts),
        logit_scale=encoder.logit_scale,
        tower=TextTower(encoder.model),
        tokens=encoder.tokenizer(prompts),
        tokenizer=encoder.tokenizer,
    )


def _few(measured: MeasuredSet) -> MeasuredSet:
    """Return the first classes of a set, with a few images."""
    task, held_out = measured.task, (measured.test_labels < CLASSES).nonzero()[:IMAGES, 0]
    chosen = torch.cat([(task.labels == label).nonzero()[:SHOTS, 0] for label in range(CLASSES)])
    return MeasuredSet(
        task=replace(
            task,
            classes=task.classes[:CLASSES],
            features=task.features[chosen],
            labels=task.labels[chosen],
        ),
        text=replace(measured.text, features=measured.text.features[:CLASSES]),
        test_features=measured.test_features[held_out],
        test_labels=measured.test_labels[held_out],
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _found(all_orders: Sequence[Order]) -> Digests:
    """Return the digests of each version, printed as they are found."""
    found: Digests = {}
    for name in sorted((METHODS.keys() | HARNESS_METHODS.keys()) - LEARNT_FROM_IMAGES):
        for settings in VARIANTS.get(name, ({},)):
            title = " ".join([name, *(f"{key}={value}" for key, value in settings.items())])
            for order in all_orders:
                if not order.serves(settings):
                    continue
                click.echo(f"\n{title}: {order.name}")
                for place, (blob, scores) in enumerate(answers(name, settings, order), 1):
                    line = {"record": _digest(blob)} | {
                        what: _digest(values.contiguous().numpy().tobytes())
                        for what, values in scores.items()
                    }
                    if place == 1:
                        click.echo("   " + "  ".join(f"{what:<16}" for what in line).rstrip())
                    click.echo(f"{place}  " + "  ".join(line.values()))
                    found[f"{title}: {order.name}: version {place}"] = line
    return found


def _differences(found: Digests, expected: Digests) -> Iterator[str]:
    for key in sorted(found.keys() | expected.keys()):
        ours, theirs = found.get(key), expected.get(key)
        if ours is None or theirs is None:
            yield f"{key}: only {'in the file' if ours is None else 'here'}"
        elif ours != theirs:
            names = [what for what in ours | theirs if ours.get(what) != theirs.get(what)]
            yield f"{key}: {', '.join(names)}"


@click.command()
@click.option("--features", type=click.Path(path_type=Path), default=default_folder())
@click.option("--write", type=click.Path(path_type=Path), help="Write the digests here.")
@click.option("--against", type=click.File(), help="Compare with the digests written here.")
def main(features: Path, write: Path | None, against: TextIO | None) -> None:
    """Learn, ask, print, and compare."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    expected = json.load(against) if against else None
    found = _found(list(orders(features)))
    absent = absent_features(features, dict.fromkeys(name for names in REAL for name in names))
    if absent:
        click.echo(
            f"without the features of {', '.join(absent)}, which are not in {features}; set "
            "NACRE_FEATURES to a folder that has them"
        )
    made_by = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    if write is not None:
        write.write_text(json.dumps({"made by": made_by, "digests": found}, indent=1) + "\n")
    if expected is None:
        return
    known: Digests = expected["digests"]
    differences = list(_differences(found, known))
    for difference in differences:
        click.echo(f"differs: {difference}")
    if differences and expected["made by"] != made_by:
        click.echo(f"the file is of {expected['made by']}, this is {made_by}; write it anew here")
    click.echo(f"{len(differences)} of {len(found | known)} versions differ")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
