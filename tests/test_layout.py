"""The shape of the house: generic package names are ours, and errors are one tree."""

import importlib
import pickle
from pathlib import Path

import pytest

from adapters import errors
from adapters.errors import NacreError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["adapters", "workers", "cluster", "nacre"])
def test_a_package_with_a_generic_name_is_the_one_of_this_distribution(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / name


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
