"""Hyper-parameters of methods: one frozen dataclass per method, with its validation.

A wrong value is an error that says what was expected; an unknown key is one that names the nearest
known key.
"""

import difflib
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, TypeVar

from cachetools import LRUCache, cached
from cachetools.keys import typedkey

from adapters.errors import SettingsError

Settings = TypeVar("Settings", bound="MethodSettings")


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodSettings:
    """Base of all methods' settings; by itself the settings of a method that has none."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that `values` describe, defaults for the rest.

        Raises:
            SettingsError: an unknown key (the message names the nearest known one) or value.
        """
        if any(isinstance(value, (dict, list)) for value in values.values()):
            return _made(cls, values)
        known: Self = _known(cls, *values, *values.values())
        return known

    def as_mapping(self) -> dict[str, Any]:
        """Return the settings as JSON; `from_mapping` reads them back."""
        return asdict(self)


def _made(cls: type[Settings], values: Mapping[str, Any]) -> Settings:
    check_keys(values, [field.name for field in fields(cls)])
    return cls(**values)


# A thousand records of an adapter say the same; True is not 1 there.
@cached(LRUCache(256), key=typedkey, lock=threading.Lock())
def _known(cls: type[Settings], *given: Any) -> Settings:
    """Return the settings of keys and their values: first all of the ones, then of the others."""
    half = len(given) // 2
    return _made(cls, dict(zip(given[:half], given[half:], strict=True)))


def check_keys(values: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise SettingsError, naming the nearest known key, if `values` has a key not in `known`."""
    for key in values:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise SettingsError(f"unknown setting {key!r}{hint}", key=str(key))


def require(valid: bool, name: str, value: object, expected: str) -> None:
    """Raise SettingsError about the setting `name` unless `valid`."""
    if not valid:
        raise SettingsError(f"setting {name!r}: expected {expected}, found {value!r}", setting=name)


def require_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise SettingsError unless `value` is one of `allowed`."""
    require(value in allowed, name, value, " | ".join(allowed))


def require_whole(name: str, value: object, *, least: int, optional: bool = False) -> None:
    """Raise SettingsError unless `value` is a whole number from `least` on, or None if optional."""
    valid = (optional and value is None) or (type(value) is int and value >= least)
    require(valid, name, value, f"a whole number, at least {least}")


def require_number(name: str, value: object, *, least: float = 0.0) -> None:
    """Raise SettingsError unless `value` is a finite number from `least` on."""
    valid = isinstance(value, (int, float)) and not isinstance(value, bool)
    valid = valid and math.isfinite(value) and value >= least  # type: ignore[arg-type, operator]
    require(valid, name, value, f"a number, at least {least:g}")
