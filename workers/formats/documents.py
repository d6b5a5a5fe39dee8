"""Stored JSON documents: canonical, versioned, and checked when they are read.

An immutable document is checked by the digest that refers to it. A document that is replaced in
place has nothing that refers to its bytes, so it carries the digest of its other fields (`seal`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from adapters.contract.canonical import canonical_json, digest_of
from adapters.contract.json_reading import read_json, typed
from adapters.errors import CorruptionError

SCHEMA = 1
"""The version of every document; a reader refuses a higher one than it knows."""

JsonObject = Mapping[str, Any]
Kind = TypeVar("Kind")

LARGEST_COUNT = 2**63 - 1
Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
"""Of things that are counted; what is larger has not been counted by anybody."""
Size = Annotated[int, Field(ge=0, lt=2**48)]
"""Bytes of an object; no store keeps as many in one."""
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal."""


def next_count(count: int, what: str) -> int:
    """Return the count after `count`.

    Args:
        count: As it is stored.
        what: Names it in the error: "the serial of adapter 'main'".

    Raises:
        CorruptionError: nobody could read the next one; what would hold it is not written.
    """
    if count >= LARGEST_COUNT:
        raise CorruptionError(
            f"{what} is {count}, after which none can be read: nobody has counted so far, so it "
            "was forged or damaged; nothing was written, restore what holds it from a copy"
        )
    return count + 1


def encode(fields: JsonObject) -> bytes:
    """Return `fields` as a document of the current schema."""
    return canonical_json({"schema": SCHEMA, **fields})


def decode(data: bytes, what: str) -> dict[str, Any]:
    """Return the fields of a document; CorruptionError naming `what` when it is none."""
    try:
        fields = read_json(data)
        schema = fields["schema"]
    except (ValueError, TypeError, KeyError) as error:
        reason = f" ({error})" if isinstance(error, ValueError) else ""
        raise CorruptionError(
            f"{what} is damaged: expected a JSON object with a schema{reason}; restore it from a "
            "copy"
        ) from error
    _check_schema(schema, what)
    return dict(fields)


def validated(kind: type[Kind], data: bytes, what: str) -> Kind:
    """Return the record that the document `data` holds; keys that it does not know are passed over.

    Types are those of JSON, to the letter: a number in quotes is none.

    Args:
        kind: A dataclass whose fields are keys of the document.
        data: The document's bytes.
        what: Names the document in errors.

    Raises:
        CorruptionError: No JSON, a higher schema, a missing key, or a value of another type; the
            message names `what` and the first key that is wrong.
    """
    decode(data, what)  # JSON of one meaning; types are looked at where it is read as JSON
    return _typed(kind, data, what)


def unsealed(kind: type[Kind], data: bytes, what: str) -> Kind:
    """Return the record that the sealed document `data` holds; arguments and errors as above.

    Raises:
        CorruptionError: The same, and bytes that are not those that were sealed.
    """
    unseal(data, what)
    return _typed(kind, data, what)


def _typed(kind: type[Kind], data: bytes, what: str) -> Kind:
    try:
        return typed(kind).validate_json(data, strict=True)
    except ValidationError as error:
        raise CorruptionError(
            f"{what} is damaged: {first_problem(error)}; restore it from a copy"
        ) from error


def first_problem(error: ValidationError) -> str:
    """Return where the first thing is that is wrong, what is expected there, and what was found."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(map(str, problem["loc"])) or "it"
    return f"{where}: {problem['msg']}, found {problem['input']!r:.{SHOWN}}"


SHOWN = 80
"""So many characters of what is wrong are shown."""


def _check_schema(schema: Any, what: str) -> None:
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise CorruptionError(
            f"{what} has schema {schema!r}, and this program reads up to {SCHEMA}: use a newer one"
        )


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
    if found is None or not (sealed_as(data, found) or _digest(fields) == found):
        raise CorruptionError(
            f"{what} is damaged: its bytes do not give the digest {found} that it carries; "
            "restore it from a copy"
        )
    return fields


def sealed_as(data: bytes, found: object) -> bool:
    """Return whether the bytes around the seal `found` are what was sealed."""
    around = data.replace(f'"sha256":"{found}",'.encode(errors="replace"), b"", 1)
    return digest_of(around) == found


def _digest(fields: JsonObject) -> str | None:
    try:
        return digest_of(canonical_json(fields))
    except ValueError:
        return None  # half of a character: nobody sealed that
