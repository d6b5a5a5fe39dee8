"""Score both tiny encoders on real image sets: linear probe, nearest class mean and zero-shot.

Each set is a folder NAME/{train,test}/CLASS/*.png|jpg with the readable class names in
NAME/meta.json. The linear probe is logistic regression on unit features, fitted on the train folder
and scored on the test folder, with one fixed strength for every set. Beside `tiny` stand the same
probe on the ImageNet tower that it started from, on plain pixels and gradient histograms, and on
the image tower of `tiny-vit` (columns that end in `vit`).

Examples:
  python -m benchmarks.encoder --datasets ../shared/datasets
  python -m benchmarks.encoder --sets cifar10,eurosat --start CACHE/efficientnet-lite0.pth
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.absent import end_without
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import TINY_VIT, EncoderSettings
from workers.images.torchvision_ops import ensure_torchvision_imports

ROOT = Path(__file__).resolve().parent.parent
ENCODER = ROOT / "workers" / "encoding" / "tiny_clip"
OUT = ROOT / "benchmarks" / "out"
TEMPLATE = "a photo of a {}."
PROBE_STRENGTH = 0.1
MOST_LOST_POINTS = 3.0
LEAST_TIMES_CHANCE = 3.0
ZERO_SHOT_SET = "cifar10"

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ImageSet:
    """The files, labels and readable class names of one set."""

    name: str
    classes: list[str]
    train: list[tuple[Path, int]]
    test: list[tuple[Path, int]]


def read_set(folder: Path) -> ImageSet:
    """List a set's images by class, in sorted order."""
    readable = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["classes"]
    names = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())

    def files(part: str) -> list[tuple[Path, int]]:
        listed = [(sorted((folder / part / name).iterdir()), n) for n, name in enumerate(names)]
        return [(path, number) for paths, number in listed for path in paths]

    classes = [str(readable[name]).replace("_", " ") for name in names]
    return ImageSet(folder.name, classes, files("train"), files("test"))


def pixels_and_gradients(image: Image.Image) -> Array:
    """A plain description: the 8x8 colours and 8 gradient directions in each of 4x4 cells."""
    small = image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
    colours = np.asarray(small.resize((8, 8), Image.Resampling.BOX), dtype=np.float32) / 255
    grey = np.asarray(small.convert("L"), dtype=np.float32) / 255
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    direction = ((np.arctan2(down, right) / np.pi + 1) * 4).astype(int) % 8
    cells = np.zeros((4, 4, 8), dtype=np.float32)
    rows, columns = np.indices(grey.shape) // 16
    np.add.at(cells, (rows, columns, direction), strength)
    gradients = np.sqrt(cells / (cells.sum() + 1e-6))
    return np.concatenate([colours.ravel() / np.sqrt(192), gradients.ravel()])


def unit(features: Array) -> Array:
    """Rows of length one."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    scaled: Array = features / np.maximum(lengths, 1e-12)
    return scaled


def linear_probe(train: Array, labels: Array, test: Array, truth: Array) -> float:
    """The accuracy of logistic regression on unit features, centred and scaled by one number."""
    from sklearn.linear_model import LogisticRegression

    train, test = unit(train), unit(test)
    centre, spread = train.mean(axis=0), train.std() + 1e-9
    probe = LogisticRegression(C=PROBE_STRENGTH, max_iter=400)
    probe.fit((train - centre) / spread, labels)
    return float(np.mean(probe.predict((test - centre) / spread) == truth))


def nearest_class_mean(train: Array, labels: Array, test: Array, truth: Array) -> float:
    """The accuracy of the closest class mean by cosine."""
    train, test = unit(train), unit(test)
    means = unit(np.stack([train[labels == k].mean(axis=0) for k in range(labels.max() + 1)]))
    return float(np.mean((test @ means.T).argmax(axis=1) == truth))


class Benchmark:
    """The tiny CLIP, the tower it started from, the second one and the plain baseline."""

    def __init__(self, start: Path | None) -> None:
        ensure_torchvision_imports()
        import open_clip

        name = f"local-dir:{ENCODER}"
        self.model, _, self.transform = open_clip.create_model_and_transforms(name)
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(name)
        self.start = self._start_tower(start)
        self.second = Encoder(EncoderSettings(model=TINY_VIT))

    def _start_tower(self, checkpoint: Path | None) -> torch.nn.Module:
        from training.tiny_sources import TOWER, fetch
        from training.tiny_towers import classifier_and_trunk

        fetched = ROOT / ".training-cache"
        return classifier_and_trunk(checkpoint or next(fetch(TOWER, fetched).rglob("*.pth")))[2]

    def scores(self, images: ImageSet) -> dict[str, float]:
        """All scores of one set, as fractions."""
        labels, truth = (np.array([n for _, n in part]) for part in (images.train, images.test))
        rows = zip(self._rows(images.train), self._rows(images.test), strict=True)
        ours, start, plain, second = rows
        return {
            "probe": linear_probe(ours[0], labels, ours[1], truth),
            "probe_start": linear_probe(start[0], labels, start[1], truth),
            "probe_pixels": linear_probe(plain[0], labels, plain[1], truth),
            "mean": nearest_class_mean(ours[0], labels, ours[1], truth),
            "mean_start": nearest_class_mean(start[0], labels, start[1], truth),
            "zero_shot": self._zero_shot(images.classes, ours[1], truth),
            "probe_vit": linear_probe(second[0], labels, second[1], truth),
            "mean_vit": nearest_class_mean(second[0], labels, second[1], truth),
            "zero_shot_vit": self._zero_shot(images.classes, second[1], truth),
            "chance": 1 / len(images.classes),
        }

    def _rows(self, files: list[tuple[Path, int]], size: int = 64) -> tuple[Array, ...]:
        """The images' rows: of `tiny`, the tower it started from, the baseline and `tiny-vit`."""
        ours, start, plain, second = [], [], [], []
        for first in range(0, len(files), size):
            images = [Image.open(path).convert("RGB") for path, _ in files[first : first + size]]
            batch = torch.stack([self.transform(image) for image in images])
            with torch.inference_mode():
                ours.append(self.model.encode_image(batch).numpy())
                start.append(self.start(batch).numpy())
            plain.append(np.stack([pixels_and_gradients(image) for image in images]))
            pixels = torch.stack([self.second.transform(image) for image in images])
            second.append(self.second.image_tower.features(pixels).numpy())
        return tuple(np.concatenate(rows) for rows in (ours, start, plain, second))

    def _zero_shot(self, classes: list[str], features: Array, truth: Array) -> float:
        with torch.inference_mode():
            tokens = self.tokenizer([TEMPLATE.format(name) for name in classes])
            texts = unit(self.model.encode_text(tokens).numpy())
        return float(np.mean((unit(features) @ texts.T).argmax(axis=1) == truth))


