"""A store that commands have used is never begun anew where its folder has gone away."""

from pathlib import Path

import pytest

from adapters.errors import UnavailableError
from cluster.stores.known import open_known_store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a store that has been used twice."""
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "a store"
    open_known_store(folder.as_uri()).put("a", b"1")
    assert open_known_store(folder.as_uri()).get("a").data == b"1"
    return folder


@pytest.mark.parametrize("in_its_place", ["nothing", "an empty folder", "a file"])
def test_a_folder_that_has_gone_away_is_waited_for(store: Path, in_its_place: str) -> None:
    away = store.rename(store.with_name("away"))
    if in_its_place == "an empty folder":
        store.mkdir()
    if in_its_place == "a file":
        store.write_text("not mounted")
    with pytest.raises(UnavailableError, match=r"bring it back, or remove .*home/stores/"):
        open_known_store(store.as_uri())
    if store.exists():
        store.unlink() if store.is_file() else store.rmdir()
    away.rename(store)
    assert open_known_store(store.as_uri()).get("a").data == b"1"


def test_the_note_says_which_store_it_is_of(store: Path, tmp_path: Path) -> None:
    (note,) = (tmp_path / "home" / "stores").iterdir()
    assert note.read_text() == f"{store.as_uri()}\n"


def test_a_store_of_another_home_may_be_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))
    open_known_store((tmp_path / "new").as_uri()).put("a", b"1")
