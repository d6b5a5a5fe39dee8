"""Suites: what a file says, and sentences for what it says wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import NotFoundError, SettingsError
from adapters.methods import METHODS
from adapters.methods.harness_only import HARNESS_METHODS
from harness.published import PUBLISHED
from harness.suite import MethodConfig, SetConfig, read_suite, settings_for
from workers.encoding.encoder import untrained_tower

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
        ({"split": {"class": 10}}, "did you mean 'classes'"),
        ({"split": {"classes": 0}}, "classes"),
        ({"candidates": "some"}, "candidates"),
    ],
)
def test_what_is_wrong_is_named(
    write_suite: Callable[..., Path], changes: dict[str, object], found: str
) -> None:
    path = write_suite(**changes)
    with pytest.raises(SettingsError, match=found) as told:
        read_suite(path)
    assert path.name in str(told.value)


def test_an_unknown_method_is_answered_with_all_of_them_and_the_nearest(
    write_suite: Callable[..., Path],
) -> None:
    with pytest.raises(SettingsError) as told:
        read_suite(write_suite(methods=[{"label": "ours", "method": "ladda"}]))
    said = str(told.value)
    assert "methods, 'ours'" in said
    assert said.endswith("found 'ladda'; did you mean 'lada'?")
    assert all(name in said for name in (*METHODS, *HARNESS_METHODS))


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
    suite = read_suite(path)
    assert suite.name == path.stem
    assert suite.published in (None, path.stem)
    assert suite.published is None or set(PUBLISHED[path.stem]) <= set(suite.orders)


CL_LORA = [
    # suite, classes of the set, tasks, epochs, learning rate, batch, decay, rank: as published
    ("cifar100", 100, 20, 30, 0.03, 64, 1e-4, 8),
    ("imagenet-r", 200, 40, 20, 0.05, 32, 5e-4, 10),
    ("imagenet-a", 200, 10, 25, 0.05, 32, 5e-3, 10),
    ("vtab", 50, 5, 45, 0.03, 32, 1e-4, 10),
]


@pytest.mark.parametrize("published", CL_LORA, ids=[line[0] for line in CL_LORA])
def test_cl_lora_learns_as_it_was_published(published: tuple[Any, ...]) -> None:
    name, classes, tasks, epochs, rate, batch, decay, rank = published
    suite = read_suite(next(path for path in SUITES if path.stem == name))
    assert suite.split is not None
    parts = suite.split.parts(classes, of=name)
    assert [len(part) for part in parts] == [classes // tasks] * tasks
    assert suite.split.seed == (None if name == "vtab" else 1993)
    assert suite.candidates == "seen"
    (line,) = [line for line in suite.methods if line.method == "cl_lora"]
    assert line.settings == {
        "rank": rank,
        "epochs": epochs,
        "learning_rate": rate,
        "batch_size": batch,
        "weight_decay": decay,
    }


@pytest.mark.slow
def test_the_suite_under_another_encoder_differs_in_nothing_else() -> None:
    suites = {path.stem: read_suite(path) for path in SUITES}
    first, second = (suites[name] for name in ("xtail-16-shot", "xtail-16-shot-siglip2"))
    same = replace(first, name=second.name, encoder=second.encoder, published=None)
    assert second == same
    tower = untrained_tower(second.encoder)  # its weights and its tokenizer are not had here
    assert sum(each.numel() for each in tower.parameters()) == 92_884_224
