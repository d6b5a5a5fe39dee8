"""Atomic file writes: a file is there whole or not at all."""

from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`; text as UTF-8."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
    unfinished.replace(path)
