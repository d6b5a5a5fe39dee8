"""Somebody who asks a system all the time while things happen to it."""

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

EVERY_S = 0.2


@dataclass
class Asker:
    """Somebody who asks all the time, in a thread, without asking twice.

    Attributes:
        url: Whom; may be changed meanwhile.
        token: Theirs.
        images: What they ask about, one at a time.
        answered: Requests that were.
        failed: When others failed, and how.
    """

    url: str
    token: str
    images: Sequence[Path]
    answered: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask until somebody calls `end`."""
        for image in itertools.cycle(self.images):
            if self._ended.wait(EVERY_S):
                return
            try:
                found = httpx.post(
                    f"{self.url}/v1/predict",
                    files={"images": (image.name, image.read_bytes())},
                    headers={"Authorization": f"Bearer {self.token}"},
                    timeout=60.0,
                )
            except httpx.HTTPError as error:
                self.failed.append((time.monotonic(), type(error).__name__))
                continue
            if found.status_code == 200:
                self.answered += 1
            else:
                self.failed.append((time.monotonic(), str(found.status_code)))

    def end(self) -> None:
        """End the asking."""
        self._ended.set()

    def wait_until_answered(self, *, times: int = 5, timeout_s: float = 120.0) -> None:
        """Wait until they were answered again, so often, or for so long."""
        before, deadline = self.answered, time.monotonic() + timeout_s
        while self.answered < before + times and time.monotonic() < deadline:
            time.sleep(0.2)
