"""The long proof of formats: `make prove-formats`.

In an environment of its own, the tools of others make a small file of each format anew; every one
of them is read as the committed one is. A data set in the cache of `datasets` is read by its name,
without a network. `make prove-formats WRITE=1` puts the new files in the place of the committed.

GNU tar and bsdtar (`apt-get install libarchive-tools`) must be there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from adapters.errors import NacreError
from benchmarks.table import Row, report
from tests.support.real_formats.expected import REAL, Read
from workers.intake.drafting import columns_said, draft_task
from workers.tasks.task import load_task

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "formats"
TOOLS = ("datasets", "webdataset", "pandas", "polars", "pillow")
OF_NACRE = ("pydantic", "pyyaml", "numpy", "psutil", "cachetools")
"""What reading a source needs of nacre's own dependencies."""


def main() -> int:
    """Make all files, read them, and return 0 when all are read as they should be."""
    if shutil.which("bsdtar") is None:
        sys.stderr.write("expected bsdtar, found none: apt-get install libarchive-tools\n")
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _say(f"installing {', '.join(TOOLS)} into an environment of their own")
        python = _environment(folder / "venv")
        made = folder / "formats"
        made.mkdir()
        _say("making the files")
        maker = ROOT / "tests" / "support" / "real_formats" / "make.py"
        did = subprocess.run([python, maker, made], capture_output=True, text=True, check=False)
        if did.returncode:
            sys.stderr.write(f"the files cannot be made:\n{did.stderr}")
            return 1
        _say("reading them")
        rows = [*_versions(python), *_read(made), _hub(python, made, folder / "cache")]
        if os.environ.get("WRITE"):
            shutil.copytree(made, FIXTURES, dirs_exist_ok=True)
    return report("prove-formats", rows)


def _environment(folder: Path) -> Path:
    """Return the interpreter of an environment that has the tools."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-qq", *TOOLS, *OF_NACRE], check=True)
    return python


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


def _versions(python: Path) -> Iterator[Row]:
    """Yield the release of each tool."""
    asked = f"from importlib.metadata import version; print(*map(version, {TOOLS!r}), sep=chr(10))"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    for tool, version in zip(TOOLS, found.stdout.splitlines(), strict=True):
        yield Row(figure=tool, value=version)
    for tar in ("tar", "bsdtar"):
        told = subprocess.run([tar, "--version"], capture_output=True, text=True, check=True)
        yield Row(figure=tar, value=told.stdout.splitlines()[0])


def _read(made: Path) -> Iterator[Row]:
    os.chdir(made)
    for source, expected in REAL.items():
        try:
            found = _as_read(source)
        except NacreError as error:
            yield _row(source, error.message, holds=False)
        else:
            yield _row(source, _told(found), holds=found == expected)


def _told(found: Read) -> str:
    """Return what came of a source."""
    held_out = "" if found.held_out is None else f", test images: {found.held_out}"
    classes = " and ".join(found.classes.values())
    return f"{found.images}: {found.train} images or more of {classes}{held_out}"


def _as_read(source: str) -> Read:
    draft = draft_task(source)
    task = load_task(draft.path, content=draft.content)
    return Read(
        images=draft.file.images,
        held_out=draft.file.held_out,
        columns=columns_said(draft.file.columns),
        classes=dict(task.classes),
        train=min(len(refs) for refs in task.images.values()),
    )


OF_HUB = """
import shutil, sys
from pathlib import Path
import datasets
made, cache = sys.argv[1:]
files = {"train": f"{made}/hub/data/train-*.parquet", "test": f"{made}/hub/data/test-*.parquet"}
datasets.load_dataset("parquet", data_files=files, cache_dir=cache)
# as a data set of the hub lies in the cache once it was loaded
(kept,) = Path(cache).glob("parquet/*/*/*/dataset_info.json")
target = Path(cache) / "owner___birds" / "default" / "0.0.0" / kept.parent.name
shutil.copytree(kept.parent, target)
for file in target.glob("parquet-*"):
    file.rename(target / file.name.replace("parquet-", "birds-"))
from workers.sources import read_source
found = read_source("hf://datasets/owner/birds?split=train").images
print({key: len(refs) for key, refs in found.items()})
from workers.sources.library_sets import library_splits
assert set(library_splits("hf://datasets/owner/birds")) == {"train", "test"}
try:
    read_source("hf://datasets/owner/gone?split=train")
except Exception as error:
    print(type(error).__name__, error)
"""


def _hub(python: Path, made: Path, cache: Path) -> Row:
    """Return whether a data set of the hub is read by its name, from the cache alone."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_DATASETS_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
    }
    did = subprocess.run(
        [python, "-c", OF_HUB, made, cache],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = "{'barn_owl': 2, 'red kite': 2}\n"
    is_read = did.stdout.startswith(expected) and "Error expected" in did.stdout
    told = did.stdout if is_read else did.stdout[-300:] + did.stderr[-600:]
    return _row("hf://datasets/owner/birds, offline", told.strip(), holds=is_read)


def _row(source: str, told: str, *, holds: bool) -> Row:
    return Row(figure=source, value=told, bar="as committed", holds=holds)


if __name__ == "__main__":
    sys.exit(main())
