"""Every method passes the shared suite."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from adapters.errors import SettingsError
from adapters.method import Method
from adapters.methods import METHODS, method_named
from tests.suites.method import MethodSuite


class TestLadaResidual(MethodSuite):
    method: ClassVar[Method] = METHODS["lada"]
    settings: ClassVar[Mapping[str, Any]] = {"text": "residual", "steps": 9}


class TestLadaMemoryAlone(MethodSuite):
    method: ClassVar[Method] = METHODS["lada"]
    settings: ClassVar[Mapping[str, Any]] = {
        "text": "none",
        "epochs": 4,
        "memory_per_class": 5,
        "weighting": "paper",
        "batch_size": 10,
        "replay_classes": 2,
        "beta": 2.0,
        "alpha": 0.5,
    }


class TestLadaWithoutMemory(MethodSuite):
    method: ClassVar[Method] = METHODS["lada"]
    settings: ClassVar[Mapping[str, Any]] = {
        "text": "residual",
        "steps": 9,
        "memory_per_class": 0,
        "replay": "centres",
    }


class TestNearestMean(MethodSuite):
    method: ClassVar[Method] = METHODS["nearest_mean"]
    settings: ClassVar[Mapping[str, Any]] = {}


class TestZeroShot(MethodSuite):
    method: ClassVar[Method] = METHODS["zero_shot"]
    settings: ClassVar[Mapping[str, Any]] = {}


def test_an_unknown_method_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="lada"):
        method_named("lada2")
