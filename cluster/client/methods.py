"""The client's verb that looks at methods: which there are, and the schema of their settings."""

import inspect
import re
from typing import Any

from adapters.errors import SettingsError
from cluster.client.part import ClientPart
from cluster.wire.methods import DescribedMethod


class MethodVerbs(ClientPart):
    """Says by which methods tasks can be learnt."""

    def methods(self) -> list[DescribedMethod]:
        """Return the methods that an adapter can name, with the JSON schema of their settings.

        One that an installed package offers and that cannot be used says why.
        """
        from adapters.methods import method_names  # needs torch

        return [_described(name) for name in method_names()]


def _described(name: str) -> DescribedMethod:
    from adapters.methods import method_named

    try:
        method = method_named(name)
        schema = _schema(method.settings_type, method.check_settings({}))
    except SettingsError as error:
        return DescribedMethod(name=name, settings={}, shared=[], trouble=error.message)
    return DescribedMethod(name=name, settings=schema, shared=list(method.shared), trouble=None)


def _schema(kind: type | None, defaults: Any) -> dict[str, Any]:
    """Return the JSON schema of settings, from their dataclass or else from their defaults."""
    if kind is None:
        known = {key: {"default": value} for key, value in defaults.items()}
        return {"type": "object", "properties": known}
    from pydantic import TypeAdapter

    schema: dict[str, Any] = TypeAdapter(kind).json_schema()
    meanings = attributes(kind)
    known = {
        key: each | ({"description": meanings[key]} if key in meanings else {})
        for key, each in schema.get("properties", {}).items()
    }
    return {"type": "object", "properties": known, "additionalProperties": False}


def attributes(kind: type) -> dict[str, str]:
    """Return what the docstrings of a dataclass and its bases say of its attributes."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        text = inspect.cleandoc(each.__doc__ or "").partition("Attributes:\n")[2]
        entries = re.split(r"^ {4}(\w+): ", text, flags=re.MULTILINE)
        found |= {
            name: " ".join(said.split())
            for name, said in zip(entries[1::2], entries[2::2], strict=True)
        }
    return found
