"""Scripts and styles of the console, which all lie in this package."""

import hashlib
from functools import cache
from importlib.resources import files

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def static_files() -> dict[str, tuple[str, bytes]]:
    """Return media type and content of each file, by its name."""
    folder = files("cluster.console").joinpath("static")
    found = {}
    for entry in folder.iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in KINDS:
            found[entry.name] = (KINDS[suffix], entry.read_bytes())
    return found


@cache
def digest_of_static() -> str:
    """Return a digest of all of them."""
    whole = hashlib.sha256()
    for name, (_, content) in sorted(static_files().items()):
        whole.update(name.encode() + content)
    return whole.hexdigest()[:12]
