"""Noun synsets of WordNet and, for each, the ImageNet classes that stand for it.

The ImageNet classifier knows 1,000 nouns. WordNet's hypernym graph carries them further: a synset
that contains classes (`dog`) stands for the mean of their rows, and a synset beside or below them
(`elk`, whose class is missing) for the classes under its nearest hypernym that has any.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

# A hypernym with more classes than this says too little about what an image looks like.
MOST_CLASSES = 130
# How many steps up from a synset without classes its stand-in may lie.
MOST_STEPS = 4
_PHYSICAL_ENTITY = "00001930"


@dataclass(frozen=True)
class Synset:
    """One noun synset: its names, its hypernyms' identifiers and its definition."""

    key: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]
    gloss: str


@dataclass(frozen=True)
class Concept:
    """A synset with the classes that stand for it, `steps` up from it; 0: they lie under it."""

    synset: Synset
    classes: tuple[int, ...]
    steps: int


def read_synsets(data_noun: Path) -> dict[str, Synset]:
    """Parse WordNet's `data.noun`, keyed by its eight-digit offset."""
    synsets = {}
    for line in data_noun.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        data, _, gloss = line.partition(" | ")
        words = data.split()
        count = int(words[3], 16)
        lemmas = tuple(words[4 + 2 * i].replace("_", " ") for i in range(count))
        first = 5 + 2 * count
        links = [words[first + 4 * i : first + 4 * i + 2] for i in range(int(words[first - 1]))]
        hypernyms = tuple(target for symbol, target in links if symbol in ("@", "@i"))
        definition = gloss.split(";")[0].split('"')[0].strip()
        synsets[words[0]] = Synset(words[0], lemmas, hypernyms, definition)
    return synsets


def read_first_senses(index_noun: Path) -> dict[str, tuple[str, ...]]:
    """The synsets of each noun, most frequent sense first, from WordNet's `index.noun`."""
    senses = {}
    for line in index_noun.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        words = line.split()
        senses[words[0].replace("_", " ")] = tuple(words[-int(words[2]) :])
    return senses


def ancestors(synsets: dict[str, Synset], key: str) -> set[str]:
    """`key` and everything above it."""
    seen, stack = {key}, [key]
    while stack:
        for above in synsets[stack.pop()].hypernyms:
            if above not in seen:
                seen.add(above)
                stack.append(above)
    return seen


def concepts(synsets: dict[str, Synset], class_keys: list[str]) -> dict[str, Concept]:
    """Every synset that some classes can stand for, by key.

    Args:
        synsets: what `read_synsets` returned.
        class_keys: the synset of each ImageNet class, in the classifier's order.
    """
    under: dict[str, list[int]] = defaultdict(list)
    for number, key in enumerate(class_keys):
        for above in ancestors(synsets, key):
            under[above].append(number)
    found = {}
    for key in sorted(synsets):
        stand_in = _stand_in(synsets, under, key)
        if stand_in is not None:
            found[key] = stand_in
    return found


def _stand_in(synsets: dict[str, Synset], under: dict[str, list[int]], key: str) -> Concept | None:
    level = [key]
    for steps in range(MOST_STEPS + 1):
        candidates = [under[name] for name in level if name in under]
        if candidates:
            classes = min(candidates, key=len)
            if len(classes) > MOST_CLASSES:
                return None
            return Concept(synsets[key], tuple(classes), steps)
        level = [above for name in level for above in synsets[name].hypernyms]
    return None


def is_physical(synsets: dict[str, Synset], key: str) -> bool:
    """Whether the synset is a kind of physical entity."""
    return _PHYSICAL_ENTITY in ancestors(synsets, key)
