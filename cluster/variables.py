"""Keys of the configuration in the environment: `NACRE_SERVE__PORT` is `serve: port`.

Names are in capitals, behind `NACRE_`, and two underscores lead into a section. A value is written
as in the file, a list or a section on one line: `[birds, boats]`, `{ci: {requests: 5}}`. An empty
variable says nothing.

Names that are no key are not ours to refuse: Kubernetes puts addresses of all services into every
pod, and of a service called nacre-serve-svc they begin like ours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from adapters.contract.nearest import ALIKE
from workers.formats.yaml_nodes import Entries, Node, Scalar
from workers.formats.yaml_reading import nodes_of

PREFIX = "NACRE_"
INTO = "__"
"""Between the name of a section and that of a key."""
OTHERS = frozenset(
    {
        *("HOME", "CONFIG", "TOKEN", "PREDICT_TOKEN", "TOKEN_FILE", "OIDC_SECRET", "URL", "DEBUG"),
        *("COMPLETE", "KEYS", "PROGRAMS", "IMAGE", "PORT"),
        *("CRDS", "DATASETS", "FEATURES", "FUZZ_SECONDS", "SAME_MACHINE"),
    }
)
"""Variables that are no keys, without their prefix: nacre's, its image's, its tests'."""
FAMILIES = ("S3_", "PROVE_", "TEST_")
"""How the names of further ones begin."""


def variables_of(kind: type[Any], environment: Mapping[str, str]) -> Entries:
    """Return the keys that variables say, as a file would have them.

    Args:
        kind: The configuration's class.
        environment: The variables.

    Raises:
        SettingsError: a list or a section cannot be read.
    """
    found = Entries()
    for name in sorted(environment):
        expected = _expected(kind, name)
        if expected is None or not environment[name]:
            continue
        place, inner = _steps(name), found
        for step in place[:-1]:
            _, below = inner.entries.setdefault(step, (_key(step), Entries()))
            if not isinstance(below, Entries):  # its section is said as a whole, and this in it
                break
            inner = below
        else:
            value = _value(_only(expected), environment[name], f"the variable {name}")
            inner.entries[place[-1]] = (_key(place[-1]), value)
    return found


def unknown_variables(kind: type[Any], environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that begins like nacre's and is none.

    Args:
        kind: The configuration's class.
        environment: The variables.
    """
    known = [*_names(kind), *(f"{PREFIX}{name}" for name in OTHERS)]
    found = []
    for name in sorted(environment):
        own = name.removeprefix(PREFIX)
        if own == name or own in OTHERS or own.startswith(FAMILIES):
            continue
        if not is_key(kind, name):
            near = INTO in name and get_close_matches(name, known, n=1, cutoff=ALIKE)
            meant = f"; did you mean {near[0]}?" if near else ""
            found.append(
                f"the variable {name} is no key of the configuration and not heeded{meant}"
            )
    return found


def is_key(kind: type[Any], name: str) -> bool:
    """Return whether a variable stands for a key of a configuration of class `kind`."""
    return _expected(kind, name) is not None


def _expected(kind: type[Any], name: str) -> Any:
    """Return the type of the key that a variable stands for; None where it is none."""
    if not name.startswith(PREFIX):
        return None
    expected: Any = kind
    for step in _steps(name):
        expected = _inside(expected, step) if step else None
        if expected is None:
            return None
    return expected


def _steps(name: str) -> list[str]:
    return name.removeprefix(PREFIX).lower().split(INTO)


def _key(name: str) -> Scalar:
    return Scalar(text=name, is_plain=False)


def _value(expected: Any, text: str, where: str) -> Node:
    """Return a value; a list or a section is read, and what a scalar means is decided later."""
    if get_origin(expected) in (dict, tuple) or is_dataclass(expected):
        return nodes_of(text.encode(), where) or Entries()
    return Scalar(text=text, is_plain=True)


def _inside(kind: Any, step: str) -> Any:
    """Return the type of what a key holds inside a value of a type; None where there is none."""
    only = _only(kind)
    if is_dataclass(only):
        return get_type_hints(only, include_extras=True).get(step)
    return get_args(only)[1] if get_origin(only) is dict else None


def _only(kind: Any) -> Any:
    """Return a type without what is said of its values, and without None."""
    kind = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if not isinstance(kind, UnionType):
        return kind
    return next(_only(each) for each in get_args(kind) if each is not type(None))


def _names(kind: type[Any], prefix: str = PREFIX) -> Iterator[str]:
    """Yield the variables of all keys whose names are known."""
    hints = get_type_hints(kind, include_extras=True)
    for entry in fields(kind):
        name = f"{prefix}{entry.name.upper()}"
        yield name
        only = _only(hints[entry.name])
        if is_dataclass(only) and isinstance(only, type):
            yield from _names(only, f"{name}{INTO}")
