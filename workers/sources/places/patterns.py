"""Glob patterns, many files by one name: `{000..003}`, `{a,b}`, `*`, `?` and `[...]` at the end."""

import fnmatch
import re
from itertools import islice, product
from math import prod

from adapters.errors import NotFoundError, SettingsError
from workers.sources.places.place import Place
from workers.sources.places.survey import MOST_SEEN

MAX_ALTERNATIVES = 100_000
MAX_COMPARISONS = 20_000_000
"""Most files times patterns: some seconds."""
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")
_WILD = frozenset("*?[")


def is_pattern(name: str) -> bool:
    """Return whether `name` stands for several names."""
    return bool(_WILD & set(name)) or _BRACES.search(name) is not None


def matching(place: Place, name: str) -> list[str]:
    """Return the files of `place` that `name` stands for, in the order of the pattern.

    A file that is called exactly so comes first: then `name` is no pattern.

    Raises:
        NotFoundError: a part of the pattern stands for no file.
        SettingsError: a range stands for too many.
    """
    if place.has(name):
        return [name]
    if not is_pattern(name):
        return []
    wanted_names = alternatives(name)
    files = sorted(islice(place.files(), MOST_SEEN))
    present = frozenset(files)
    compared = len(files) * sum(bool(_WILD & set(wanted)) for wanted in wanted_names)
    if compared > MAX_COMPARISONS:
        raise SettingsError(
            f"expected a pattern of fewer parts beside {len(files)} files, found {name!r}"
        )
    found: dict[str, None] = {}
    for wanted in wanted_names:
        if _WILD & set(wanted):
            hits = fnmatch.filter(files, wanted)
        else:
            hits = [wanted] if wanted in present else []
        if not hits:
            raise NotFoundError(
                f"expected a file at {place.origin(wanted)}, as {name!r} says, found none"
            )
        found |= dict.fromkeys(hits)
    return list(found)


def alternatives(name: str) -> list[str]:
    """Return the names that the braces of `name` stand for, in their order.

    Raises:
        SettingsError: there are too many of them.
    """
    literal, inside = _BRACES.split(name)[::2], _BRACES.findall(name)
    choices = [_choices(text) for text in inside]
    if prod(map(len, choices)) > MAX_ALTERNATIVES:
        raise SettingsError(
            f"expected a pattern of at most {MAX_ALTERNATIVES} files, found {name!r}"
        )
    return [
        literal[0] + "".join(chosen + after for chosen, after in zip(row, literal[1:], strict=True))
        for row in product(*choices)
    ]


def _choices(inside: str) -> list[str]:
    bounds = _RANGE.fullmatch(inside)
    if bounds is None:
        return inside.split(",")
    first, last = bounds.groups()
    # One more than is allowed is enough to refuse it.
    numbers = islice(range(int(first), int(last) + 1), MAX_ALTERNATIVES + 1)
    return [str(number).zfill(len(first)) for number in numbers]
