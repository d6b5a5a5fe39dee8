"""Suites: what a file says, and sentences for what it says wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.errors import NotFoundError, SettingsError
from harness.suite import MethodConfig, SetConfig, read_suite, settings_for

SUITES = sorted((Path(__file__).parents[2] / "deploy" / "suites").glob("*.yaml"))


def test_a_suite_is_read_with_its_folder_beside_the_file(
    write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    suite = read_suite(write_suite())
    assert suite.folder_of(suite.set_named("colors")) == tmp_path / "data" / "colors"
    assert suite.orders["II"] == ("shades", "colors")


def test_without_orders_there_is_one_of_all_sets(write_suite: Callable[..., Path]) -> None:
    assert read_suite(write_suite(orders={})).orders == {"I": ("colors", "shades")}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shoots": 3}, "did you mean 'shots'"),
        ({"methods": [{"method": "ladda"}]}, "ladda"),
        ({"methods": [{"method": "lada", "settings": {"alhpa": 1}}]}, "alpha"),
        ({"methods": [{"method": "lada"}, {"method": "lada"}]}, "found twice: lada"),
        ({"orders": {"I": ["colors", "shapes"]}}, "shapes"),
        ({"orders": {"I": ["colors", "colors"]}}, "found twice: colors"),
        ({"sets": []}, "expected sets"),
        ({"seeds": []}, "expected sets, methods and seeds"),
    ],
)
def test_what_is_wrong_is_named(
    write_suite: Callable[..., Path], changes: dict[str, object], found: str
) -> None:
    with pytest.raises(SettingsError, match=found):
        read_suite(write_suite(**changes))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.yaml"):
        read_suite(tmp_path / "none.yaml")


def test_a_set_brings_its_own_epochs_where_a_method_asks_for_them() -> None:
    one = SetConfig(name="mnist", epochs=200)
    plain = MethodConfig(method="lada", settings={"alpha": 2.0})
    asking = MethodConfig(method="lada", settings={"alpha": 2.0}, epochs_of_set=True)
    assert settings_for(plain, one) == {"alpha": 2.0}
    assert settings_for(asking, one) == {"alpha": 2.0, "epochs": 200}
    assert settings_for(asking, SetConfig(name="dtd")) == {"alpha": 2.0}


@pytest.mark.parametrize("path", SUITES, ids=[path.stem for path in SUITES])
def test_the_suites_that_come_with_nacre_can_be_read(path: Path) -> None:
    assert read_suite(path).name == path.stem
