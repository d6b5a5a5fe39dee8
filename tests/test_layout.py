"""The shape of the house: whose packages these are, who imports whom, and one tree of errors."""

import importlib
import pickle
import tomllib
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from setuptools import find_packages

from adapters import errors
from adapters.errors import NacreError
from tests.support.imports import folder_edges, modules_of

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PRODUCT = sorted(SETTINGS["tool"]["importlinter"]["root_packages"])
NOT_IN_THE_WHEEL = {"tests", "benchmarks", "training", "docs"}
MOST_MODULES_IN_A_FOLDER = 24


@pytest.mark.parametrize("name", PRODUCT)
def test_a_package_with_a_generic_name_is_the_one_of_this_distribution(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / name


def test_every_folder_with_code_is_of_the_product_or_known_to_stay_at_home() -> None:
    tracked = {path.parent.name for path in ROOT.glob("*/*.py")}
    assert tracked == {*PRODUCT, *NOT_IN_THE_WHEEL}


def test_the_wheel_has_every_package_of_the_product_and_no_other() -> None:
    found = SETTINGS["tool"]["setuptools"]["packages"]["find"]
    packed = find_packages(str(ROOT), include=found["include"])
    folders = {path.parent.relative_to(ROOT) for name in PRODUCT for path in _code(ROOT / name)}
    assert sorted(packed) == sorted(".".join(folder.parts) for folder in folders)


def test_types_are_checked_in_every_package_of_the_product() -> None:
    assert set(PRODUCT) <= set(SETTINGS["tool"]["mypy"]["packages"])


def test_the_container_is_built_from_the_whole_tree_so_that_no_folder_can_be_forgotten() -> None:
    stages = (ROOT / "deploy" / "docker" / "Dockerfile").read_text().split("\nFROM ")
    (build,) = [stage for stage in stages if stage.startswith("dependencies AS build\n")]
    copied = [line for line in build.splitlines() if line.startswith("COPY")]
    assert copied == ["COPY . ."]
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    left_out = [line for line in lines if not line.startswith("#")]
    assert not [name for name in PRODUCT for pattern in left_out if Path(name).match(pattern)]


def test_no_two_folders_import_each_other() -> None:
    edges = folder_edges(ROOT, PRODUCT)
    both = {ends: edges[ends] + edges[ends[::-1]] for ends in edges if ends[::-1] in edges}
    assert not both


def test_the_folders_have_an_order_in_which_each_imports_only_earlier_ones() -> None:
    needs: dict[str, set[str]] = defaultdict(set)
    for importing, imported in folder_edges(ROOT, PRODUCT):
        needs[importing].add(imported)
    order = list(TopologicalSorter(needs).static_order())
    assert order.index("adapters.errors") < order.index("adapters.contract") < order.index("nacre")


def test_no_folder_has_more_modules_than_a_reader_takes_in() -> None:
    flat: dict[Path, int] = defaultdict(int)
    for path in modules_of(ROOT, PRODUCT).values():
        flat[path.parent] += path.name != "__init__.py"
    assert len(flat) > len(PRODUCT)
    assert {folder for folder, count in flat.items() if count > MOST_MODULES_IN_A_FOLDER} == set()


def all_errors() -> list[type[NacreError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [error for error in found if issubclass(error, NacreError)]


@pytest.mark.parametrize("error_type", all_errors())
def test_an_error_comes_back_equal_from_another_process(error_type: type[NacreError]) -> None:
    error = error_type("expected 14, found 15", expected=14, found=15, names=("a", "b"))
    returned = pickle.loads(pickle.dumps(error))
    assert returned == error
    assert str(returned) == "expected 14, found 15"


def test_errors_of_one_branch_share_an_exit_code() -> None:
    branch = [error for error in all_errors() if issubclass(error, errors.InputError)]
    assert {error.exit_code for error in branch} == {2}


def _code(folder: Path) -> list[Path]:
    return list(folder.rglob("*.py"))
