"""The documents: the paths that they name exist, and so does the tree of ARCHITECTURE.md."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("adapters", "workers", "harness", "cluster", "nacre")
FOLDERS = (*PRODUCT, "tests", "benchmarks", "training", "deploy", "docs")
BUILT = "benchmarks/out"
"""What benchmarks write; no checkout has it."""

BRANCH = re.compile(r"^( *)([a-z_0-9]+)/ {2,}\S", re.MULTILINE)
INSIDE = re.compile(rf"(?<![\w/.:-])(?:{'|'.join(FOLDERS)})/[\w./-]*[\w/]")
BARE = re.compile(r"`([a-z_0-9]+\.py)`")
MODULE = re.compile(rf"python -m ((?:{'|'.join(FOLDERS)})[\w.]*\w)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def documents() -> list[Path]:
    """Return the documents of the project, but not those of what is installed below it."""
    beside = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))]
    return [*sorted(ROOT.glob("*.md")), *beside]


def tree() -> Iterator[str]:
    """Yield the path of every folder in the tree of ARCHITECTURE.md."""
    above: list[str] = []
    for indent, name in BRANCH.findall((ROOT / "ARCHITECTURE.md").read_text()):
        above[len(indent) // 2 :] = [name]
        yield "/".join(above)


def folders_of(package: str) -> set[str]:
    """Return a package and all packages in it, as paths."""
    inits = (ROOT / package).rglob("__init__.py")
    return {str(init.parent.relative_to(ROOT)) for init in inits}


def test_the_tree_has_every_folder_of_the_product_and_no_other() -> None:
    there = set[str]().union(*map(folders_of, PRODUCT))
    there |= {"workers/encoding/tiny_clip", "workers/encoding/tiny_vit"}
    assert {path for path in tree() if path.split("/")[0] in PRODUCT} == there


def test_the_tree_has_no_folder_twice_and_none_that_does_not_exist() -> None:
    paths = list(tree())
    assert len(paths) == len(set(paths))
    assert [path for path in paths if not (ROOT / path).is_dir()] == []
    assert set(FOLDERS) <= set(paths)


def missing_in(text: str, folder: Path) -> list[str]:
    """Return the paths, files, modules and links in `text` that lead to nothing."""
    inside = [path for path in INSIDE.findall(text) if not path.startswith(BUILT)]
    absent = [path for path in inside if not (ROOT / path).exists()]
    absent += [link for link in LINK.findall(text) if not (folder / link).exists()]
    absent += [name for name in MODULE.findall(text) if find_spec(name) is None]
    return absent + [name for name in BARE.findall(text) if not any_file(name)]


def any_file(name: str) -> bool:
    return any(True for folder in FOLDERS for _ in (ROOT / folder).rglob(name))


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(path: Path) -> None:
    assert missing_in(path.read_text(), path.parent) == []


def test_what_is_not_there_is_found() -> None:
    text = (
        "[a](gone.md#head) `adapters/gone.py`, adapters/errors.py, `gone.py`, "
        "python -m benchmarks.gone, s3://bucket/adapters/gone, [b](README.md)"
    )
    assert missing_in(text, ROOT) == ["adapters/gone.py", "gone.md", "benchmarks.gone", "gone.py"]
