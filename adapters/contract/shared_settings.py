"""Consistency check of settings that all records of one adapter have to share.

They are scored together.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings
from adapters.errors import SettingsError

Settings = TypeVar("Settings", bound=MethodSettings)


def shared_settings(
    records: Sequence[Record], of: type[Settings], *, names: Sequence[str]
) -> Settings:
    """Return the settings of the first of `records`.

    Args:
        records: At least one.
        of: Their type.
        names: What the others have to share with them.

    Raises:
        SettingsError: one does not.
    """
    check_shared([record.settings for record in records], names=names)
    return of.from_mapping(records[0].settings)


def check_shared(settings: Sequence[Mapping[str, Any]], *, names: Sequence[str]) -> None:
    """Raise SettingsError unless all `settings` have the same value under each of `names`."""
    for name in names:
        values = [each.get(name) for each in settings]
        for value in values[1:]:
            if value != values[0]:
                raise SettingsError(
                    f"setting {name!r}: expected {values[0]!r}, as in the adapter's first task, "
                    f"found {value!r}; tasks that are scored together must share it",
                    setting=name,
                )
