"""Puts the commit into what is built; everything else is said in pyproject.toml."""

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
# Not imported: nacre's own dependencies are not there while it is built.
VERSION: dict[str, Any] = runpy.run_path(str(ROOT / "cluster" / "version.py"))


class BuildWithCommit(build_py):  # type: ignore[misc]  # setuptools has no types
    """What goes into a wheel; an editable installation asks git whenever it is asked."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            write_commit(Path(self.build_lib))


class SourcesWithCommit(sdist):  # type: ignore[misc]
    """What goes into a source archive, whose wheel is built where there is no git."""

    def make_release_tree(self, base_dir: str, files: Sequence[str]) -> None:
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir))


def write_commit(folder: Path) -> None:
    """Write the commit into `folder`, unless nobody knows it."""
    commit = VERSION["commit_of"](ROOT)
    if commit != VERSION["UNKNOWN"]:
        (folder / VERSION["COMMIT_FILE"]).write_text(f"{commit}\n")


setup(cmdclass={"build_py": BuildWithCommit, "sdist": SourcesWithCommit})
