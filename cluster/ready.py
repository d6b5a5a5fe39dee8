"""Whether the system of this machine is ready, asked with the standard library alone.

A container asks every few seconds (`HEALTHCHECK CMD nacre ready`), and the whole command line takes
longer to import than that answer takes.
"""

import json
import os
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

READY = "/v1/health/ready"
RUNNING = "running.json"
"""In the home folder while `nacre up` runs with a Ray of its own: what it says of itself."""
PORT = "NACRE_SERVE__PORT"
TIMEOUT_S = 4.0
LATER = 4
"""Exit code: try again later."""
MOST_BYTES = 1 << 20


def main(urls: list[str]) -> int:
    """Ask, print the answer, and return the exit code.

    Args:
        urls: The address, if one was given.
    """
    url = urls[0] if urls else address_here()
    reason = why_unready(url)
    if reason is None:
        print(f"ready at {url}")
        return 0
    print(f"error: {reason}", file=sys.stderr)
    return LATER


def address_here() -> str:
    """Return where the system of this machine is asked.

    That is where the `nacre up` of this home answers; where none runs, what the environment says,
    and else the default. The configuration file is not read.
    """
    home = Path(os.environ.get("NACRE_HOME") or Path.home() / ".nacre")
    try:
        found = json.loads((home / RUNNING).read_text())["endpoint"]
        if isinstance(found, str):
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return f"http://127.0.0.1:{os.environ.get(PORT) or 8000}"


def why_unready(url: str, *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Return why what answers at `url` is not ready, as a sentence; None where it is.

    Args:
        url: `http://HOST:PORT` of this machine.
        timeout_s: Longest wait for it, in seconds.
    """
    hint = "; `--url http://HOST:PORT` names another address"
    try:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            return f"expected an address of this machine, as http://127.0.0.1:8000, found {url!r}"
        connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout_s)
        try:
            connection.request("GET", f"{parts.path.rstrip('/')}{READY}")
            answer = connection.getresponse()
            said = answer.read(MOST_BYTES)
        finally:
            connection.close()
    except (OSError, ValueError, HTTPException) as error:
        return f"nothing answers at {url} ({error or type(error).__name__}){hint}"
    if answer.status == 200:
        return None
    try:
        detail = json.loads(said)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"it answers {answer.status}{hint}"
    return f"not ready: {detail}"
