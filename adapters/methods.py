"""All methods, by name."""

from collections.abc import Mapping

from adapters.errors import SettingsError
from adapters.lada import Lada
from adapters.method import Method
from adapters.nearest_mean import NearestMean
from adapters.zero_shot import ZeroShot

METHODS: Mapping[str, Method] = {
    method.name: method for method in (Lada(), NearestMean(), ZeroShot())
}


def method_named(name: str) -> Method:
    """Return the method called `name`.

    Raises:
        SettingsError: there is none.
    """
    if name not in METHODS:
        raise SettingsError(f"method: expected one of {sorted(METHODS)}, found {name!r}")
    return METHODS[name]
