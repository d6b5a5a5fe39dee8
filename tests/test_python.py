"""Patch levels of Python: all that `requires-python` admits are as safe as the newest."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("adapters", "workers", "harness", "cluster", "nacre")
UNPACKING = {"extract", "extractall", "extractfile", "unpack_archive", "getmembers", "getnames"}
WRITING_TARS = {
    "cluster/system/support_bundle.py",
    "cluster/client/remote/packing.py",
    "workers/tasks/shards.py",
    "workers/registry/archive.py",
}


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what is called in a module: the name before the dot, and the one after."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            yield owner.id if isinstance(owner, ast.Name) else "", node.func.attr


def modules() -> list[Path]:
    return [path for name in PRODUCT for path in sorted((ROOT / name).rglob("*.py"))]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_archive_is_unpacked_by_the_standard_library(path: Path) -> None:
    """Before 3.11.14, 3.12.12 and 3.13.6 tarfile writes outside of a folder, and reads for ever.

    `filter="data"` lets members out of the folder before 3.11.13, 3.12.11 and 3.13.4, and headers
    of negative sizes never end before the others; nacre reads tars by its own code.
    """
    name = str(path.relative_to(ROOT))
    called = set(calls(path))
    assert {method for _, method in called} & UNPACKING == set()
    assert ("tarfile", "open") not in called or name in WRITING_TARS
