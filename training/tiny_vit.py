"""Train the vision transformer of workers/encoding/tiny_vit, on one CPU core.

It learns from the first tower, that of workers/encoding/tiny_clip: both see the same views of free
pictures, and the second learns to say what the first says, and where a view's colours and edges
lie. It needs no label and no text.

Examples:
  python -m training.tiny_vit --cache .training-cache
  python -m training.tiny_vit --start workers/encoding/tiny_vit
  python -m training.tiny_vit --views 8192 --steps 200 --out trial
"""

import argparse
import hashlib
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from training.tiny_clip import HASHES, ROOT, excluded_images
from training.tiny_exclusion import Excluded
from training.tiny_galleries import GALLERIES
from training.tiny_images import emoji, sketches, without_excluded
from training.tiny_pictures import pictures
from training.tiny_pool import Kind, Picture, fill_pool, read_pool
from training.tiny_signs import FONTS, signs
from training.tiny_sources import EMOJI, SKETCHES, fetch
from training.tiny_student import SIDE, build_tower, fit, read_tower, start, write_tower
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings

SKETCHES_PER_CLASS = 100
KINDS = (
    Kind("photographs", share=0.17, small=0.1),
    Kind("textures", share=0.15, small=0.05),
    Kind("paintings", share=0.14, small=0.25),
    Kind("icons and clip art", share=0.18, small=0.3),
    Kind("sketches", share=0.17, small=0.6),
    Kind("emoji", share=0.03, small=0.3),
    Kind("letters and signs", share=0.16, small=0.5),
)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tiny_vit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cache", type=Path, default=ROOT / ".training-cache")
    parser.add_argument("--out", type=Path, default=ROOT / "workers" / "encoding" / "tiny_vit")
    parser.add_argument("--exclude", type=Path, default=ROOT.parent / "shared" / "datasets")
    parser.add_argument("--start", type=Path, help="a folder of a tower to learn on from")
    parser.add_argument("--views", type=int, default=61440)
    parser.add_argument("--steps", type=int, default=2700)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def all_pictures(cache: Path, excluded: Excluded) -> Iterator[Picture]:
    """Every picture to learn from, with how often it is looked at."""
    for kind, galleries in enumerate(GALLERIES):
        for gallery in galleries:
            for image in pictures(gallery, cache, excluded):
                yield Picture(np.asarray(image), gallery.views, kind)
    labelled = (
        sketches(fetch(SKETCHES, cache), SKETCHES_PER_CLASS),
        emoji(fetch(EMOJI, cache)),
        chain.from_iterable(signs(fetch(font, cache)) for font in FONTS),
    )
    for kind, source in enumerate(labelled, start=len(GALLERIES)):
        for found in without_excluded(source, excluded):
            yield Picture(np.asarray(found.image), 1.0, kind)


def main() -> None:
    """Fill the pool, train and write."""
    options = parse_arguments()
    started = time.monotonic()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    first = Encoder(EncoderSettings())
    digest = hashlib.sha256(HASHES.read_bytes()).hexdigest()[:8]
    folder = options.cache / f"tiny_vit_views_{first.fingerprint[:8]}_{digest}_{options.seed}"
    if len(list(folder.glob("views-*.npy"))) * 4096 < options.views:
        found = list(all_pictures(options.cache, excluded_images(options.exclude, rehash=False)))
        print(f"{len(found)} pictures, {time.monotonic() - started:.0f} s", flush=True)
        fill_pool(
            folder,
            found,
            KINDS,
            first.model.visual,
            views=options.views,
            side=SIDE,
            seed=options.seed,
        )
    pool = read_pool(folder)
    print(f"{len(pool.views)} views, {time.monotonic() - started:.0f} s", flush=True)
    rows = class_rows(options.cache, first)
    tower = build_tower()
    if options.start:
        read_tower(tower, options.start)
    else:
        start(tower, pool)
    fit(tower, pool, rows, steps=options.steps, seed=options.seed, out=options.out)
    size = write_tower(tower, options.out)
    print(f"{size / 1e6:.1f} MB in {time.monotonic() - started:.0f} s", flush=True)


def class_rows(cache: Path, first: Encoder) -> torch.Tensor:
    """The ImageNet classifier's rows in the joint space, (1000, D), unit."""
    from training.tiny_sources import TOWER
    from training.tiny_towers import classifier_and_trunk

    rows = classifier_and_trunk(next(fetch(TOWER, cache).rglob("*.pth")))[0]
    projected = (rows - rows.mean(dim=0)) @ first.model.visual.head.proj.weight.T
    return torch.nn.functional.normalize(projected, dim=1)


if __name__ == "__main__":
    main()
