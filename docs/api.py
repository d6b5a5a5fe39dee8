"""The page of the public names, made from their docstrings: `make docs`.

    python -m docs.api          writes docs/api.md

Signatures are those of the source. A docstring's indented blocks are examples, which
tests/test_api_page.py runs.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType

import nacre
from adapters import errors

PAGE = Path(__file__).with_suffix(".md")
HEAD = "<!-- Made by `make docs` from the docstrings: change those. -->\n\n# nacre in Python"
ORDER = (
    "Client",
    "RemoteClient",
    "AsyncClient",
    "load_task",
    "Task",
    "load_config",
    "Config",
    "load_adapter",
)
"""What is not named here and is no error follows, by name."""
LISTS = {"Args:": "Arguments", "Attributes:": "Attributes", "Raises:": "Raises"}
TEXTS = {"Returns:": "Returns", "Yields:": "Yields"}

Callable = FunctionType | property | cached_property[object]


def page() -> str:
    """Return the page as Markdown."""
    others = sorted(set(nacre.__all__) - set(ORDER) - {error.__name__ for error in error_types()})
    parts = [HEAD, rendered(nacre.__doc__ or "")]
    parts += [part for name in (*ORDER, *others) for part in section(name)]
    return "\n\n".join([*parts, *error_section()]) + "\n"


def section(name: str) -> Iterator[str]:
    """Yield the heading and the text of a public name, and those of its members."""
    value = getattr(nacre, name)
    yield f"## {name}"
    if isinstance(value, type):
        if not is_dataclass(value):
            yield from written(name, _init(value))
        yield rendered(value.__doc__ or "")
        for member, found in members(value):
            yield f"### {name}.{member}"
            yield from described(f"{name}.{member}", found)
    else:
        yield from described(name, value)


def _init(value: type) -> FunctionType:
    found = next(vars(owner)["__init__"] for owner in value.__mro__ if "__init__" in vars(owner))
    assert isinstance(found, FunctionType)
    return found


def error_types() -> list[type[errors.NacreError]]:
    """Return all errors in the order of the source."""
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [value for value in found if issubclass(value, errors.NacreError)]


def error_section() -> Iterator[str]:
    """Yield the tree of errors and a line for each of them."""
    yield "## Errors"
    told, tree, after = (errors.__doc__ or "").strip().split("\n\n", 2)
    yield told
    yield f"```text\n{textwrap.dedent(tree)}\n```"
    yield after.strip()
    yield "\n".join(f"- `{error.__name__}`: {summary(error)}" for error in error_types())


def summary(value: object) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


def members(value: type) -> Iterator[tuple[str, Callable]]:
    """Yield public methods and properties of a class, its own first, those it inherits after."""
    seen: set[str] = set()
    for owner in value.__mro__[:-1]:
        for name, found in vars(owner).items():
            public = not name.startswith("_") and name not in seen
            if value is nacre.AsyncClient and hasattr(found, "__wrapped__"):
                continue  # as of `RemoteClient`
            if public and isinstance(found, FunctionType | property | cached_property):
                seen.add(name)
                yield name, found


def described(name: str, found: Callable) -> Iterator[str]:
    """Yield the signature of a function, or the type of a property, and its text."""
    if isinstance(found, property):
        assert isinstance(found.fget, FunctionType)
        yield from written(name, found.fget, as_property=True)
    elif isinstance(found, cached_property):
        assert isinstance(found.func, FunctionType)
        yield from written(name, found.func, as_property=True)
    else:
        yield from written(name, found)
    yield rendered(found.__doc__ or "")


def written(name: str, function: FunctionType, *, as_property: bool = False) -> Iterator[str]:
    """Yield the signature of `function` as its source has it, called `name`."""
    source = textwrap.dedent(inspect.getsource(function))
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    lines = source.splitlines()[node.lineno - 1 : node.body[0].lineno - 1]
    text = "\n".join(lines).rstrip(":")
    # Its own object is not given by whoever calls it, and annotations need no quotes here.
    text = re.sub(r"\bself(,\s*|(?=\)))", "", text, count=1)
    text = re.sub(r'(: |-> )"([^"]+)"', r"\1\2", text)
    text = re.sub(rf"^(async )?def {node.name}", rf"\1{name}", text).replace("async ", "await ")
    # What a call is answered with is what whoever sends it is given.
    text = re.sub(r"-> Call\[(.+)\]$", r"-> \1", text)
    if node.name == "__init__":
        text = text.removesuffix(" -> None")
    yield f"```text\n{text.replace('()', '') if as_property else text}\n```"


def rendered(docstring: str) -> str:
    """Return a docstring in Google's style as Markdown."""
    blocks = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(_block(block) for block in blocks).replace("\n```\n\n```python\n", "\n\n")


def _block(block: str) -> str:
    first, _, rest = block.partition("\n")
    if first in LISTS:
        return f"{LISTS[first]}:\n\n{_entries(rest)}"
    if first in TEXTS:
        return f"{TEXTS[first]} {textwrap.dedent(rest)}"
    if block.startswith("    "):
        return f"```python\n{textwrap.dedent(block)}\n```"
    return block


def _entries(text: str) -> str:
    """Return entries `name: text`, whose further lines are indented, as a list."""
    joined = re.sub(r"\n +", " ", textwrap.dedent(text))
    return re.sub(r"^(\*{0,2}\w+): ", r"- `\1`: ", joined, flags=re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(page())
