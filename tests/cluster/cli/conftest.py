"""The command `nacre` with a store and a home of its own."""

import sys
from pathlib import Path

import pytest

from cluster.cli.main import run as run_command
from tests.support.drivers.command import Command, Ended


@pytest.fixture
def nacre(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return a function that runs `nacre` with a store and a home of its own."""
    monkeypatch.setenv("NACRE_STORE", f"file://{tmp_path}/store")
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("NACRE_CONFIG", "NACRE_DEBUG", "NACRE_TOKEN", "NACRE_TOKEN_FILE", "NACRE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["nacre", *map(str, arguments)])
        code = 0
        try:
            code = run_command()
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return Ended(code=code, out=printed.out, err=printed.err)

    return run
