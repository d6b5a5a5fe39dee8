"""`nacre inspect` on planted faults: `make bench-inspect`.

The training images of real sets, copied with faults that are known:

    labels       5 % of the images lie in the folder of another class
    same bytes   a file copied, within its class, to another class, to the test images
    one picture  saved again as JPEG of quality 50, at half the size, mirrored; half of these among
                 the test images
    outliers     1 % of images that another set has

Each set is inspected as a user would do it, three times with other draws. Of labels the table says
the precision of the 5 % that are most suspicious, and how many are counted; of duplicates how many
of the planted ones are found, and how many pairs besides; of outliers the precision of as many as
were planted. The features are kept in one store, so that of the second draw on only what has
changed is embedded.

    python -m benchmarks.inspect --root FOLDER    has SET/{train,test}/CLASS/IMAGE

Prints a table and writes benchmarks/out/inspect.json.
"""

import io
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import click
from PIL import Image

from benchmarks.table import Row, report
from cluster.client.client import Client
from cluster.config import Config
from workers.encoding.encoder_settings import EncoderSettings
from workers.inspection.inspecting import Inspection

SETS = {"fashion_mnist": "eurosat", "eurosat": "fashion_mnist"}
"""The sets, and of which other one their outliers are."""
DUPLICATES = 24
BAR_LABELS, BAR_RECALL = 0.6, 0.8
SHOWN = 100_000
MANY = 1000


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=quality)
    return written.getvalue()


VARIANTS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "JPEG, quality 50": lambda picture: _jpeg(picture, 50),
    "half the size": lambda picture: _jpeg(
        picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BICUBIC), 90
    ),
    "mirrored": lambda picture: _jpeg(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 90),
}
Pair = frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """What is wrong with a set.

    Attributes:
        swapped: Names of images with another class than theirs.
        outliers: Names of images of another set.
        copies: Pairs of files with the same bytes.
        variants: Pairs of files that show one picture, by how the second was made.
        images: How many there are in all.
    """

    swapped: frozenset[str]
    outliers: frozenset[str]
    copies: frozenset[Pair]
    variants: Mapping[str, frozenset[Pair]]
    images: int


@click.command()
@click.option(
    "--root", type=click.Path(path_type=Path), required=True, help="Folder of the image sets."
)
@click.option("--seeds", default=3, help="Draws of the faults.")
@click.option("--per-class", default=64, help="Most training images of a class.")
@click.option("--encoder", default="tiny", help="Model of the encoder.")
def main(root: Path, seeds: int, per_class: int, encoder: str) -> None:
    """Plant, inspect, print and judge."""
    missing = [name for name in SETS if not (root / name / "train").is_dir()]
    if missing:
        sys.exit(f"expected {', '.join(missing)} below {root}; name their folder with --root")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="nacre-inspect-") as name:
        folder = Path(name)
        config = Config(store=f"file://{folder}/store", encoder=EncoderSettings(model=encoder))
        for set_name in SETS:
            found = []
            for seed in range(seeds):
                task = folder / f"{set_name}-{seed}"
                planted = plant(root, set_name, task, seed=seed, per_class=per_class)
                with Client(config) as client:
                    inspection = client.inspect(task, shown=SHOWN)
                found.append(figures(inspection, planted))
                click.echo(f"{set_name}, draw {seed}: {found[-1]}", err=True)
                shutil.rmtree(task)
            rows += _rows(set_name, found)
    sys.exit(report("inspect", rows))


def plant(root: Path, name: str, folder: Path, *, seed: int, per_class: int) -> Planted:
    """Copy a set into `folder`, plant faults in it, and return them."""
    draw = random.Random(seed)
    keys = sorted(each.name for each in (root / name / "train").iterdir() if each.is_dir())
    for key in keys:
        for split, most in (("train", per_class), ("test", 8)):
            (folder / split / key).mkdir(parents=True)
            for file in sorted((root / name / split / key).iterdir())[:most]:
                shutil.copy(file, folder / split / key / f"{split}-{key}-{file.name}")
    images = sorted((folder / "train").rglob("*.*"))
    chosen = draw.sample(images, round(0.05 * len(images)) + 2 * DUPLICATES)
    swapped = [_swap(each, keys, draw) for each in chosen[2 * DUPLICATES :]]
    variants = _variants(folder, chosen[:DUPLICATES], draw)
    copies = _copies(folder, chosen[DUPLICATES : 2 * DUPLICATES], keys, draw)
    others = sorted((root / SETS[name] / "train").rglob("*.*"))
    outliers = [
        shutil.copy(each, folder / "train" / draw.choice(keys) / f"outlier-{place}{each.suffix}")
        for place, each in enumerate(draw.sample(others, round(0.01 * len(images))))
    ]
    return Planted(
        swapped=frozenset(each.name for each in swapped),
        outliers=frozenset(Path(each).name for each in outliers),
        copies=copies,
        variants=variants,
        images=sum(1 for _ in folder.rglob("*.*")),
    )


