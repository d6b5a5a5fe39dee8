"""The ablation of LADA's parts on ten image sets with the tiny CLIP, learnt one after the other.

    python -m benchmarks.ablation [--datasets ../shared/datasets] [--cache FOLDER] [--steps 250]

Base is text tuning with the mixtures' centres replayed; beside it distribution-preserved replay,
memory, and both. The candidates are the classes of all ten sets from the beginning. Prints
Transfer, Average, Last and forgetting, and writes benchmarks/out/ablation-TEXT.json. Image features
are encoded once and kept in the cache folder.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import torch

from adapters.inference import Adapter
from adapters.learning import learn
from adapters.methods import method_named
from adapters.metrics import continual_metrics
from adapters.records import Record
from benchmarks.measured_set import MeasuredSet, accuracy, unseen_of
from benchmarks.table import Row, report
from benchmarks.ten_sets import labelled_sets

_PARTS: Mapping[str, Mapping[str, Any]] = {
    "base": {"memory_per_class": 0, "replay": "centres"},
    "base + replay": {"memory_per_class": 0},
    "base + memory": {"replay": "centres"},
    "all": {},
}


@click.command()
@click.option("--datasets", type=click.Path(path_type=Path), default=Path("../shared/datasets"))
@click.option("--cache", type=click.Path(path_type=Path), default=Path("benchmarks/out/features"))
@click.option("--steps", default=0, help="Steps per task; 0 leaves it to the budget rule.")
@click.option("--threads", default=2, help="Threads of the products.")
@click.option("--text", default="adaptformer", help="Text mode of all rows.")
def main(datasets: Path, cache: Path, steps: int, threads: int, text: str) -> None:
    """Measure what each part of LADA adds."""
    torch.set_num_threads(threads)
    sets = labelled_sets(datasets, cache=cache)
    rows = []
    for name, part in _PARTS.items():
        settings = {"text": text, **({"steps": steps} if steps else {}), **part}
        metrics = continual_metrics(accuracy_matrix(sets, settings))
        for figure in ("transfer", "average", "last", "forgetting"):
            value = round(100 * getattr(metrics, figure), 2)
            rows.append(Row(figure=f"{name}: {figure}", value=value, unit="%"))
    sys.exit(report(f"ablation-{text}", rows))


def accuracy_matrix(sets: Sequence[MeasuredSet], settings: Mapping[str, Any]) -> list[list[float]]:
    """Return the accuracy on every set after each task, candidates being all classes always."""
    records: list[Record] = []
    matrix = []
    for position, each in enumerate(sets):
        method = method_named("lada")
        records.append(learn(method, each.task, records, text=each.text, settings=settings, seed=0))
        unseen = unseen_of(sets[position + 1 :])
        matrix.append([accuracy(Adapter(records), measured, unseen) for measured in sets])
    return matrix


if __name__ == "__main__":
    main()
