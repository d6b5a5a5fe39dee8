"""One meaning per word: names of modules and folders, the glossary, and first sentences."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("adapters", "workers", "harness", "cluster", "nacre")

ENGLISH = """
absent accept access answer appearance base bench benching bounded budget by changed chart check
compare connecting cost count data demo diff distant drawing element essential estimate example
exported fact failure figure fine format free health housekeeping inspecting interrupt joined
keeping kept key known label labelled latest layout leaving library limit list live loading local
log looking main managing measure measured measuring message moved naming neighbour new once only
orientation other output overview packing page part past pattern picture playground published
question random raw reader reading rendering replacement result row running saved search sending
shared shown status table testing traced tracing trained turn verify
"""
COMPUTING = """
api app apply arrow async batching browser callback cli completion concurrency config
configuration declaration ready variable
coordination csv decode decoded decompressed denormal deployment directory entry error file folder
follower footer form gif handler header http jpeg jpeg2000 machine member metadata middleware node
number op open option parameter parquet png ppm process request resizing route runtime scalar
schedule schema server serving session socket static stored stream symmetric tar terminal thread
tiff unpacked upload wire xml yaml
"""
LEARNING = """
accuracy augmentation cluster embedding encoding evaluate evaluated evaluating evaluation learning
optimiser predicting product prompt randomness softmax training transformer tuned vision
"""
FOREIGN = "cifar cvat nacre opentelemetry s3 studio torchvision"
PLAIN = frozenset(f"{ENGLISH} {COMPUTING} {LEARNING} {FOREIGN}".split())
"""Words that mean in a name what they mean everywhere, without the s of the plural."""

MISLEADING = re.compile(r"(What|Which|Where|How|Who)\b")
"""First words that put off what a file is."""


def modules() -> list[Path]:
    return [path for name in PRODUCT for path in sorted((ROOT / name).rglob("*.py"))]


def singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("ches", "sses", "iases")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "ias", "us")) else word


def words_of(text: str) -> set[str]:
    """Return the words in `text` in lower case, without the s of the plural."""
    return {singular(word) for word in re.findall(r"[a-z0-9]+", text.lower())}


def first_column() -> Iterator[str]:
    """Yield what stands in the first column of the glossary's tables."""
    for line in (ROOT / "GLOSSARY.md").read_text().splitlines():
        if line.startswith("| **"):
            yield line.split("|")[1].strip()


def terms() -> list[str]:
    """Return the terms of the glossary, without the names that code has for them."""
    marked = [re.findall(r"\*\*(.+?)\*\*", entry)[0] for entry in first_column()]
    return [term.strip().lower() for entry in marked for term in entry.split(",")]


def name_words() -> dict[str, str]:
    """Return every word in the name of a module or folder, with a path that has it."""
    named = [path.relative_to(ROOT).with_suffix("") for path in modules()]
    parts = {part: path for path in named for part in path.parts if not part.startswith("__")}
    return {word: str(path) for part, path in parts.items() for word in words_of(part)}


def test_every_word_in_the_name_of_a_module_is_in_the_glossary_or_plain_english() -> None:
    known = PLAIN.union(*map(words_of, first_column()))
    assert {word: path for word, path in name_words().items() if word not in known} == {}


def test_no_plain_word_is_listed_for_nothing() -> None:
    assert sorted(PLAIN - name_words().keys()) == []


def test_no_word_is_in_the_glossary_twice() -> None:
    assert [term for term, count in Counter(terms()).items() if count > 1] == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_first_what_it_is(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said, "expected a docstring that says what the module is"
    assert not MISLEADING.match(said), (
        f"expected what the module is, found {said.splitlines()[0]!r}"
    )
