"""A git checkout made for a test."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

AUTHOR = ("-c", "user.name=A test", "-c", "user.email=test@example.invalid")


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """Files of one commit.

    Attributes:
        folder: Where they are.
        commit: Twelve digits of the commit.
    """

    folder: Path
    commit: str


def committed(folder: Path) -> Checkout:
    """Make what lies in `folder` the only commit of a repository there."""
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, *AUTHOR, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=all")
    return Checkout(folder=folder, commit=_git(folder, "rev-parse", "--short=12", "HEAD"))


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.strip()
