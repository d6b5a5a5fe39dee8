"""Which commit runs here: git's word, or what was written when it was built, or nobody's."""

from importlib.metadata import version
from pathlib import Path

import pytest

from cluster.version import COMMIT_FILE, UNKNOWN, commit_of, this_build
from tests.support.drivers.checkout import Checkout, committed


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "checkout"
    (folder / "cluster").mkdir(parents=True)
    (folder / "cluster" / "code.py").write_text("one = 1\n")
    return committed(folder)


def test_a_checkout_names_its_commit(checkout: Checkout) -> None:
    assert commit_of(checkout.folder) == checkout.commit


def test_a_change_that_is_not_committed_is_told(checkout: Checkout) -> None:
    (checkout.folder / "cluster" / "code.py").write_text("one = 2\n")
    assert commit_of(checkout.folder) == f"{checkout.commit}-dirty"


def test_an_environment_within_another_checkout_does_not_take_its_commit(
    checkout: Checkout,
) -> None:
    site_packages = checkout.folder / ".venv" / "site-packages"
    site_packages.mkdir(parents=True)
    assert commit_of(site_packages) == UNKNOWN


def test_what_was_written_when_it_was_built_comes_first(checkout: Checkout) -> None:
    (checkout.folder / COMMIT_FILE).write_text("0123456789ab\n")
    assert commit_of(checkout.folder) == "0123456789ab"


def test_sources_without_git_say_that_nobody_knows(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == UNKNOWN


def test_the_version_is_that_of_the_distribution_and_the_commit_is_beside_it() -> None:
    build = this_build()
    assert build.version == version("nacre")
    assert str(build) == f"{build.version}, commit {build.commit}"
