"""The table of methods, by name."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from adapters.contract.method import Method
from adapters.contract.nearest import did_you_mean
from adapters.errors import SettingsError
from adapters.methods.cl_lora.method import ClLora
from adapters.methods.dmc.method import Dmc, DmcOt
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
        ClLora(),
        Dmc(),
        DmcOt(),
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


ENTRY_POINTS = "nacre.methods"
"""Group of entry points under which an installed package offers a method of its own."""


def method_named(name: str) -> Method:
    """Return the method called `name`: one of `METHODS`, or one that an installed package offers.

    Raises:
        SettingsError: there is none, it exists for measuring only, or what a package offers is no
            method.
    """
    if name in METHODS:
        return METHODS[name]
    if name in HARNESS_METHODS:
        raise SettingsError(
            f"method: expected one of {_listed()}, found {name!r}, which exists for measuring "
            "only; name one of those in the adapter's settings, or measure this one with `nacre "
            "bench xtail`",
            method=name,
        )
    if (method := _offered(name)) is not None:
        return method
    raise _unknown(name)


def method_names() -> list[str]:
    """Return the names that `method_named` knows, sorted."""
    return sorted({*METHODS, *entry_points(group=ENTRY_POINTS).names})


def _offered(name: str) -> Method | None:
    """Return the method of this name that an installed package offers; None where none does."""
    for offered in entry_points(group=ENTRY_POINTS, name=name):
        return _installed(offered)
    return None


def _listed(*further: str) -> str:
    """Return all names of methods, also of those that installed packages offer."""
    return ", ".join(sorted({*method_names(), *further}))


def _unknown(name: str, *further: str) -> SettingsError:
    """Return that there is no method called `name`, with those there are and the nearest."""
    known = _listed(*further)
    near = did_you_mean(name, known.split(", "))
    return SettingsError(f"method: expected one of {known}, found {name!r}{near}", method=name)


@cache
def _installed(offered: EntryPoint) -> Method:
    """Return a new method of the class that `offered` points to."""
    try:
        method = offered.load()()
    except (Exception, SystemExit) as error:  # another package's code: whatever it raises
        raise SettingsError(
            f"method {offered.name!r}: expected a method at {offered.value!r}, which an installed "
            f"package names, found {error!r}; mend or remove that package",
            method=offered.name,
        ) from error
    if not isinstance(method, Method) or method.name != offered.name:
        raise SettingsError(
            f"method {offered.name!r}: expected a method of this name at {offered.value!r}, which "
            f"an installed package names, found {method!r}; mend or remove that package",
            method=offered.name,
        )
    return method


def measured_method(name: str) -> Method:
    """Return the method called `name`, be it for measuring only.

    Raises:
        SettingsError: there is none.
    """
    found = HARNESS_METHODS.get(name) or METHODS.get(name) or _offered(name)
    if found is None:
        raise _unknown(name, *HARNESS_METHODS)
    return found
