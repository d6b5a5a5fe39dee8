"""Keys of classes: which names of folders and which labels can be one."""

import re

MOST_CHARACTERS = 1000

_BYTES = re.compile(r"[\ud800-\udfff]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def what_is_wrong_with(key: str) -> str:
    """Return why `key` can be no class's; empty where it can."""
    if not key.strip():
        return "is empty"
    if len(key) > MOST_CHARACTERS:
        return f"has {len(key)} characters; expected at most {MOST_CHARACTERS}"
    if _BYTES.search(key):
        return "has bytes that are no UTF-8"
    if _CONTROLS.search(key):
        return "has control characters"
    return ""
