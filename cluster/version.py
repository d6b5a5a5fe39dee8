"""The version and the commit of what runs: as git says, or as was written when it was built."""

import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

UNKNOWN = "unknown"
ROOT = Path(__file__).parents[1]
COMMIT_FILE = Path("cluster", "commit.txt")
"""Below the root of what was built; a checkout has none. setup.py writes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """What somebody who reports a fault is asked for.

    Attributes:
        version: Of the installed distribution.
        commit: Twelve digits, with `-dirty` where the checkout had changes that are not committed;
            `unknown` for sources that came without git.
    """

    version: str
    commit: str

    def __str__(self) -> str:
        return f"{self.version}, commit {self.commit}"


@cache
def this_build() -> Build:
    """Return what runs here: what was there when this process first asked.

    Otherwise a system that is declared again would be replaced because a checkout was changed.
    """
    try:
        found = version("nacre")
    except PackageNotFoundError:  # run from the sources, without having been installed
        found = UNKNOWN
    return Build(version=found, commit=commit_of(ROOT))


def commit_of(root: Path) -> str:
    """Return the commit of the sources in `root`: as it was written when built, or as git says."""
    written = root / COMMIT_FILE
    if written.is_file():
        return written.read_text().strip()
    # Not a folder within somebody else's checkout, as an environment's often is.
    if _git(root, "rev-parse", "--show-prefix") != "":
        return UNKNOWN
    return _git(root, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*") or UNKNOWN


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it fails or is not there."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
