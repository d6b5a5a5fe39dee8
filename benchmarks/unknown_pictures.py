"""Pictures that nobody has taught, and which of them a version finds unknown: a sheet to look at.

    python -m benchmarks.unknown_pictures SHEET.png [--left-out openclipart] [--rate 0.05]

`own_metric` learns the ten sets of deploy/suites/ten-sets.yaml but the one that is left out, which
may also be a set beside them. The sheet has test pictures of it, evenly over its classes: what they
are answered as, and a frame where they are of none of these.
"""

from pathlib import Path

import click
import torch
from PIL import Image, ImageDraw

from adapters.adapter import Adapter
from benchmarks.absent import need_images
from benchmarks.unknown import TEN_SETS, learnt_together
from cluster.config import home
from harness.suite import read_suite
from harness.xtail import Xtail
from workers.encoding.encoder import Encoder
from workers.images.decode import decode_image

COLUMNS, ROWS, SIDE, LINE = 10, 6, 112, 26
FRAME, PAPER, INK = (200, 30, 30), (255, 255, 255), (20, 20, 20)


@click.command()
@click.argument("sheet", type=click.Path(path_type=Path))
@click.option("--left-out", default="openclipart", help="Folder of the pictures.")
@click.option("--rate", default=0.05, help="Of false alarms.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
def main(sheet: Path, left_out: str, rate: float, root: Path | None) -> None:
    """Learn, ask and draw."""
    torch.set_num_threads(1)
    suite = read_suite(TEN_SETS, root=root)
    need_images(suite, remedy="name their folder with --root")
    xtail = Xtail(suite, results=Path("benchmarks/out"), cache=home() / "features")
    (order,) = suite.orders
    sets = [one for one in xtail.measured_sets(order, suite.seeds[0]) if one.task.task != left_out]
    encoder = Encoder(suite.encoder)
    adapter = Adapter(learnt_together(sets).records)
    pictures = [
        decode_image(path.read_bytes(), origin=path.name)
        for path in _chosen((root or Path(suite.root)) / left_out / "test")
    ]
    pixels = torch.stack([encoder.transform(picture) for picture in pictures])
    features = encoder.image_tower.features(pixels)
    scores = adapter.score(features, encoder=adapter.encoder, logit_scale=encoder.logit_scale)
    told = adapter.verdicts(features, scores, rate=rate)
    page = Image.new("RGB", (COLUMNS * SIDE, ROWS * (SIDE + LINE)), PAPER)
    pen = ImageDraw.Draw(page)
    for place, (picture, verdict) in enumerate(zip(pictures, told, strict=True)):
        x, y = place % COLUMNS * SIDE, place // COLUMNS * (SIDE + LINE)
        small = picture.convert("RGB")
        small.thumbnail((SIDE - 8, SIDE - 8))
        page.paste(small, (x + (SIDE - small.width) // 2, y + (SIDE - small.height) // 2))
        if verdict.unknown:
            pen.rectangle((x + 1, y + 1, x + SIDE - 3, y + SIDE - 3), outline=FRAME, width=3)
        entry = scores.classes[int(scores.winners[place])]
        pen.text((x + 3, y + SIDE), entry.class_id.partition("/")[0][:18], fill=INK)
        pen.text((x + 3, y + SIDE + 11), entry.name[:18], fill=INK)
    page.save(sheet)
    count = sum(bool(verdict.unknown) for verdict in told)
    click.echo(f"{sheet}: {count} of {len(told)} pictures of {left_out} are unknown")


def _chosen(folder: Path) -> list[Path]:
    """Return files evenly over the classes: the first of each, then the second, and so on."""
    by_class = [sorted(each.iterdir()) for each in sorted(folder.iterdir()) if each.is_dir()]
    deepest = max(len(files) for files in by_class)
    found = [files[turn] for turn in range(deepest) for files in by_class if turn < len(files)]
    return found[: COLUMNS * ROWS]


if __name__ == "__main__":
    main()
