"""Canonical JSON: one text per value, so that equal values have equal digests."""

import hashlib
import json
from typing import Any


def canonical_json(value: Any, *, ascii_only: bool = False) -> bytes:
    """Return `value` as UTF-8 JSON with sorted keys and no spaces; ValueError for NaN.

    Args:
        value: Made of what JSON knows.
        ascii_only: Write other characters as escapes, as the headers of records have them.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii_only, allow_nan=False
    ).encode()


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