def figures(scores: dict[str, dict[str, float]]) -> list[dict[str, object]]:
    """One row per figure: what it is, its value and unit, and its bar if it has one."""
    rows: list[dict[str, object]] = []
    for name, values in scores.items():
        for key, value in values.items():
            points = round(100 * value, 1)
            rows.append(_row(f"{name}: {key.replace('_', ' ')}", points, "%", None, True))
    means = {
        key: 100 * float(np.mean([values[key] for values in scores.values()]))
        for key in next(iter(scores.values()))
    }
    rows += [
        _row(f"mean: {key.replace('_', ' ')}", round(mean, 1), "%", None, True)
        for key, mean in means.items()
    ]
    lost = means["probe_start"] - means["probe"]
    bar = f"at most {MOST_LOST_POINTS:g}"
    rows.append(
        _row("probe below the start tower", round(lost, 2), "points", bar, lost <= MOST_LOST_POINTS)
    )
    won = means["probe_vit"] - means["probe_pixels"]
    rows.append(_row("vit's probe above pixels", round(won, 2), "points", "above 0", won > 0))
    if ZERO_SHOT_SET in scores:
        times = scores[ZERO_SHOT_SET]["zero_shot"] / scores[ZERO_SHOT_SET]["chance"]
        bar, holds = f"at least {LEAST_TIMES_CHANCE:g}", times >= LEAST_TIMES_CHANCE
        rows.append(_row("cifar10 zero-shot", round(times, 2), "times chance", bar, holds))
    return rows


def _row(figure: str, value: float, unit: str, bar: str | None, holds: bool) -> dict[str, object]:
    return {"figure": figure, "value": value, "unit": unit, "bar": bar, "holds": bool(holds)}


def table(scores: dict[str, dict[str, float]]) -> Iterator[str]:
    """The scores as a Markdown table, with the mean over the sets last."""
    keys = list(next(iter(scores.values())))
    yield "| set | " + " | ".join(key.replace("_", " ") for key in keys) + " |"
    yield "|---" * (len(keys) + 1) + "|"
    mean = {key: float(np.mean([values[key] for values in scores.values()])) for key in keys}
    for name, values in [*scores.items(), ("**mean**", mean)]:
        yield f"| {name} | " + " | ".join(f"{100 * values[key]:.1f}" for key in keys) + " |"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.encoder",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = os.environ.get("NACRE_DATASETS") or ROOT.parent / "shared" / "datasets"
    parser.add_argument("--datasets", type=Path, default=Path(default))
    parser.add_argument("--sets", default="", help="only these, by name, with commas between")
    parser.add_argument("--start", type=Path, help="the start tower's checkpoint; else fetched")
    parser.add_argument("--out", type=Path, default=OUT / "encoder.json")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Score, print, write; 1 where a bar does not hold, 2 without image sets."""
    options = parse_arguments()
    wanted = [name for name in options.sets.split(",") if name]
    folders = sorted(path.parent for path in options.datasets.glob("*/meta.json"))
    folders = [folder for folder in folders if not wanted or folder.name in wanted]
    if not folders:
        end_without(
            f"expected image sets (NAME/meta.json) in {options.datasets}, found none; set "
            "NACRE_DATASETS, or name their folder with --datasets"
        )
    torch.set_num_threads(options.threads)
    benchmark = Benchmark(options.start)
    scores = {}
    for folder in folders:
        started = time.monotonic()
        scores[folder.name] = benchmark.scores(read_set(folder))
        since = time.monotonic() - started
        print(f"{folder.name}: {since:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(table(scores)))
    rows = figures(scores)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    failed = [row for row in rows if not row["holds"]]
    for row in rows:
        if row["bar"]:
            verdict = "holds" if row["holds"] else "FAILS"
            print(f"{row['figure']}: {row['value']} {row['unit']} ({row['bar']}): {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
