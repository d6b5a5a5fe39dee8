"""Somebody who reads the documentation and does what it says, on one running system."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.drivers import forwarded
from tests.support.drivers.learning import small_task
from tests.support.drivers.pages import PYTHON, ROOT, Block
from tests.support.drivers.preloaded import started

TIMEOUT_S = 500
ADDRESS = "127.0.0.1:8000"
"""Where a system of the pages answers; one of a test answers at a free port."""
PICTURES = ("digits", "fashion", "clip-art", "sketched-nature", "sketched-things")
PROGRAMS = {
    "nacre": """
# There is one system for all pages, which is started once and stopped at their end.
case "$1 $RUNNING" in "up yes" | "down yes") exit 0 ;; esac
program='import sys; sys.argv[0] = "nacre"; from cluster.cli.main import main; main()'
case "$1" in up | down) exec "$PYTHON" -c "$program" "$@" ;; esac
exec "$PYTHON" -I -S "$FORWARDED" "$PRELOADED" "$@"
""",
    "python": 'exec "$PYTHON" "$@"',
}
"""What the pages call by these names, by the interpreter of the tests."""
SHELL = """
set -e
# An answer of 400 and above is an error here, as it is to whoever reads.
curl() { command curl --silent --show-error --fail-with-body --max-time 60 "$@"; }
"""


@dataclass(frozen=True, kw_only=True)
class Did:
    """What came of one block.

    Attributes:
        code: The exit code.
        out: What it printed.
        err: What it complained of.
    """

    code: int
    out: str
    err: str


class Reader:
    """Does what blocks say, each page in a folder of its own.

    Args:
        folder: Of everything.
        port: Where the system answers.

    Attributes:
        runs: Whether a page has started the system.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self.runs = False
        pictures = folder / "pictures"
        for name in PICTURES:
            small_task(ROOT / "cluster" / "examples", pictures, name, classes=2, images=6)
        programs = folder / "bin"
        programs.mkdir()
        for name, program in PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/bash\n{program}\n")
            (programs / name).chmod(0o755)
        config = {"store": f"file://{folder / 'store'}", "serve": {"port": port}}
        (folder / "nacre.yaml").write_text(yaml.safe_dump(config))
        self._environment = {
            **os.environ,
            "COLUMNS": "100",
            "NACRE_CONFIG": str(folder / "nacre.yaml"),
            "NACRE_HOME": str(folder / "home"),
            "NO_PROXY": "127.0.0.1",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PICTURES": str(pictures),
            "FORWARDED": forwarded.__file__,
            "PRELOADED": str(folder / "preloaded"),
            "PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.getenv("PYTHONPATH")])]),
            "ROOT": str(ROOT),
        }
        for name in ("NACRE_TOKEN", "NACRE_PREDICT_TOKEN", "NACRE_STORE"):
            self._environment.pop(name, None)
        self._preloaded = started(folder / "preloaded", root=ROOT, environment=self._environment)

    def place_of(self, page: str) -> Path:
        """Return the folder in which a page is read."""
        place = self._folder / page.removesuffix(".md").replace("/", "-").lower()
        place.mkdir(exist_ok=True)
        return place

    def do(self, block: Block) -> Did:
        """Do what `block` says, after what its comments say, and return what came of it."""
        for command in block.before:
            done = self._sh(self._here(command), self.place_of(block.page))
            assert done.code == 0, f"{block.where}: {command}: {done.out}{done.err}"
        text, place = self._here(block.text), self.place_of(block.page)
        if "file" in block.notes:
            (place / block.notes["file"]).write_text(text)
            return Did(code=0, out="", err="")
        return self._python(text, place) if block.language == PYTHON else self._sh(text, place)

    def stop(self) -> Did:
        """Stop the system, and what runs the commands."""
        self.runs = False
        self._preloaded.terminate()
        self._preloaded.wait()
        return self._sh("nacre down", self._folder)

    def _here(self, text: str) -> str:
        return text.replace(ADDRESS, f"127.0.0.1:{self._port}")

    def _sh(self, text: str, place: Path) -> Did:
        running = {"RUNNING": "yes" if self.runs else "no"}
        did = _run(["bash", "-c", SHELL + text], place, {**self._environment, **running})
        self.runs = self.runs or (did.code == 0 and "nacre up" in text)
        return did

    def _python(self, text: str, place: Path) -> Did:
        """Run a program in this process, which has loaded already what each would load."""
        printed, before, names = io.StringIO(), dict(os.environ), dict[str, object]()
        os.environ.update(self._environment)
        try:
            with contextlib.chdir(place), redirect_stdout(printed):
                exec(compile(text, "the block", "exec"), names)
        finally:
            os.environ.clear()
            os.environ.update(before)
            with contextlib.suppress(KeyError, AttributeError):
                names["client"].close()  # type: ignore[attr-defined]
        return Did(code=0, out=printed.getvalue(), err="")


def fits(printed: str, told: str) -> bool:
    """Return whether something was printed that a page tells, in which `…` is anything."""
    parts = [re.escape(" ".join(part.split())) for part in told.split("…")]
    return re.fullmatch(r"\s?.*?\s?".join(parts), " ".join(printed.split())) is not None


def _run(command: list[str], place: Path, environment: Mapping[str, str]) -> Did:
    done = subprocess.run(
        command,
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Did(code=done.returncode, out=done.stdout, err=done.stderr)
