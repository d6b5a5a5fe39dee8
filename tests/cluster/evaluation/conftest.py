"""`nacre evaluate` as somebody calls it, on the store of a module."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cluster.cli.main import cli
from tests.support.drivers.printed import as_promised
from workers.store import FileStore


@pytest.fixture
def configured(store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the store to all commands, and nothing else."""
    monkeypatch.setenv("NACRE_STORE", store.url)
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NACRE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    """Call it."""
    return CliRunner().invoke(cli, ["evaluate", *arguments])


def parsed(*arguments: str) -> Any:
    """Return the document about the only adapter."""
    result = run(*arguments, "--output", "json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    (found,) = as_promised("evaluate", result.stdout)["adapters"]
    return found
