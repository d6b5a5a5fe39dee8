"""The reference: it is what its script makes, and says every variable that the code reads."""

import re
from pathlib import Path

from docs.reference import PAGE, page
from docs.variables import OF_TESTS, VARIABLES

ROOT = Path(__file__).parents[1]
PRODUCT = ("adapters", "workers", "harness", "cluster", "nacre")
VARIABLE = re.compile(r"\b(?:NACRE|AWS)_[A-Z0-9_]*[A-Z0-9]\b|\bRAY_(?:AUTH_MODE|JOB_CONFIG\w+)\b")
NOT_READ = {"NACRE_COMPLETE"}
"""click makes it of the name of the program."""


def variables_in(*folders: str) -> set[str]:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {name for path in files for name in VARIABLE.findall(path.read_text())} - NOT_READ


def named(table: tuple[tuple[str, str], ...]) -> set[str]:
    return {name for names, _ in table for name in re.findall(r"\w+", names)}


def test_the_page_is_what_its_script_makes() -> None:
    assert PAGE.read_text() == page(), "the code has changed: run `make docs`"


def test_the_page_names_every_variable_that_the_product_reads() -> None:
    assert variables_in(*PRODUCT) <= named(VARIABLES)


def test_the_page_names_no_variable_that_nothing_reads() -> None:
    code = "".join(path.read_text() for f in PRODUCT for path in (ROOT / f).rglob("*.py"))
    assert {name for name in named(VARIABLES) if f'"{name}"' not in code} == set()


def test_the_page_names_the_variables_of_tests_and_benchmarks() -> None:
    found = variables_in("tests", "benchmarks", "training") - named(VARIABLES)
    assert found == named(OF_TESTS)
