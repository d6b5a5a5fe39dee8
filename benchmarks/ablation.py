"""The ablation of LADA's parts on ten image sets with the tiny CLIP, learnt one after the other.

    python -m benchmarks.ablation [--datasets ../shared/datasets] [--cache FOLDER] [--steps 250]

Base is text tuning with the mixtures' centres replayed; beside it distribution-preserved replay,
memory, and both. The candidates are the classes of all ten sets from the beginning. Prints
Transfer, Average, Last and forgetting, and writes benchmarks/out/ablation-TEXT.json. Image features
are encoded once and kept in the cache folder.

Shapes: N images · D feature width · C classes · L tokens
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from adapters.inference import Adapter, UnseenClasses
from adapters.learning import learn
from adapters.methods import method_named
from adapters.metrics import continual_metrics
from adapters.records import ClassEntry, Record
from adapters.task_features import TaskFeatures
from adapters.text_side import TextSide
from adapters.text_tower import TextTower
from benchmarks.encoder import read_set
from benchmarks.table import Row, report
from workers.torchvision_ops import ensure_torchvision_imports

SETS = (
    "caltech101",
    "chess_pieces",
    "dtd10",
    "eurosat",
    "fashion_mnist",
    "game_materials",
    "mnist",
    "openclipart",
    "quickdraw",
    "tuxpaint_stamps",
)
_ENCODER = "local-dir:" + str(Path(__file__).parents[1] / "workers" / "tiny_clip")
_ENCODED_AT_ONCE = 64
_PARTS: Mapping[str, Mapping[str, Any]] = {
    "base": {"memory_per_class": 0, "replay": "centres"},
    "base + replay": {"memory_per_class": 0},
    "base + memory": {"replay": "centres"},
    "all": {},
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelledSet:
    """One image set: its task, its text side, and its test features (N, D) with labels (N,)."""

    task: TaskFeatures
    text: TextSide
    held_out: Tensor
    held_out_labels: Tensor


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


def accuracy_matrix(sets: Sequence[LabelledSet], settings: Mapping[str, Any]) -> list[list[float]]:
    """Return the accuracy on every set after each task, candidates being all classes always."""
    records: list[Record] = []
    matrix = []
    for position, each in enumerate(sets):
        method = method_named("lada")
        records.append(learn(method, each.task, records, text=each.text, settings=settings, seed=0))
        unseen = unseen_of(sets[position + 1 :])
        matrix.append([accuracy(Adapter(records), measured, unseen) for measured in sets])
    return matrix


def accuracy(adapter: Adapter, measured: LabelledSet, unseen: UnseenClasses | None) -> float:
    """Return the share of test images whose class is predicted, between 0 and 1."""
    predicted = adapter.predict(
        measured.held_out,
        encoder=adapter.encoder,
        logit_scale=measured.text.logit_scale,
        unseen=unseen,
    )
    expected = [measured.task.classes[label] for label in measured.held_out_labels.tolist()]
    return sum(map(ClassEntry.__eq__, predicted, expected)) / len(expected)


def unseen_of(sets: Sequence[LabelledSet]) -> UnseenClasses | None:
    """Return the classes of `sets` as unseen ones."""
    if not sets:
        return None
    return UnseenClasses(
        classes=tuple(entry for each in sets for entry in each.task.classes),
        text_features=torch.cat([each.text.features for each in sets]),
    )


def labelled_sets(datasets: Path, *, cache: Path) -> list[LabelledSet]:
    """Return the ten sets, encoded with the tiny CLIP."""
    ensure_torchvision_imports()
    import open_clip

    model, _, transform = open_clip.create_model_and_transforms(_ENCODER)
    tokenizer = open_clip.get_tokenizer(_ENCODER)
    tower = TextTower(model)
    scale = float(model.logit_scale.detach().exp())
    return [
        _labelled(name, datasets, cache, model, transform, tokenizer, tower, scale) for name in SETS
    ]


def _labelled(
    name: str,
    datasets: Path,
    cache: Path,
    model: Any,
    transform: Any,
    tokenizer: Any,
    tower: TextTower,
    scale: float,
) -> LabelledSet:
    listed = read_set(datasets / name)
    arrays = cached_features(cache / f"{name}.npz", listed.train, listed.test, model, transform)
    classes = tuple(
        ClassEntry(class_id=f"{name}/{label}", name=label, prompt=f"a photo of a {label}.")
        for label in listed.classes
    )
    tokens = tokenizer([entry.prompt for entry in classes])
    with torch.no_grad():
        text_features = tower.features(tokens)
    task = TaskFeatures(
        task=name,
        classes=classes,
        features=arrays["train"][:, None],
        labels=torch.tensor([label for _, label in listed.train]),
        encoder="tiny_clip",
    )
    return LabelledSet(
        task=task,
        text=TextSide(features=text_features, logit_scale=scale, tower=tower, tokens=tokens),
        held_out=arrays["test"],
        held_out_labels=torch.tensor([label for _, label in listed.test]),
    )


def cached_features(
    path: Path,
    train: Sequence[tuple[Path, int]],
    test: Sequence[tuple[Path, int]],
    model: Any,
    transform: Any,
) -> dict[str, Tensor]:
    """Return unit features of both splits, (N, D) float32, from `path` where it exists."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part.npz")
        encoded = {
            "train": encoded_images([file for file, _ in train], model, transform),
            "test": encoded_images([file for file, _ in test], model, transform),
        }
        np.savez(partial, train=encoded["train"].numpy(), test=encoded["test"].numpy())
        partial.replace(path)
    with np.load(path) as arrays:
        return {split: torch.from_numpy(arrays[split]) for split in ("train", "test")}


def encoded_images(files: Sequence[Path], model: Any, transform: Any) -> Tensor:
    """Return the images' unit features, (N, D) float32."""
    blocks = []
    with torch.no_grad():
        for start in range(0, len(files), _ENCODED_AT_ONCE):
            images = []
            for file in files[start : start + _ENCODED_AT_ONCE]:
                with Image.open(file) as image:
                    images.append(transform(image.convert("RGB")))
            blocks.append(normalize(model.encode_image(torch.stack(images)).float(), dim=-1))
    return torch.cat(blocks)


if __name__ == "__main__":
    main()
