"""Captions for the text tower, each with the ImageNet classes it stands for."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training.tiny_exclusion import is_demo_name
from training.tiny_wordnet import Concept, concepts, is_physical, read_first_senses, read_synsets

TEMPLATES = (
    "a photo of a {}.",
    "a photo of a {}.",
    "a photo of the {}.",
    "a picture of a {}.",
    "a photo of a small {}.",
    "a blurry photo of a {}.",
    "a close-up of a {}.",
    "an image of a {}",
    "a {}",
    "{}",
)


@dataclass(frozen=True)
class Caption:
    """A name or a definition, the number of its teacher and how much it counts."""

    name: str
    teacher: int
    weight: float
    is_definition: bool = False

    def text(self, rng: random.Random) -> str:
        """The name in a template drawn by `rng`; a definition as it stands."""
        return self.name if self.is_definition else rng.choice(TEMPLATES).format(self.name)


def captions(wordnet: Path, class_keys: list[str]) -> tuple[list[Caption], list[tuple[int, ...]]]:
    """All captions and the classes of each teacher.

    A name goes to its most frequent sense; the names of an ImageNet class always go to the class.
    Exact names of demo classes are left out.
    """
    synsets = read_synsets(wordnet / "data.noun")
    senses = read_first_senses(wordnet / "index.noun")
    known = concepts(synsets, class_keys)
    classes = set(class_keys)
    numbers: dict[tuple[int, ...], int] = {}
    found: list[Caption] = []
    for key, concept in known.items():
        if not is_physical(synsets, key):
            continue
        number = numbers.setdefault(concept.classes, len(numbers))
        weight = _weight(concept, key in classes)
        names = [
            name
            for name in concept.synset.lemmas
            if not is_demo_name(name)
            and (key in classes or _is_main_sense(known, senses, name.lower(), key))
        ]
        found += [Caption(name, number, weight) for name in names]
        if not is_demo_name(concept.synset.gloss):
            found.append(Caption(concept.synset.gloss, number, 0.3 * weight, is_definition=True))
    return found, list(numbers)


def _is_main_sense(
    known: dict[str, Concept], senses: dict[str, tuple[str, ...]], name: str, key: str
) -> bool:
    """Whether `key` is the name's most frequent sense that is close to the classes."""
    order = [sense for sense in senses.get(name, (key,)) if sense in known]
    near = [sense for sense in order if known[sense].steps == 0]
    return (near or order or [key])[0] == key


def _weight(concept: Concept, is_class: bool) -> float:
    if is_class:
        return 8.0
    if concept.steps == 0:
        return 8.0
    return 1.0 / concept.steps if len(concept.classes) < 30 else 0.3 / concept.steps


def teacher_rows(rows: torch.Tensor, teachers: list[tuple[int, ...]]) -> torch.Tensor:
    """Unit rows of the teachers: the mean of their classes' unit rows."""
    unit = torch.nn.functional.normalize(rows - rows.mean(dim=0), dim=1)
    means = torch.stack([unit[list(classes)].mean(dim=0) for classes in teachers])
    return torch.nn.functional.normalize(means, dim=1)


def draw(items: list[Caption], count: int, seed: int) -> np.ndarray:
    """`count` numbers of captions, drawn by weight."""
    weights = np.array([caption.weight for caption in items])
    rng = np.random.default_rng(seed)
    return rng.choice(len(items), size=count, p=weights / weights.sum())
