"""The folder for a machine without a network: what was changed on the way is not installed."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

AIRGAP = Path(__file__).parents[2] / "deploy" / "airgap"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a folder as bundle.sh leaves it, with a wheel that is none."""
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "nacre-0.1.0-py3-none-any.whl").write_bytes(b"no wheel")
    (folder / "KIND").write_text("Python 3.99 on s390x\n")
    shutil.copy(AIRGAP / "install.sh", folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  ./{file.relative_to(folder)}\n"
        for file in files
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


def run(script: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", script, *arguments], capture_output=True, text=True, check=False, timeout=300
    )


def test_a_file_that_was_changed_is_named_and_nothing_is_installed(
    bundle: Path, tmp_path: Path
) -> None:
    (bundle / "wheels" / "nacre-0.1.0-py3-none-any.whl").write_bytes(b"another")
    done = run(bundle / "install.sh", str(tmp_path / "target"))
    assert done.returncode == 4
    assert "./wheels/nacre-0.1.0-py3-none-any.whl: FAILED" in done.stdout
    assert "carry the folder over again" in done.stderr
    assert not (tmp_path / "target").exists()


def test_a_wheel_that_nobody_listed_is_not_installed(bundle: Path, tmp_path: Path) -> None:
    (bundle / "wheels" / "numpy-99.0-py3-none-any.whl").write_bytes(b"")
    done = run(bundle / "install.sh", str(tmp_path / "target"))
    assert done.returncode == 4
    assert "remove what was added" in done.stderr
    assert not (tmp_path / "target").exists()


def test_another_python_than_that_of_the_wheels_is_told_and_nothing_is_installed(
    bundle: Path, tmp_path: Path
) -> None:
    done = run(bundle / "install.sh", str(tmp_path / "target"))
    assert done.returncode == 4
    assert "expected Python 3.99 on s390x, for which these wheels were gathered" in done.stderr
    assert f"found Python {sys.version_info[0]}.{sys.version_info[1]} on" in done.stderr
    assert not (tmp_path / "target").exists()


def test_a_machine_without_python_is_told(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON", "no-such-python")
    done = run(bundle / "install.sh", str(tmp_path / "target"))
    assert done.returncode == 4
    assert "expected a Python with venv as no-such-python, found none" in done.stderr


@pytest.mark.parametrize("script", ["bundle.sh", "install.sh"])
def test_a_call_that_is_wrong_is_told_how_it_is_meant(script: str) -> None:
    for arguments in ((), ("folder", "other"), ("--imgae", "x"), ("folder", "--engine")):
        done = run(AIRGAP / script, *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("error: expected ")
        assert "\nusage: " in done.stderr
    assert run(AIRGAP / script, "--help").returncode == 0


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    done = run(AIRGAP / "bundle.sh", str(tmp_path))
    assert done.returncode == 2
    assert "expected a new or an empty folder" in done.stderr
