"""A real Prometheus for tests, as the shipped configuration has it, but for addresses and times."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import yaml

from tests.support.drivers.s3_server import free_port

OBSERVE = Path(__file__).parents[3] / "deploy" / "observe"
START_TIMEOUT_S = 180.0
EVERY = "5s"
"""Between two scrapes, and for each: a page has thousands of lines, and machines are busy."""

SHORTER = {
    "1m": "25s", "5m": "25s", "10m": "25s", "15m": "30s", "30m": "30s",
    "1h": "40s", "6h": "40s", "1d": "180s", "7d": "180s",
}  # fmt: skip
HELD = re.compile(r"^( +for:) .+$", re.MULTILINE)
WINDOW = re.compile(r"\[(\w+)\]")
WAITED = {"> 900": "> 20", "> 60": "> 5"}
"""What an alert waits for besides `for` and windows, in seconds."""


def concrete(expression: str) -> str:
    """Return an expression of the dashboard as Grafana sends it."""
    return expression.replace("$__rate_interval", "1m").replace("$adapter", ".*")


def shortened(rules: str) -> str:
    """Return the rules with times of seconds; shares and everything else stay."""
    held = HELD.sub(r"\1 2s", rules)
    windows = WINDOW.sub(lambda found: f"[{SHORTER[found[1]]}]", held)
    for before, after in WAITED.items():
        windows = windows.replace(before, after)
    return windows


def program(name: str) -> str:
    """Return the path of `prometheus` or `promtool`; without it, skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no `{name}` on the PATH: .ci/run installs it from Debian's prometheus")
    return found


class Prometheus:
    """Scrapes every few seconds between entering and leaving.

    Args:
        folder: Where it keeps what it has scraped.
        targets: Address and port of every node's agent.
        rules: Alerts as they are shipped, or with other times; none where empty.
        every: Between two scrapes.

    Attributes:
        url: Where it answers.
    """

    # Owns: the process.

    def __init__(
        self, folder: Path, targets: Sequence[str], *, rules: str = "", every: str = EVERY
    ) -> None:
        self._folder = folder
        self._program = program("prometheus")
        self._port = free_port()
        self._targets = list(targets)
        self._rules = rules
        self._every = every
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "alerts.yaml").write_text(self._rules or "groups: []\n")
        (self._folder / "prometheus.yaml").write_text(yaml.safe_dump(self._configuration()))
        log = (self._folder / "prometheus.log").open("wb")
        with log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "prometheus.log").read_text()[-2000:]
                raise RuntimeError(f"Prometheus did not start:\n{said}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(START_TIMEOUT_S)

    def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """Return the series of an expression, with their labels and their values now."""
        answer = httpx.post(f"{self.url}/api/v1/query", data={"query": expression}, timeout=180)
        found = answer.json()
        assert found["status"] == "success", f"{expression}: {found.get('error')}"
        return [(each["metric"], float(each["value"][1])) for each in found["data"]["result"]]

    def value(self, expression: str) -> float | None:
        """Return the value of an expression of one series; None where it has none now."""
        found = self.query(expression)
        assert len(found) <= 1, f"{expression} has {len(found)} series"
        return found[0][1] if found else None

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        found = httpx.get(f"{self.url}/api/v1/alerts", timeout=180).json()
        return {
            each["labels"]["alertname"]
            for each in found["data"]["alerts"]
            if each["state"] == "firing"
        }

    def _configuration(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((OBSERVE / "prometheus.yaml").read_text())
        found["global"] = {
            "scrape_interval": self._every,
            "scrape_timeout": self._every,
            "evaluation_interval": "1s",
        }
        (job,) = found["scrape_configs"]
        del job["file_sd_configs"]
        job["static_configs"] = [{"targets": self._targets}]
        return found

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False
