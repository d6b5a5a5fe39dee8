"""Names of classes beside numbers: in the schema of a table, or in a text file beside shards."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.contract.json_reading import JsonLimits, read_json
from adapters.errors import NotFoundError
from workers.sources.columns import shown_cell
from workers.sources.places.place import Place

NAME_FILES = ("classnames.txt", "classes.txt", "class_names.txt", "labels.txt")
"""Called so beside shards, they have the name of class 0 on their first line, and so on."""
MOST_NAMES = 100_000
_DIGITS = 7
_FILE_BYTES = 8 * 2**20
_SCHEMA = JsonLimits(depth=32, values=500_000)


def names_beside(place: Place) -> tuple[str, ...]:
    """Return the names of classes in a text file of `place`; none where there is no such file."""
    for name in NAME_FILES:
        if not place.has(name):
            continue
        try:
            content = place.read(name, 0, _FILE_BYTES + 1)
            lines = content.decode("utf-8-sig").splitlines() if len(content) <= _FILE_BYTES else []
        except (NotFoundError, UnicodeDecodeError):
            continue
        names = [line.strip() for line in lines]
        while names and not names[-1]:
            names.pop()
        if names and all(names) and len(names) <= MOST_NAMES:
            return tuple(names)
    return ()


def named_numbers(place: Place, keys: Sequence[str]) -> dict[str, str]:
    """Return readable names of classes whose keys are numbers, where all of them have one."""
    if not keys or not all(key.isdecimal() and len(key) < _DIGITS for key in keys):
        return {}
    names = names_beside(place)
    if max(map(int, keys)) >= len(names):
        return {}
    return {key: names[int(key)].replace("_", " ") for key in keys}


def schema_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of each column, as the schema of a table gives them.

    Libraries of Hugging Face keep a schema of their own in it, as JSON under the key `huggingface`;
    a column of classes has the type `ClassLabel` there, and its names in their order.
    """
    content = (metadata or {}).get(b"huggingface", b"")
    try:
        found = read_json(content, limits=_SCHEMA) if content else {}
    except ValueError:
        return {}
    features = _inside(_inside(found, "info"), "features")
    return {key: names for key, value in features.items() if (names := _names(value))}


def named_class(label: object, names: Sequence[str]) -> tuple[object, str]:
    """Return the class that a cell means by a schema, and what is wrong with it.

    Args:
        label: A number, or the name itself.
        names: Of the classes; none where there is no schema.
    """
    if not names:
        return label, ""
    if isinstance(label, str) and label in names:
        return label, ""
    number = int(label) if isinstance(label, str) and label.isdecimal() else label
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(names):
        return None, (
            f"its label {shown_cell(label)} is outside of the schema, which has {len(names)} "
            f"classes, {shown_cell(names[0])} first"
        )
    return names[number], ""


def _inside(found: Any, key: str) -> Mapping[str, Any]:
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, dict) else {}


def _names(feature: Any) -> tuple[str, ...]:
    names = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return tuple(names[:MOST_NAMES])
    return ()
