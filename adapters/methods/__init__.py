"""The table of methods, by name."""

from collections.abc import Mapping

from adapters.contract.method import Method
from adapters.errors import SettingsError
from adapters.methods.gda import Gda
from adapters.methods.harness_only import HARNESS_METHODS
from adapters.methods.lada.method import Lada
from adapters.methods.nearest_mean import NearestMean
from adapters.methods.own_metric.method import OwnMetric
from adapters.methods.rail.dual import DualRail
from adapters.methods.ran_pac import RanPac
from adapters.methods.tip_adapter.fine_tuned import TipAdapterF
from adapters.methods.tip_adapter.method import TipAdapter
from adapters.methods.zero_shot import ZeroShot

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        DualRail(),
        Gda(),
        Lada(),
        NearestMean(),
        OwnMetric(),
        RanPac(),
        TipAdapter(),
        TipAdapterF(),
        ZeroShot(),
    )
}


def method_named(name: str) -> Method:
    """Return the method called `name`.

    Raises:
        SettingsError: there is none, or it exists for measuring only.
    """
    if name in HARNESS_METHODS:
        raise SettingsError(
            f"method: expected one of {sorted(METHODS)}, found {name!r}, which exists for "
            "measuring only; name one of those in the adapter's settings, or measure this one with "
            "`nacre bench xtail`",
            method=name,
        )
    if name not in METHODS:
        raise SettingsError(
            f"method: expected one of {sorted(METHODS)}, found {name!r}; name one of those in the "
            "adapter's settings",
            method=name,
        )
    return METHODS[name]


def measured_method(name: str) -> Method:
    """Return the method called `name`, be it for measuring only.

    Raises:
        SettingsError: there is none.
    """
    return HARNESS_METHODS[name] if name in HARNESS_METHODS else method_named(name)
