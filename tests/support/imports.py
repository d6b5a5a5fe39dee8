"""Who imports whom among the folders of the product, read from the source."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

Edges = Mapping[tuple[str, str], list[str]]
"""Importing and imported folder, and the imports between them as `module -> module`."""


def modules_of(root: Path, packages: list[str]) -> dict[str, Path]:
    """Return every module of `packages` below `root`, by its dotted name."""
    paths = [path for package in packages for path in (root / package).rglob("*.py")]
    return {_dotted(path.relative_to(root)): path for path in paths}


def folder_edges(root: Path, packages: list[str]) -> Edges:
    """Return the edges between folders that import each other's modules.

    A file that lies directly in a top-level package, beside the folders, is a folder of its own:
    `adapters.errors` is below everything, and `adapters.adapter` above it.
    """
    modules = modules_of(root, packages)
    edges: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module, path in modules.items():
        for imported in _imported(path, modules):
            ends = (_folder(module, modules), _folder(imported, modules))
            if ends[0] != ends[1]:
                edges[ends].append(f"{module} -> {imported}")
    return edges


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _folder(module: str, modules: Mapping[str, Path]) -> str:
    folder = module if modules[module].name == "__init__.py" else module.rpartition(".")[0]
    return folder if "." in folder else module


def _imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules among `modules` that the file imports anywhere, for types alone too."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                name = whole if whole in modules else str(node.module)
                if name in modules:
                    yield name
