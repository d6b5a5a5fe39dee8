"""Stored JSON documents: canonical, versioned, and checked when they are read.

An immutable document is checked by the digest that refers to it. A document that is replaced in
place has nothing that refers to its bytes, so it carries the digest of its other fields (`seal`).
"""

import json
from collections.abc import Mapping
from typing import Any

from adapters.contract.canonical import canonical_json, digest_of
from adapters.errors import CorruptionError

SCHEMA = 1
"""The version of every document; a reader refuses a higher one than it knows."""

JsonObject = Mapping[str, Any]


def encode(fields: JsonObject) -> bytes:
    """Return `fields` as a document of the current schema."""
    return canonical_json({"schema": SCHEMA, **fields})


def decode(data: bytes, what: str) -> dict[str, Any]:
    """Return the fields of a document; CorruptionError naming `what` when it is none."""
    try:
        fields = json.loads(data)
        schema = fields["schema"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CorruptionError(
            f"{what} is damaged: expected a JSON object with a schema; restore it from a copy"
        ) from error
    if not isinstance(schema, int) or isinstance(schema, bool) or schema > SCHEMA:
        raise CorruptionError(
            f"{what} has schema {schema!r}, and this program reads up to {SCHEMA}: use a newer one"
        )
    return dict(fields)


def seal(fields: JsonObject) -> bytes:
    """Return `fields` as a document that carries its own digest."""
    return encode({**fields, "sha256": digest_of(encode(fields))})


def unseal(data: bytes, what: str) -> dict[str, Any]:
    """Return the fields of a sealed document after checking its digest.

    Raises:
        CorruptionError: The bytes are not those that were sealed; the message names `what`.
    """
    fields = decode(data, what)
    found = fields.pop("sha256", None)
    if found != digest_of(canonical_json(fields)):
        raise CorruptionError(
            f"{what} is damaged: its bytes do not give the digest {found} that it carries; "
            "restore it from a copy"
        )
    return fields
