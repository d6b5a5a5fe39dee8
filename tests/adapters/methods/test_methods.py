"""Every method passes the shared suite."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from adapters.contract.method import Method
from adapters.errors import SettingsError
from adapters.methods import METHODS, measured_method, method_named
from adapters.methods.harness_only import HARNESS_METHODS
from tests.support.conformance.method import LEARNT_FROM_IMAGES, MethodSuite


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


class TestLadaWithABankOfAllClasses(MethodSuite):
    method: ClassVar[Method] = METHODS["lada"]
    settings: ClassVar[Mapping[str, Any]] = {"text": "residual", "steps": 9, "replay_bank": "all"}


class TestLadaWithASampledBank(MethodSuite):
    method: ClassVar[Method] = METHODS["lada"]
    settings: ClassVar[Mapping[str, Any]] = {
        "text": "residual",
        "steps": 9,
        "replay_bank": "sample",
        "replay_classes": 2,
    }


class TestNearestMean(MethodSuite):
    method: ClassVar[Method] = METHODS["nearest_mean"]
    settings: ClassVar[Mapping[str, Any]] = {}


class TestZeroShot(MethodSuite):
    method: ClassVar[Method] = METHODS["zero_shot"]
    settings: ClassVar[Mapping[str, Any]] = {}


class TestTipAdapter(MethodSuite):
    method: ClassVar[Method] = METHODS["tip_adapter"]
    settings: ClassVar[Mapping[str, Any]] = {}


class TestTipAdapterWithCentresForKeys(MethodSuite):
    method: ClassVar[Method] = METHODS["tip_adapter"]
    settings: ClassVar[Mapping[str, Any]] = {
        "keys_per_class": 3,
        "fusion": "alone",
        "alpha": 1.0,
        "beta": 5.5,
    }


class TestTipAdapterF(MethodSuite):
    method: ClassVar[Method] = METHODS["tip_adapter_f"]
    settings: ClassVar[Mapping[str, Any]] = {"epochs": 3, "batch_size": 8}


class TestGda(MethodSuite):
    method: ClassVar[Method] = METHODS["gda"]
    settings: ClassVar[Mapping[str, Any]] = {}


class TestGdaAlone(MethodSuite):
    method: ClassVar[Method] = METHODS["gda"]
    settings: ClassVar[Mapping[str, Any]] = {"fusion": "alone", "alpha": 1.0}


class TestOwnMetric(MethodSuite):
    method: ClassVar[Method] = METHODS["own_metric"]
    settings: ClassVar[Mapping[str, Any]] = {}


class TestOwnMetricAlone(MethodSuite):
    method: ClassVar[Method] = METHODS["own_metric"]
    settings: ClassVar[Mapping[str, Any]] = {"fusion": "alone", "steps": 5}


class TestOwnMetricOfLowRank(MethodSuite):
    method: ClassVar[Method] = METHODS["own_metric"]
    settings: ClassVar[Mapping[str, Any]] = {"form": "low_rank"}


class TestOwnMetricByShortList(MethodSuite):
    method: ClassVar[Method] = METHODS["own_metric"]
    settings: ClassVar[Mapping[str, Any]] = {"form": "short_list"}


class TestRanPac(MethodSuite):
    method: ClassVar[Method] = METHODS["ran_pac"]
    settings: ClassVar[Mapping[str, Any]] = {"width": 300}


class TestDmc(MethodSuite):
    method: ClassVar[Method] = METHODS["dmc"]
    settings: ClassVar[Mapping[str, Any]] = {
        "adapter": "feature",
        "prompts": "none",
        "covariance": "class",
        "unseen": "bare",
    }


class TestDmcOt(MethodSuite):
    method: ClassVar[Method] = METHODS["dmc_ot"]
    settings: ClassVar[Mapping[str, Any]] = {"adapter": "feature", "prompts": "none"}


class TestDualRail(MethodSuite):
    method: ClassVar[Method] = METHODS["dual_rail"]
    settings: ClassVar[Mapping[str, Any]] = {}


class TestPrimalRail(MethodSuite):
    method: ClassVar[Method] = HARNESS_METHODS["primal_rail"]
    settings: ClassVar[Mapping[str, Any]] = {"width": 300, "fusion": "alone"}


class TestProbe(MethodSuite):
    method: ClassVar[Method] = HARNESS_METHODS["probe"]
    settings: ClassVar[Mapping[str, Any]] = {"steps": 9}


class TestProbeWithReplay(MethodSuite):
    method: ClassVar[Method] = HARNESS_METHODS["probe_replay"]
    settings: ClassVar[Mapping[str, Any]] = {"epochs": 3, "batch_size": 10}


class TestJoint(MethodSuite):
    method: ClassVar[Method] = HARNESS_METHODS["joint"]
    settings: ClassVar[Mapping[str, Any]] = {"steps": 9}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_how_many_views_it_learns_from(name: str) -> None:
    assert METHODS[name].views({}) == 1
    assert METHODS["lada"].views({"views": 4}) == 4


def test_every_method_passes_the_suite() -> None:
    suites = [value for value in globals().values() if isinstance(value, type)]
    tried = {
        suite.method.name
        for suite in suites
        if issubclass(suite, MethodSuite) and hasattr(suite, "method")
    }
    assert tried == (METHODS.keys() | HARNESS_METHODS.keys()) - LEARNT_FROM_IMAGES


@pytest.mark.parametrize("name", sorted(HARNESS_METHODS))
def test_asking_for_a_method_of_the_harness_says_that_it_is_for_measuring(name: str) -> None:
    with pytest.raises(SettingsError, match="measuring only"):
        method_named(name)
    assert measured_method(name).name == name


def test_an_unknown_method_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="lada"):
        method_named("lada2")
