"""The wheel is all that a machine needs: what it holds, and the demo from it alone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from cluster.version import COMMIT_FILE
from tests.support.drivers.checkout import Checkout, committed
from tests.support.drivers.printed import as_promised

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PRODUCT = SETTINGS["tool"]["importlinter"]["root_packages"]
VERSION = SETTINGS["project"]["version"]
TIMEOUT_S = 240
NOT_SOURCE = shutil.ignore_patterns(
    ".*", "*.egg-info", "__pycache__", "build", "dist", "shared", "out"
)
DATA = {
    ".css",
    ".j2",
    ".js",
    ".jpg",
    ".json",
    ".md",
    ".png",
    ".safetensors",
    ".svg",
    ".typed",
    ".yaml",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a copy of this tree, committed, so that nothing built before gets into a wheel."""
    source = tmp_path_factory.mktemp("source") / "nacre"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    return committed(source)


@pytest.fixture(scope="module")
def wheel(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel, built from the checkout."""
    return _wheel_of(checkout.folder, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_every_file_of_the_product_and_nothing_else(wheel: Path) -> None:
    assert set(_packed(wheel)) == {path for package in PRODUCT for path in _files(package)} | {
        COMMIT_FILE
    }


def test_a_wheel_by_way_of_a_source_archive_is_the_same(
    checkout: Checkout, wheel: Path, tmp_path: Path
) -> None:
    program = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    built = _run(sys.executable, "-c", program, tmp_path, folder=checkout.folder)
    assert built.returncode == 0, built.stderr
    (archive,) = tmp_path.glob("nacre-*.tar.gz")
    assert _packed(_wheel_of(archive, tmp_path)) == _packed(wheel)


@pytest.mark.ray
def test_the_demo_runs_to_its_end_from_a_wheel_outside_of_any_checkout(
    checkout: Checkout, wheel: Path, tmp_path: Path
) -> None:
    nacre = _environment_with(wheel, tmp_path / "environment").parent / "nacre"
    version = _run(nacre, "--version", folder=tmp_path).stdout
    assert version == f"nacre, version {VERSION}, commit {checkout.commit}\n"
    try:
        ended = _run(nacre, "demo", "--output", "json", folder=tmp_path)
    finally:  # where it was cut short
        _run(nacre, "down", folder=tmp_path, NACRE_HOME=".nacre-demo")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    shown = as_promised("demo", ended.stdout)
    assert (shown["rolled_back_to"], shown["serving"], len(shown["accuracy"])) == (3, False, 5)
    assert (tmp_path / shown["report"]).is_file()


def _wheel_of(source: Path, folder: Path) -> Path:
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    return next(folder.glob("nacre-*.whl"))


def _packed(wheel: Path) -> dict[Path, int]:
    """Return the checksum of every file in `wheel` but what describes the wheel itself."""
    with zipfile.ZipFile(wheel) as archive:
        found = {Path(entry.filename): entry.CRC for entry in archive.infolist()}
    return {name: crc for name, crc in found.items() if ".dist-info" not in name.parts[0]}


def _files(package: str) -> list[Path]:
    paths = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.is_file()]
    return [path for path in paths if path.suffix in {".py", *DATA}]


def _environment_with(wheel: Path, folder: Path) -> Path:
    """Return the Python of an environment that has `wheel`, and what this one has except nacre.

    A folder that is named in a `.pth` file is searched, but its own `.pth` files are not read: they
    are what leads from here to the checkout.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    _pip("--python", python, "install", "--no-deps", wheel)
    site = next(folder.glob("lib/python*/site-packages"))
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "packages_of_the_tests.pth").write_text("\n".join(sorted(here)))
    return python


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    # With the checkout on the path, nacre would count as installed.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=kept
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _run(
    *command: str | Path, folder: Path, **environment: str
) -> "subprocess.CompletedProcess[str]":
    ours = ("PYTHON", "NACRE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        command,
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
