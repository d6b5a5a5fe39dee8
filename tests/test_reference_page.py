"""The reference: it is what its script makes, and says every variable that the code reads."""

import re
from pathlib import Path

from cluster.config import Config
from cluster.variables import PREFIX, is_key, unknown_variables
from docs.reference import PAGE, page
from docs.variables import OF_IMAGE, OF_TESTS, VARIABLES

ROOT = Path(__file__).parents[1]
PRODUCT = ("adapters", "workers", "harness", "cluster", "nacre")
VARIABLE = re.compile(r"\b(?:NACRE|AWS)_[A-Z0-9_]*[A-Z0-9]\b|\bRAY_(?:AUTH_MODE|JOB_CONFIG\w+)\b")
NOT_READ = {"NACRE_COMPLETE", "NACRE_PROGRAMS"}
"""click makes the one of the name of the program; tests alone set the other."""


def variables_in(*folders: str) -> set[str]:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found = {name for path in files for name in VARIABLE.findall(path.read_text())} - NOT_READ
    return {name for name in found if not is_key(Config, name)} | (found & named(VARIABLES))


def named(table: tuple[tuple[str, str], ...]) -> set[str]:
    return {name for names, _ in table for name in re.findall(r"\w+", names)}


def test_the_page_is_what_its_script_makes() -> None:
    assert PAGE.read_text() == page(), "the code has changed: run `make docs`"


def test_the_page_names_every_variable_that_the_product_reads() -> None:
    assert variables_in(*PRODUCT) <= named(VARIABLES)


def test_the_page_names_no_variable_that_nothing_reads() -> None:
    code = "".join(path.read_text() for f in PRODUCT for path in (ROOT / f).rglob("*.py"))
    assert {name for name in named(VARIABLES) if f'"{name}"' not in code} == set()


def test_the_page_names_the_variables_of_the_image_that_it_reads() -> None:
    files = [
        path
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    ]
    read = {name for path in files for name in re.findall(r"\$\{?([A-Z0-9_]+)", path.read_text())}
    ours = {name for name in read if name.startswith(("NACRE_", "RAY_"))} - NOT_READ
    assert named(OF_IMAGE) <= ours <= named(OF_IMAGE) | named(VARIABLES)


def test_the_page_names_the_variables_of_tests_and_benchmarks() -> None:
    found = variables_in("tests", "benchmarks", "training") - named(VARIABLES) - named(OF_IMAGE)
    assert found == named(OF_TESTS)


def test_no_variable_that_the_page_names_is_told_of_as_unknown() -> None:
    ours = {name for table in (VARIABLES, OF_IMAGE, OF_TESTS) for name in named(table)}
    assert {"NACRE_KEYS", "NACRE_PORT"} <= ours
    assert unknown_variables(Config, dict.fromkeys(ours | NOT_READ, "1")) == []
    assert unknown_variables(Config, {f"{PREFIX}PROT": "1"}) != []
