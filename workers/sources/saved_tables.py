"""Saved data sets of `datasets`: a folder of Arrow streams, and what describes them."""

from adapters.contract.json_reading import JsonLimits, read_json
from adapters.errors import InputError, SettingsError
from workers.sources.arrow_rows import ARROW
from workers.sources.places.place import Place

STATE, DESCRIPTION = "state.json", "dataset_info.json"
_BYTES = 8 * 2**20
_LIMITS = JsonLimits(values=200_000)


def saved_tables(place: Place) -> tuple[str, ...]:
    """Return the streams of the saved data set that a folder is; none where it is another folder.

    Raises:
        SettingsError: what describes it cannot be read, or names what is not there.
    """
    if not place.has(STATE):
        return ()
    origin = place.origin(STATE)
    try:
        content = place.read(STATE, 0, _BYTES + 1)
        found = read_json(content, limits=_LIMITS) if len(content) <= _BYTES else None
    except (InputError, ValueError):
        found = None
    if not isinstance(found, dict) or "_data_files" not in found:
        return ()  # a class may have a file that is called so
    files = found["_data_files"]
    names = [each.get("filename") if isinstance(each, dict) else None for each in _list(files)]
    known = [name for name in names if isinstance(name, str) and name.lower().endswith(ARROW)]
    if not known or len(known) < len(names) or any("/" in name for name in known):
        raise SettingsError(
            f"expected the names of Arrow files beside it in {origin}, found {names[:3]}; save the "
            "data set again with `save_to_disk`"
        )
    if found.get("_indices_data_files"):
        raise SettingsError(
            f"expected a data set whose rows are in order, found one that selects rows in {origin};"
            " call `flatten_indices()` and save it again"
        )
    missing = [name for name in known if not place.has(name)]
    if missing:
        raise SettingsError(f"expected {missing[0]} beside {origin}, found none; copy it again")
    return tuple(known)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [None]
