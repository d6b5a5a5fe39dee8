"""The public face: instant to import, and complete."""

import subprocess
import sys

import pytest

import nacre
from adapters import errors

SLOW = ("torch", "ray", "open_clip", "httpx", "minio", "yaml")


def printed(program: str) -> str:
    """Run `program` in a fresh interpreter and return what it prints."""
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    return found.stdout.strip()


def test_importing_nacre_imports_nothing_slow() -> None:
    program = f"import sys, nacre; print([name for name in {SLOW} if name in sys.modules])"
    assert printed(program) == "[]"


def test_an_error_is_caught_without_importing_anything_slow() -> None:
    program = (
        "import sys, nacre; nacre.NacreError; "
        f"print([name for name in {SLOW} if name in sys.modules])"
    )
    assert printed(program) == "[]"


@pytest.mark.parametrize("name", nacre.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(nacre, name).__name__ == name


def test_every_error_is_public() -> None:
    tree = {name for name in dir(errors) if name.endswith("Error")}
    assert tree <= set(nacre.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'nacre' has no attribute 'Cleint'"):
        _ = nacre.Cleint


def test_names_are_listed_once_and_in_order() -> None:
    assert dir(nacre) == sorted(set(nacre.__all__))