def _swap(image: Path, keys: Sequence[str], draw: random.Random) -> Path:
    other = draw.choice([key for key in keys if key != image.parent.name])
    return image.rename(image.parent.parent / other / image.name)


def _variants(
    folder: Path, images: Sequence[Path], draw: random.Random
) -> dict[str, frozenset[Pair]]:
    found: dict[str, set[Pair]] = {kind: set() for kind in VARIANTS}
    for place, image in enumerate(images):
        kind = list(VARIANTS)[place % len(VARIANTS)]
        split = draw.choice(("train", "test"))
        made = folder / split / image.parent.name / f"variant-{image.stem}.jpg"
        with Image.open(image) as picture:
            made.write_bytes(VARIANTS[kind](picture.convert("RGB")))
        found[kind].add(frozenset((image.name, made.name)))
    return {kind: frozenset(pairs) for kind, pairs in found.items()}


def _copies(
    folder: Path, images: Sequence[Path], keys: Sequence[str], draw: random.Random
) -> frozenset[Pair]:
    found = set[Pair]()
    for place, image in enumerate(images):
        split, key = ("test", "train", "train")[place % 3], image.parent.name
        if place % 3 == 1:
            key = draw.choice([other for other in keys if other != key])
        made = folder / split / key / f"copy-{image.name}"
        shutil.copy(image, made)
        found.add(frozenset((image.name, made.name)))
    return frozenset(found)


def figures(found: Inspection, planted: Planted) -> dict[str, float]:
    """Return what an inspection has found of what was planted."""
    assert found.suspicious is not None
    assert found.outliers is not None
    doubted = [Path(each.image.origin).name for each in found.suspicious]
    far = [Path(each.image.origin).name for each in found.outliers]
    exact = {frozenset(Path(one.origin).name for one in each.images) for each in found.exact}
    near = {frozenset(Path(one.origin).name for one in each.images) for each in found.near}
    all_variants = frozenset[Pair]().union(*planted.variants.values())
    # An outlier has a wrong label, too.
    wrong = planted.swapped | planted.outliers
    first = doubted[: len(planted.swapped)]
    return {
        "labels: precision of the first 5 %": _fraction(first, wrong),
        "labels: counted": found.suspicious.count,
        "labels: swapped ones among these": _found(planted.swapped, doubted),
        "same bytes: found": _found(planted.copies, exact),
        "same bytes: besides": len(exact - planted.copies),
        **{
            f"one picture, {kind}: found": _found(pairs, near)
            for kind, pairs in planted.variants.items()
        },
        "one picture: found": _found(all_variants, near),
        "one picture: besides, per 1000 images": MANY * len(near - all_variants) / planted.images,
        "outliers: precision of as many as there are": _fraction(
            far[: len(planted.outliers)], planted.outliers
        ),
        "outliers: found": _found(planted.outliers, far),
        "outliers: counted": found.outliers.count,
    }


def _fraction(named: Sequence[str], of: frozenset[str]) -> float:
    return sum(each in of for each in named) / max(1, len(named))


def _found(planted: frozenset[object], found: object) -> float:
    return sum(each in found for each in planted) / max(1, len(planted))  # type: ignore[operator]


BARS: Mapping[str, float] = {
    "labels: precision of the first 5 %": BAR_LABELS,
    "same bytes: found": 1.0,
    "one picture: found": BAR_RECALL,
    "outliers: found": BAR_LABELS,
}


def _rows(name: str, found: Sequence[Mapping[str, float]]) -> list[Row]:
    rows = []
    for figure in found[0]:
        value, bar = fmean(each[figure] for each in found), BARS.get(figure)
        rows.append(
            Row(
                figure=f"{name}, {figure}",
                value=round(value, 3),
                bar=None if bar is None else f"at least {bar:g}",
                holds=None if bar is None else value >= bar,
            )
        )
    return rows


if __name__ == "__main__":
    main()
