"""A real OpenID provider in a process of its own; started again, it has new keys."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx

START_TIMEOUT_S = 180.0


class RealProvider:
    """A provider at an address of this machine.

    Attributes:
        url: Where it is, which is what it calls itself.
    """

    # Owns: the process, and the thread that reads what it says.

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"http://localhost:{port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, with keys that nobody has seen, and wait until it answers."""
        command = [sys.executable, "-u", "-m", "oidc_provider_mock", "--port", str(self._port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        assert any("Started" in line for line in self._process.stdout), "it did not start"
        self._reading = threading.Thread(target=self._process.stdout.read)
        self._reading.start()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._reading.join(START_TIMEOUT_S)
            with self._process:
                self._process = None

    def knows(self, name: str, **claims: object) -> None:
        """Have it know somebody."""
        httpx.put(
            f"{self.url}/users/{quote(name)}", json=claims, trust_env=False, timeout=180
        ).raise_for_status()

    def lets_in(self, name: str, asked: str) -> str:
        """Log somebody in at the address that a browser was sent to; return where it leads."""
        answer = httpx.post(asked, data={"sub": name}, trust_env=False, timeout=180)
        assert answer.is_redirect, answer.text
        return answer.headers["location"]


@contextmanager
def real_provider(port: int) -> Iterator[RealProvider]:
    """Run one as long as the block lasts."""
    found = RealProvider(port)
    found.start()
    try:
        yield found
    finally:
        found.stop()
