"""All methods, by name."""

from collections.abc import Mapping

from adapters.dual_rail import DualRail
from adapters.errors import SettingsError
from adapters.gda import Gda
from adapters.harness_methods import HARNESS_METHODS
from adapters.lada import Lada
from adapters.method import Method
from adapters.nearest_mean import NearestMean
from adapters.own_metric import OwnMetric
from adapters.ran_pac import RanPac
from adapters.tip_adapter import TipAdapter
from adapters.tip_adapter_f import TipAdapterF
from adapters.zero_shot import ZeroShot

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
